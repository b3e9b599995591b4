use std::collections::BTreeMap;

use crate::{AttributeValue, Attributes, Content, SpanId, Timestamp, TraceId, conventions};

/// One span, unmasked: what a tracer makes and redaction takes. Only `redaction` turns it
/// into something that can be stored, exported or logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
    pub revision: Revision,
    pub name: String,
    pub kind: SpanKind,
    pub otel_kind: OtelKind,
    pub start: Timestamp,
    /// `None` while the span is open.
    pub end: Option<Timestamp>,
    pub status: Status,
    /// Small values; large ones are `content`.
    pub attributes: Attributes,
    pub events: Vec<Event>,
    pub links: Vec<Link>,
    /// Large values by field name, such as `gen_ai.input.messages`, `workflow.input`.
    pub content: BTreeMap<String, Content>,
    /// Of the process that made the span: `service.name`, `faas.name`, …
    pub resource: Attributes,
    /// Name and version of the instrumentation.
    pub scope: (String, String),
}

/// Which telling of a span this is. Spans are idempotent on (tenant, trace, span, revision)
/// and of two the higher one counts: what really finished outranks what was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u32);

impl Revision {
    pub const OPENED: Self = Self(0);
    pub const ABANDONED: Self = Self(1);
    pub const FINISHED: Self = Self(2);
}

/// What a span shows of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpanKind {
    /// The whole execution.
    Run,
    State,
    /// One iteration of a Map.
    Iteration,
    /// One try of a Task.
    Attempt,
    /// A function's work within an attempt.
    Node,
    Model,
    Embedding,
    Retrieval,
    Tool,
    Agent,
    Http,
    Storage,
    /// Anything else, such as a function that `#[instrument]` marks.
    Internal,
}

/// OpenTelemetry's span kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OtelKind {
    #[default]
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Unset,
    Ok,
    Error {
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub time: Timestamp,
    pub attributes: Attributes,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub attributes: Attributes,
}

impl Span {
    /// An open span with nothing in it yet.
    pub fn open(
        trace_id: TraceId,
        span_id: SpanId,
        parent_span_id: Option<SpanId>,
        name: impl Into<String>,
        kind: SpanKind,
        start: Timestamp,
    ) -> Self {
        Self {
            trace_id,
            span_id,
            parent_span_id,
            revision: Revision::OPENED,
            name: name.into(),
            kind,
            otel_kind: OtelKind::Internal,
            start,
            end: None,
            status: Status::Unset,
            attributes: Attributes::new(),
            events: Vec::new(),
            links: Vec::new(),
            content: BTreeMap::new(),
            resource: Attributes::new(),
            scope: (String::new(), String::new()),
        }
    }

    /// Ends the span: it becomes its finished revision.
    pub fn finish(&mut self, end: Timestamp, status: Status) {
        self.end = Some(end);
        self.status = status;
        self.revision = Revision::FINISHED;
    }

    pub fn set(&mut self, key: &str, value: impl Into<AttributeValue>) {
        self.attributes.insert(key.to_owned(), value.into());
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).and_then(AttributeValue::as_str)
    }

    pub fn int(&self, key: &str) -> Option<i64> {
        self.attributes.get(key).and_then(AttributeValue::as_i64)
    }

    /// Notes in `stepscope.flags` what a reader should know of the span; once each.
    pub fn flag(&mut self, flag: &str) {
        let flags = self
            .attributes
            .entry(conventions::FLAGS.to_owned())
            .or_insert_with(|| AttributeValue::Array(Vec::new()));
        if !matches!(flags, AttributeValue::Array(_)) {
            *flags = AttributeValue::Array(vec![flags.clone()]);
        }
        if let AttributeValue::Array(flags) = flags
            && !flags.iter().any(|known| known.as_str() == Some(flag))
        {
            flags.push(flag.into());
        }
    }

    pub fn flags(&self) -> impl Iterator<Item = &str> {
        let flags = match self.attributes.get(conventions::FLAGS) {
            Some(AttributeValue::Array(flags)) => flags.as_slice(),
            _ => &[],
        };
        flags.iter().filter_map(AttributeValue::as_str)
    }

    pub const fn is_error(&self) -> bool {
        matches!(self.status, Status::Error { .. })
    }
}

impl SpanKind {
    pub const ALL: [Self; 13] = [
        Self::Run,
        Self::State,
        Self::Iteration,
        Self::Attempt,
        Self::Node,
        Self::Model,
        Self::Embedding,
        Self::Retrieval,
        Self::Tool,
        Self::Agent,
        Self::Http,
        Self::Storage,
        Self::Internal,
    ];

    /// As the API and the stored attribute `stepscope.span.kind` spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::State => "state",
            Self::Iteration => "iteration",
            Self::Attempt => "attempt",
            Self::Node => "node",
            Self::Model => "model",
            Self::Embedding => "embedding",
            Self::Retrieval => "retrieval",
            Self::Tool => "tool",
            Self::Agent => "agent",
            Self::Http => "http",
            Self::Storage => "storage",
            Self::Internal => "internal",
        }
    }

    /// Whether its usage and cost are a model's.
    pub const fn is_model_call(self) -> bool {
        matches!(self, Self::Model | Self::Embedding)
    }

    /// Whether the execution's history alone tells of such spans.
    pub const fn is_of_history(self) -> bool {
        matches!(
            self,
            Self::Run | Self::State | Self::Iteration | Self::Attempt
        )
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
