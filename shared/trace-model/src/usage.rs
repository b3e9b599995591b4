use serde::{Deserialize, Serialize};

/// Tokens of one model call, as its provider counted them. `None` is unknown, not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All input tokens, cached ones included, as OpenTelemetry counts them.
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    /// Of the input tokens, those read from a cache.
    pub cached_tokens: Option<u64>,
    /// Of the input tokens, those written to a cache.
    pub cache_write_tokens: Option<u64>,
    /// Of the output tokens, those spent on reasoning.
    pub reasoning_tokens: Option<u64>,
}
