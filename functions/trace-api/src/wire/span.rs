use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};
use trace_model::{
    AttributeValue, Attributes, Content, ContentBody, ContentLocation, OtelKind, Run, Span,
    SpanKind, Status, Timestamp, conventions,
};
use utoipa::ToSchema;

use super::execution::{Execution, PageInfo, micros, usd};

/// A page of a trace, in order of start and then span id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TracePage {
    pub execution: Execution,
    pub spans: Vec<SpanSummary>,
    pub page_info: PageInfo,
}

/// How much of each span a trace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum View {
    #[default]
    Structure,
    /// Attributes, events and links too. Bodies are read span by span.
    Full,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Span)]
pub(crate) struct SpanSummary {
    span_id: String,
    /// Null for the run itself.
    parent_span_id: Option<String>,
    name: String,
    #[schema(example = "state")]
    kind: &'static str,
    /// The workflow's state it belongs to, when it says so.
    state: Option<String>,
    /// From 1.
    attempt: Option<i64>,
    /// Of a Map's iteration: its index, from 0.
    iteration: Option<i64>,
    /// The event of the execution's history that it began with: the order of siblings that
    /// begin together. Null for what no history tells of.
    event_id: Option<i64>,
    /// From the run's start; negative when another machine's clock was behind.
    start_offset_us: i64,
    /// Null while it is open.
    duration_us: Option<u64>,
    status: SpanStatus,
    usage: Option<SpanUsage>,
    /// Null when nothing was paid, or the price is unknown: then a flag says so.
    cost_usd: Option<f64>,
    model: Option<String>,
    /// By field. Structure only: the bodies are read span by span.
    content: BTreeMap<String, ContentSummary>,
    flags: Vec<String>,
    /// Of a task that is answered with its token: whether it waits, and what a person decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<Callback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<SpanEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Vec<SpanLink>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpanStatus {
    /// `unset`, `ok` or `error`.
    code: &'static str,
    message: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Callback {
    /// No answer has come, and the task has not ended otherwise.
    waiting: bool,
    /// Null unless it was answered as an approval is.
    approved: Option<bool>,
    by: Option<String>,
    /// RFC 3339.
    at: Option<String>,
    /// From the hand-over to the answer.
    waited_us: Option<u64>,
}

/// As the provider counted; null is unknown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct SpanUsage {
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cached_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    /// From the request to the first chunk of a streamed answer.
    time_to_first_token_us: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContentSummary)]
