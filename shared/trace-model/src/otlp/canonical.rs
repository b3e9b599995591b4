//! What a span of another's instrumentation says, in the names that this application reads: the
//! older names of OpenTelemetry's `gen_ai.*` and `http.*` beside the current ones.
//!
//! The original attributes stay, and `stepscope.mapped` tells which canonical one came from which.
//! A canonical attribute that is there already wins.

use crate::{AttributeValue, Attributes, CachedTokens, Cost, Span, SpanKind, Usage, conventions};

/// Current name first, then what it was called before.
const RENAMED: [(&str, &[&str]); 17] = [
    (conventions::PROVIDER_NAME, &["gen_ai.system"]),
    (
        conventions::USAGE_INPUT_TOKENS,
        &["gen_ai.usage.prompt_tokens"],
    ),
    (
        conventions::USAGE_OUTPUT_TOKENS,
        &["gen_ai.usage.completion_tokens"],
    ),
    (
        conventions::USAGE_CACHE_READ,
        &[
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.input_token_details.cache_read",
        ],
    ),
    (
        conventions::USAGE_CACHE_CREATION,
        &[
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
            "gen_ai.usage.input_token_details.cache_creation",
        ],
    ),
    (
        conventions::USAGE_REASONING,
        &[
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.output_token_details.reasoning",
        ],
    ),
    (
        conventions::REQUEST_MAX_TOKENS,
        &["gen_ai.request.max_completion_tokens"],
    ),
    (
        conventions::TIME_TO_FIRST_CHUNK,
        &["gen_ai.server.time_to_first_token"],
    ),
    ("gen_ai.request.seed", &["gen_ai.openai.request.seed"]),
    (
        conventions::OUTPUT_TYPE,
        &["gen_ai.openai.request.response_format"],
    ),
    (
        conventions::FINISH_REASONS,
        &["gen_ai.response.finish_reason"],
    ),
    (conventions::HTTP_REQUEST_METHOD, &["http.method"]),
    ("http.response.status_code", &["http.status_code"]),
    ("url.full", &["http.url"]),
    ("url.scheme", &["http.scheme"]),
    ("server.address", &["net.peer.name", "http.host"]),
    ("server.port", &["net.peer.port"]),
];

/// What `gen_ai.system` said, where `gen_ai.provider.name` says it otherwise.
const PROVIDERS: [(&str, &str); 6] = [
    ("az.ai.inference", "azure.ai.inference"),
    ("az.ai.openai", "azure.ai.openai"),
    ("gemini", "gcp.gemini"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("mistralai", "mistral_ai"),
    ("xai", "x_ai"),
];

/// What the emitter says the call cost, in dollars.
const REPORTED_COST: &str = "gen_ai.usage.cost";

/// In place of a price table's version: the emitter's own word.
const REPORTED: &str = "reported";

const TOKEN_COUNTS: [&str; 5] = [
    conventions::USAGE_INPUT_TOKENS,
    conventions::USAGE_OUTPUT_TOKENS,
    conventions::USAGE_CACHE_READ,
    conventions::USAGE_CACHE_CREATION,
    conventions::USAGE_REASONING,
];

/// Fills the canonical attributes, and sets the span's kind by them.
pub(super) fn fill(span: &mut Span) {
    let mut mapped = Attributes::new();
    for (canonical, olds) in RENAMED {
        if span.attributes.contains_key(canonical) {
            continue;
        }
        let found = olds
            .iter()
            .find_map(|old| Some((*old, span.attributes.get(*old)?.clone())));
        if let Some((old, value)) = found {
            span.set(canonical, current_value(canonical, value));
            mapped.insert(canonical.to_owned(), old.into());
        }
    }
    if !mapped.is_empty() {
        span.set(conventions::MAPPED, mapped);
    }
    whole_token_counts(&mut span.attributes);
    span.kind = kind(&span.attributes);
    if span.kind.is_model_call() {
        count_cached_tokens_once(span);
        take_reported_cost(span);
    }
}

fn current_value(canonical: &str, value: AttributeValue) -> AttributeValue {
    match (canonical, &value) {
        (conventions::PROVIDER_NAME, AttributeValue::String(old)) => PROVIDERS
            .iter()
            .find(|(known, _)| known == old)
            .map_or(value, |(_, current)| (*current).into()),
        (conventions::FINISH_REASONS, AttributeValue::String(_)) => {
            AttributeValue::Array(vec![value])
        }
        _ => value,
    }
}

/// Some emitters count in doubles, or in text.
fn whole_token_counts(attributes: &mut Attributes) {
    for key in TOKEN_COUNTS {
        let Some(value) = attributes.get_mut(key) else {
            continue;
        };
        let whole = match value {
            AttributeValue::Double(count) if count.fract() == 0.0 => format!("{count:.0}").parse(),
            AttributeValue::String(count) => count.parse::<i64>(),
            _ => continue,
        };
        if let Ok(whole) = whole {
            *value = AttributeValue::Int(whole);
        }
    }
}

/// Never a run, state or attempt: those come from the history alone.
pub(super) fn kind(attributes: &Attributes) -> SpanKind {
    let operation = attributes
        .get(conventions::OPERATION_NAME)
        .and_then(AttributeValue::as_str);
    match operation {
        Some("chat" | "text_completion" | "generate_content") => SpanKind::Model,
        Some("embeddings") => SpanKind::Embedding,
        Some("retrieval") => SpanKind::Retrieval,
        Some("execute_tool") => SpanKind::Tool,
        Some("create_agent" | "invoke_agent") => SpanKind::Agent,
        // Before operations had names.
        None if attributes.contains_key(conventions::REQUEST_MODEL) => SpanKind::Model,
        _ if attributes.contains_key(conventions::HTTP_REQUEST_METHOD) => SpanKind::Http,
        _ => SpanKind::Internal,
    }
}

/// More cached tokens than input tokens: then the emitter counts them beside the others, as its
/// provider's API does.
fn count_cached_tokens_once(span: &mut Span) {
    let Some(usage) = Usage::of(span) else {
        return;
    };
    let cached = [usage.cached_tokens, usage.cache_write_tokens];
    let cached = cached.into_iter().flatten().fold(0, u64::saturating_add);
    if usage.input_tokens.is_some_and(|input| input < cached) {
        let input = span.attributes[conventions::USAGE_INPUT_TOKENS].clone();
        Usage::reported(usage, CachedTokens::InAddition).set_on(span);
        span.set(conventions::REPORTED_INPUT_TOKENS, input);
    }
}

fn take_reported_cost(span: &mut Span) {
    let cost = match span.attributes.get(REPORTED_COST) {
        Some(AttributeValue::Double(dollars)) => Cost::from_usd_f64(*dollars),
        Some(AttributeValue::Int(0)) => Some(Cost::ZERO),
        _ => None,
    };
    if let Some(cost) = cost {
        span.set(conventions::COST_USD, cost.to_usd_f64());
        span.set(
            conventions::COST_PICO_USD,
            AttributeValue::Int(cost.pico_usd),
        );
        span.set(conventions::PRICE_TABLE, REPORTED);
    }
}
