use super::*;
use crate::{Cost, SpanId, SpanKind, Status, Timestamp, TraceId};

const TOKENS: Usage = Usage {
    input_tokens: Some(1_000),
    output_tokens: Some(100),
    cached_tokens: None,
    cache_write_tokens: None,
    reasoning_tokens: None,
};

fn at(time: &str) -> Timestamp {
    Timestamp::parse_rfc3339(time).unwrap()
}

fn price(provider: Option<&str>, model: &str, usage: &Usage, time: &str) -> Option<String> {
    let cost = PriceTable::embedded().price(provider, model, usage, at(time));
    cost.map(|cost| cost.to_string())
}

fn check(provider: Option<&str>, model: &str, usage: Usage, expected: Option<&str>) {
    let cost = price(provider, model, &usage, "2026-06-01T12:00:00Z");
    assert_eq!(cost.as_deref(), expected, "{provider:?} {model} {usage:?}");
}

#[test]
fn every_rule_of_the_embedded_table_works() {
    let table = PriceTable::embedded();
    assert!(table.version().starts_with("genai-prices "));
    for provider in &table.providers {
        let models = provider.models.iter().map(|model| &model.matched);
        let rules = models.chain(&provider.named).chain(&provider.model_match);
        for rule in rules {
            assert_eq!(rule.broken_patterns(), Vec::<&str>::new());
        }
        assert!(provider.models.iter().all(|model| !model.prices.is_empty()));
    }
}

// The expected amounts are what genai-prices 0.2.3 itself computes for the same call.
#[test]
fn known_models_cost_their_list_price() {
    check(Some("openai"), "gpt-4o-mini", TOKENS, Some("$0.00021"));
    check(
        Some("anthropic"),
        "claude-3-5-sonnet-20241022",
        TOKENS,
        Some("$0.0045"),
    );
    check(None, "gpt-4o-mini", TOKENS, Some("$0.00021"));
    check(None, "GPT-4o-mini-2024-07-18", TOKENS, Some("$0.00021"));
}

#[test]
fn opentelemetry_s_provider_names_are_known() {
    for (provider, model) in [
        ("azure.ai.openai", "gpt-4o-mini"),
        ("aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0"),
        ("gcp.gemini", "gemini-2.5-flash"),
        ("gcp.vertex_ai", "gemini-2.5-flash"),
        ("gcp.gen_ai", "gemini-2.5-flash"),
        ("mistral_ai", "mistral-large-latest"),
        ("x_ai", "grok-4"),
        ("groq", "llama-3.3-70b-versatile"),
        ("deepseek", "deepseek-chat"),
        ("cohere", "command-r-plus"),
    ] {
        let cost = price(Some(provider), model, &TOKENS, "2026-06-01T12:00:00Z");
        assert!(cost.is_some(), "{provider} {model}");
    }
}

#[test]
fn unknown_is_not_free() {
    check(Some("openai"), "gpt-nobody-knows", TOKENS, None);
    check(Some("my-own-server"), "gpt-4o-mini", TOKENS, None);
    check(None, "llama-of-my-own", TOKENS, None);
    let unknown_output = Usage {
        output_tokens: None,
        ..TOKENS
    };
    check(Some("openai"), "gpt-4o-mini", unknown_output, None);
    check(Some("openai"), "gpt-4o-mini", Usage::default(), None);
    // Its price is by the hour of audio.
    check(Some("groq"), "whisper-large-v3", TOKENS, None);
}

#[test]
fn free_is_not_unknown() {
    check(Some("stepscope-demo"), "demo-model", TOKENS, Some("$0.00"));
    check(None, "demo-model", TOKENS, Some("$0.00"));
    check(Some("openai"), "demo-model", TOKENS, None);
}

#[test]
fn an_embedding_needs_no_output() {
    let input_only = Usage {
        input_tokens: Some(1_000_000),
        ..Usage::default()
    };
    check(
        Some("openai"),
        "text-embedding-3-small",
        input_only,
        Some("$0.02"),
    );
}

#[test]
fn cached_tokens_are_paid_at_their_own_rate_only() {
    let usage = Usage {
        input_tokens: Some(1_000),
        cached_tokens: Some(600),
        cache_write_tokens: Some(300),
        output_tokens: Some(0),
        ..Usage::default()
    };
    // 100 × $3 + 600 × $0.30 + 300 × $3.75, per million.
    check(
        Some("anthropic"),
        "claude-3-7-sonnet",
        usage,
        Some("$0.001605"),
    );
    let impossible = Usage {
        cached_tokens: Some(5_000),
        ..usage
    };
    check(
        Some("anthropic"),
        "claude-3-7-sonnet",
        impossible,
        Some("$0.002625"),
    );
}