pub(crate) struct ContentSummary {
    /// Of the whole text, in UTF-8.
    bytes: u64,
    /// `item`, `chunk` or `object`.
    #[serde(rename = "where")]
    place: &'static str,
    /// How many values were masked in it.
    redactions: u32,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpanEvent {
    name: String,
    time: String,
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpanLink {
    trace_id: String,
    span_id: String,
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
}

/// Everything that is known of one span.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpanDetail {
    span_id: String,
    parent_span_id: Option<String>,
    trace_id: String,
    execution_id: String,
    name: String,
    kind: &'static str,
    /// OpenTelemetry's span kind.
    otel_kind: &'static str,
    state: Option<String>,
    attempt: Option<i64>,
    /// RFC 3339 with nanoseconds.
    started_at: String,
    finished_at: Option<String>,
    start_offset_us: i64,
    duration_us: Option<u64>,
    status: SpanStatus,
    usage: Option<SpanUsage>,
    cost_usd: Option<f64>,
    model: Option<String>,
    flags: Vec<String>,
    revision: u32,
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// Of the process that made the span.
    #[schema(value_type = Object)]
    resource: Map<String, Value>,
    scope: InstrumentationScope,
    events: Vec<SpanEvent>,
    links: Vec<SpanLink>,
    pub content: BTreeMap<String, ContentDetail>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstrumentationScope {
    name: String,
    version: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Content)]
pub(crate) struct ContentDetail {
    media_type: String,
    bytes: u64,
    #[serde(rename = "where")]
    place: &'static str,
    redactions: u32,
    /// The text, masked as it was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Why there is no body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<Omitted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Omitted {
    /// The token lacks `content:read`.
    MissingScope,
    /// One answer cannot carry it.
    TooLarge,
    /// It has expired, or was deleted.
    Gone,
}

impl SpanSummary {
    pub(crate) fn new(span: &Span, run: &Run, view: View) -> Self {
        let full = view == View::Full;
        Self {
            span_id: span.span_id.to_string(),
            parent_span_id: span.parent_span_id.map(|id| id.to_string()),
            name: span.name.clone(),
            kind: span.kind.as_str(),
            state: span.text(conventions::WORKFLOW_STATE).map(str::to_owned),
            attempt: span.int(conventions::WORKFLOW_ATTEMPT),
            iteration: span.int(conventions::WORKFLOW_ITERATION),
            event_id: span.int(conventions::WORKFLOW_EVENT_ID),
            start_offset_us: offset_us(span.start, run.started_at),
            duration_us: duration_us(span),
            status: SpanStatus::from(&span.status),
            usage: SpanUsage::of(span),
            cost_usd: cost_usd(span),
            model: model(span),
            content: span
                .content
                .iter()
                .map(|(field, content)| (field.clone(), ContentSummary::from(content)))
                .collect(),
            flags: flags(span),
            callback: Callback::of(span),
            attributes: full.then(|| json_attributes(&span.attributes)),
            events: full.then(|| events(span)),
            links: full.then(|| links(span)),
        }
    }
}

impl SpanDetail {
    /// Without the bodies, which are read one by one.
    pub(crate) fn new(span: &Span, run: &Run) -> Self {
        let content = span.content.iter().map(|(field, content)| {
            let detail = ContentDetail {
                media_type: content.media_type.clone(),
                bytes: content.bytes,
                place: place(content),
                redactions: content.redactions,
                body: None,
                omitted: None,
            };
            (field.clone(), detail)
        });
        Self {
            span_id: span.span_id.to_string(),
            parent_span_id: span.parent_span_id.map(|id| id.to_string()),
            trace_id: span.trace_id.to_string(),
            execution_id: run.execution_id.to_string(),
            name: span.name.clone(),
            kind: span.kind.as_str(),
            otel_kind: otel_kind(span.otel_kind),
            state: span.text(conventions::WORKFLOW_STATE).map(str::to_owned),
            attempt: span.int(conventions::WORKFLOW_ATTEMPT),
            started_at: span.start.to_rfc3339(),
            finished_at: span.end.map(Timestamp::to_rfc3339),
            start_offset_us: offset_us(span.start, run.started_at),
            duration_us: duration_us(span),
            status: SpanStatus::from(&span.status),
            usage: SpanUsage::of(span),
            cost_usd: cost_usd(span),
            model: model(span),
            flags: flags(span),
            revision: span.revision.0,
            attributes: json_attributes(&span.attributes),
            resource: json_attributes(&span.resource),
            scope: InstrumentationScope {
                name: span.scope.0.clone(),
                version: span.scope.1.clone(),
            },
            events: events(span),
            links: links(span),
            content: content.collect(),
        }
    }
}

impl ContentDetail {
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl From<&Status> for SpanStatus {
    fn from(status: &Status) -> Self {
        let (code, message) = match status {
            Status::Unset => ("unset", None),
            Status::Ok => ("ok", None),
            Status::Error { message } => ("error", Some(message.clone())),
        };
        Self { code, message }
    }
}

impl From<&Content> for ContentSummary {
    fn from(content: &Content) -> Self {
        Self {
            bytes: content.bytes,
            place: place(content),
            redactions: content.redactions,
        }
    }
}

/// OpenTelemetry has it in seconds.
fn time_to_first_token(span: &Span) -> Option<Duration> {
    match span.attributes.get(conventions::TIME_TO_FIRST_CHUNK)? {
        AttributeValue::Double(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        _ => None,
    }
}

impl Callback {
    fn of(span: &Span) -> Option<Self> {
        let resource = span.text(conventions::WORKFLOW_RESOURCE)?;
        let waits = span.kind == SpanKind::Attempt && resource.ends_with(".waitForTaskToken");
        let approved = match span.attributes.get(conventions::APPROVAL_APPROVED) {
            Some(AttributeValue::Bool(approved)) => Some(*approved),
            _ => None,
        };
        let text = |name| span.text(name).map(str::to_owned);
        let waited_ms = span.int(conventions::WORKFLOW_WAIT_MS);
        waits.then(|| Self {
            waiting: span.end.is_none(),
            approved,
            by: text(conventions::APPROVAL_BY),
            at: text(conventions::APPROVAL_AT),
            waited_us: waited_ms
                .and_then(|millis| u64::try_from(millis).ok())
                .map(|millis| millis.saturating_mul(1_000)),
        })
    }
}

impl SpanUsage {
    fn of(span: &Span) -> Option<Self> {
        let usage = Self {
            input_tokens: span.int(conventions::USAGE_INPUT_TOKENS),
            output_tokens: span.int(conventions::USAGE_OUTPUT_TOKENS),
            cached_tokens: span.int(conventions::USAGE_CACHE_READ),
            cache_write_tokens: span.int(conventions::USAGE_CACHE_CREATION),
            reasoning_tokens: span.int(conventions::USAGE_REASONING),
            time_to_first_token_us: time_to_first_token(span).map(micros),
        };
        (usage.input_tokens.is_some() || usage.output_tokens.is_some()).then_some(usage)
    }
}

fn place(content: &Content) -> &'static str {
    match content.body {
        ContentBody::Text(_) | ContentBody::Stored(ContentLocation::Item) => "item",
        ContentBody::Stored(ContentLocation::Chunk(_)) => "chunk",
        ContentBody::Stored(ContentLocation::Object(_)) => "object",
    }
}

fn model(span: &Span) -> Option<String> {
    let model = span
        .text(conventions::RESPONSE_MODEL)
        .or_else(|| span.text(conventions::REQUEST_MODEL));
    model.map(str::to_owned)
}

fn cost_usd(span: &Span) -> Option<f64> {
    span.int(conventions::COST_PICO_USD).map(usd)
}

fn flags(span: &Span) -> Vec<String> {
    let mut flags: Vec<String> = span.flags().map(str::to_owned).collect();
    if span.attributes.get(conventions::COST_UNKNOWN) == Some(&AttributeValue::Bool(true)) {
        flags.push("cost_unknown".to_owned());
    }
    flags
}

fn duration_us(span: &Span) -> Option<u64> {
    span.end.map(|end| micros(end.since(span.start)))
}

fn offset_us(start: Timestamp, run_start: Timestamp) -> i64 {
    let (start, run_start) = (start.as_unix_nanos(), run_start.as_unix_nanos());
    let micros = i64::try_from(start.abs_diff(run_start) / 1_000).unwrap_or(i64::MAX);
    if start < run_start { -micros } else { micros }
}

const fn otel_kind(kind: OtelKind) -> &'static str {
    match kind {
        OtelKind::Internal => "internal",
        OtelKind::Server => "server",
        OtelKind::Client => "client",
        OtelKind::Producer => "producer",
        OtelKind::Consumer => "consumer",
    }
}

fn events(span: &Span) -> Vec<SpanEvent> {
    let events = span.events.iter().map(|event| SpanEvent {
        name: event.name.clone(),
        time: event.time.to_rfc3339(),
        attributes: json_attributes(&event.attributes),
    });
    events.collect()
}

fn links(span: &Span) -> Vec<SpanLink> {
    let links = span.links.iter().map(|link| SpanLink {
        trace_id: link.trace_id.to_string(),
        span_id: link.span_id.to_string(),
        attributes: json_attributes(&link.attributes),
    });
    links.collect()
}

fn json_attributes(attributes: &Attributes) -> Map<String, Value> {
    let pairs = attributes.iter();
    pairs
        .map(|(key, value)| (key.clone(), json_value(value)))
        .collect()
}

/// Bytes become base64, as in OTLP's JSON; what JSON has no number for becomes text.
fn json_value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::String(text) => Value::from(text.as_str()),
        AttributeValue::Bool(value) => Value::from(*value),
        AttributeValue::Int(number) => Value::from(*number),
        AttributeValue::Double(number) => serde_json::Number::from_f64(*number)
            .map_or_else(|| Value::from(number.to_string()), Value::Number),
        AttributeValue::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
        AttributeValue::Array(values) => values.iter().map(json_value).collect(),
        AttributeValue::Map(attributes) => Value::Object(json_attributes(attributes)),
    }
}
