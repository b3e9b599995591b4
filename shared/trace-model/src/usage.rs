use serde::{Deserialize, Serialize};

use crate::{Span, conventions};

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

/// How an emitter's input count relates to its counts of cached tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachedTokens {
    /// Part of the input tokens: OpenTelemetry, `OpenAI`, Gemini, and libraries that follow them.
    Included,
    /// Beside the input tokens, which are only the uncached ones: Anthropic's Messages API
    /// (`cache_read_input_tokens`, `cache_creation_input_tokens`) and Bedrock's Converse
    /// (`cacheReadInputTokens`, `cacheWriteInputTokens`).
    InAddition,
}

impl Usage {
    /// Counts as an emitter reported them, brought to OpenTelemetry's meaning.
    pub fn reported(counts: Self, cached: CachedTokens) -> Self {
        match cached {
            CachedTokens::Included => counts,
            CachedTokens::InAddition => Self {
                input_tokens: counts.input_tokens.map(|uncached| {
                    [counts.cached_tokens, counts.cache_write_tokens]
                        .into_iter()
                        .flatten()
                        .fold(uncached, u64::saturating_add)
                }),
                ..counts
            },
        }
    }

    /// From `gen_ai.usage.*`, whose input tokens include the cached ones; `None` when the span
    /// has none of them.
    pub fn of(span: &Span) -> Option<Self> {
        let count = |key| span.int(key).and_then(|count| u64::try_from(count).ok());
        let usage = Self {
            input_tokens: count(conventions::USAGE_INPUT_TOKENS),
            output_tokens: count(conventions::USAGE_OUTPUT_TOKENS),
            cached_tokens: count(conventions::USAGE_CACHE_READ),
            cache_write_tokens: count(conventions::USAGE_CACHE_CREATION),
            reasoning_tokens: count(conventions::USAGE_REASONING),
        };
        (usage != Self::default()).then_some(usage)
    }

    /// Writes what is known as `gen_ai.usage.*`.
    pub fn set_on(&self, span: &mut Span) {
        let counts = [
            (conventions::USAGE_INPUT_TOKENS, self.input_tokens),
            (conventions::USAGE_OUTPUT_TOKENS, self.output_tokens),
            (conventions::USAGE_CACHE_READ, self.cached_tokens),
            (conventions::USAGE_CACHE_CREATION, self.cache_write_tokens),
            (conventions::USAGE_REASONING, self.reasoning_tokens),
        ];
        for (key, count) in counts {
            if let Some(count) = count {
                span.set(key, count);
            }
        }
    }
}

impl CachedTokens {
    /// What a provider's own API does, by OpenTelemetry's provider name. For counts taken from
    /// its raw answers; client libraries may have added them up already.
    pub fn in_answers_of(provider: &str) -> Self {
        match provider {
            "anthropic" | "aws.bedrock" => Self::InAddition,
            _ => Self::Included,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SpanId, SpanKind, Timestamp, TraceId};

    fn check(provider: &str, expected_input: u64) {
        let counts = Usage {
            input_tokens: Some(100),
            cached_tokens: Some(60),
            cache_write_tokens: Some(30),
            ..Usage::default()
        };
        let usage = Usage::reported(counts, CachedTokens::in_answers_of(provider));
        assert_eq!(usage.input_tokens, Some(expected_input), "{provider}");
        assert_eq!(usage.cached_tokens, Some(60), "{provider}");
    }

    #[test]
    fn cached_tokens_are_counted_once_whoever_reports_them() {
        check("openai", 100);
        check("gcp.gemini", 100);
        check("anthropic", 190);
        check("aws.bedrock", 190);
    }

    #[test]
    fn attributes_hold_what_is_known() {
        let mut span = Span::open(
            TraceId::from_bytes([1; 16]).unwrap(),
            SpanId::from_bytes([1; 8]).unwrap(),
            None,
            "chat",
            SpanKind::Model,
            Timestamp::default(),
        );
        assert_eq!(Usage::of(&span), None);
        let usage = Usage {
            input_tokens: Some(7),
            reasoning_tokens: Some(0),
            ..Usage::default()
        };
        usage.set_on(&mut span);
        assert_eq!(span.attributes.len(), 2);
        assert_eq!(Usage::of(&span), Some(usage));
        span.set(conventions::USAGE_INPUT_TOKENS, -1);
        assert_eq!(Usage::of(&span).unwrap().input_tokens, None);
    }
}
