use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Cost;

/// A run in numbers, computed from its spans and never incremented. Tokens and cost count
/// leaf model calls only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub spans: u64,
    pub errors: u64,
    pub model_calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_tokens: u64,
    pub reasoning_tokens: u64,
    pub cost: Cost,
    /// Model calls whose price is unknown, so not in `cost`.
    pub cost_unknown: u64,
    pub models: BTreeSet<String>,
}
