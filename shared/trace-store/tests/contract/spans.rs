//! Spans to store.

use redaction::{Policy, RawSpan, RedactedSpan};
use trace_model::{
    Attributes, Content, Event, Link, Span, SpanId, SpanKind, Status, TenantId, Timestamp, TraceId,
};

use crate::backend::now;

pub(crate) fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub(crate) fn globex() -> TenantId {
    TenantId::parse("globex").unwrap()
}

pub(crate) fn trace_id() -> TraceId {
    "0af7651916cd43dd8448eb211c80319c".parse().unwrap()
}

pub(crate) fn span_id(number: u64) -> SpanId {
    SpanId::from_bytes((number + 1).to_be_bytes()).unwrap()
}

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_unix_nanos(now().as_unix_nanos() + millis * 1_000_000)
}

/// Number `number`, open, starting so many milliseconds into the trace.
pub(crate) fn open(number: u64) -> Span {
    let parent = (number > 0).then(|| span_id(0));
    let name = format!("span {number}");
    let mut span = Span::open(
        trace_id(),
        span_id(number),
        parent,
        name,
        SpanKind::Internal,
        at(number),
    );
    span.resource = Attributes::from_iter([("service.name".to_owned(), "tests".into())]);
    span.scope = ("contract".to_owned(), "1".to_owned());
    span
}

pub(crate) fn finished(number: u64) -> Span {
    let mut span = open(number);
    span.finish(at(number + 5), Status::Ok);
    span
}

/// A span that uses everything a span has, but for content.
pub(crate) fn full(number: u64) -> Span {
    let mut span = finished(number);
    span.kind = SpanKind::Model;
    span.status = Status::Error {
        message: "the model is overloaded".to_owned(),
    };
    span.set("gen_ai.request.model", "demo-model");
    span.set("gen_ai.usage.input_tokens", 12_u64);
    span.set("workflow.state.name", "Classify ünïcode");
    span.set("ratio", 0.25);
    span.set("streamed", true);
    span.set("tags", vec!["a".to_owned(), "b".to_owned()]);
    span.events.push(Event {
        name: "first token".to_owned(),
        time: at(number + 1),
        attributes: Attributes::from_iter([("index".to_owned(), 1_i64.into())]),
    });
    span.links.push(Link {
        trace_id: trace_id(),
        span_id: span_id(77),
        attributes: Attributes::new(),
    });
    span
}

pub(crate) fn with_text(mut span: Span, field: &str, text: impl Into<String>) -> Span {
    let content = Content::text("text/plain", text);
    span.content.insert(field.to_owned(), content);
    span
}

pub(crate) fn redacted(spans: impl IntoIterator<Item = Span>) -> Vec<RedactedSpan> {
    let policy = Policy::standard();
    let redact = |span| policy.redact(RawSpan::from(span));
    spans.into_iter().map(redact).collect()
}

/// Text that does not compress well, the same for the same seed. Ideographs, because random
/// letters and digits now and then look like a secret, and are masked.
pub(crate) fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let offset = u32::try_from(state >> 52).unwrap();
        char::from_u32(0x4E00 + offset).unwrap()
    };
    let mut text: String = (0..bytes / 3).map(|_| next()).collect();
    text.extend(std::iter::repeat_n('.', bytes % 3));
    text
}