#[test]
fn a_long_prompt_is_paid_at_its_step_for_all_tokens() {
    let usage = |input| Usage {
        input_tokens: Some(input),
        output_tokens: Some(1_000),
        ..Usage::default()
    };
    check(
        Some("google"),
        "gemini-2.5-pro",
        usage(200_000),
        Some("$0.26"),
    );
    check(
        Some("google"),
        "gemini-2.5-pro",
        usage(200_001),
        Some("$0.5150025"),
    );
}

#[test]
fn a_price_is_that_of_the_call_s_time() {
    let day = |time| price(Some("deepseek"), "deepseek-chat", &TOKENS, time);
    // From 00:30 to 16:30 UTC the full price, else the lower one.
    assert_eq!(day("2025-03-01T00:30:00Z").as_deref(), Some("$0.00038"));
    assert_eq!(day("2025-03-01T16:29:59Z").as_deref(), Some("$0.00038"));
    assert_eq!(day("2025-03-01T16:30:00Z").as_deref(), Some("$0.00019"));
    assert_eq!(day("2025-03-01T00:29:59Z").as_deref(), Some("$0.00019"));
    let o3 = |time| price(Some("openai"), "o3", &TOKENS, time);
    assert_eq!(o3("2025-06-09T23:59:59Z").as_deref(), Some("$0.014"));
    assert_eq!(o3("2025-06-10T00:00:00Z").as_deref(), Some("$0.0028"));
}

#[test]
fn a_router_s_compact_date_finds_the_model() {
    let dashed = price(
        Some("openai"),
        "gpt-5.4-2026-03-05",
        &TOKENS,
        "2026-06-01T12:00:00Z",
    );
    let compact = price(
        Some("openai"),
        "gpt-5.4-20260305",
        &TOKENS,
        "2026-06-01T12:00:00Z",
    );
    assert!(dashed.is_some());
    assert_eq!(dashed, compact);
    check(Some("openai"), "gpt-5.4-20261399", TOKENS, None);
    check(Some("openai"), "gpt-5.4-2026030é", TOKENS, None);
}

#[test]
fn what_no_cost_can_hold_is_unknown() {
    let usage = Usage {
        input_tokens: Some(u64::MAX),
        output_tokens: Some(u64::MAX),
        ..Usage::default()
    };
    check(Some("openai"), "gpt-4o", usage, None);
}

fn call(kind: SpanKind, provider: &str, model: &str) -> Span {
    let mut span = Span::open(
        TraceId::from_bytes([1; 16]).unwrap(),
        SpanId::from_bytes([1; 8]).unwrap(),
        None,
        "chat",
        kind,
        at("2026-06-01T12:00:00Z"),
    );
    span.set(conventions::PROVIDER_NAME, provider);
    span.set(conventions::REQUEST_MODEL, model);
    TOKENS.set_on(&mut span);
    span
}

#[test]
fn a_model_span_is_priced_once() {
    let mut span = call(SpanKind::Model, "openai", "gpt-4o-mini");
    span.set(conventions::RESPONSE_MODEL, "a name no table has");
    apply_cost(&mut span);
    assert_eq!(span.int(conventions::COST_PICO_USD), Some(210_000_000));
    assert_eq!(
        span.attributes.get(conventions::COST_USD),
        Some(&AttributeValue::Double(0.00021))
    );
    assert_eq!(
        span.text(conventions::PRICE_TABLE),
        Some(PriceTable::embedded().version())
    );
    let priced = span.clone();
    span.set(conventions::REQUEST_MODEL, "gpt-4o");
    apply_cost(&mut span);
    assert_eq!(
        span.int(conventions::COST_PICO_USD),
        priced.int(conventions::COST_PICO_USD)
    );
}

#[test]
fn a_call_of_unknown_price_says_so() {
    let mut span = call(SpanKind::Model, "openai", "gpt-nobody-knows");
    apply_cost(&mut span);
    let unknown = span.attributes.get(conventions::COST_UNKNOWN);
    assert_eq!(unknown, Some(&AttributeValue::Bool(true)));
    assert_eq!(span.int(conventions::COST_PICO_USD), None);
}

#[test]
fn what_is_no_model_call_or_was_never_answered_has_no_cost() {
    let mut http = call(SpanKind::Http, "openai", "gpt-4o-mini");
    let before = http.clone();
    apply_cost(&mut http);
    assert_eq!(http, before);
    let mut refused = call(SpanKind::Model, "openai", "gpt-4o-mini");
    refused
        .attributes
        .retain(|key, _| !key.starts_with("gen_ai.usage"));
    let message = "429".to_owned();
    refused.finish(at("2026-06-01T12:00:01Z"), Status::Error { message });
    let before = refused.clone();
    apply_cost(&mut refused);
    assert_eq!(refused, before);
    assert_eq!(Cost::ZERO.to_string(), "$0.00");
}
