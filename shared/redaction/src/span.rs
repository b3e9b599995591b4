use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;
use trace_model::{
    AttributeValue, Content, ContentBody, ContentLocation, Span, SpanId, TraceId, conventions,
};

/// A span as it was made. It can be masked, and nothing else: it has no fields to read, no
/// `Serialize`, and a `Debug` that shows its ids alone.
pub struct RawSpan(Span);

/// A span that has been through a policy. Only [`Policy::redact`](crate::Policy::redact) makes
/// one, or [`RedactedSpan::from_stored`] from what was one. Its fields are private, so nothing
/// else can:
///
/// ```compile_fail,E0451
/// # use trace_model::Span;
/// fn pass_off(span: Span) -> redaction::RedactedSpan {
///     redaction::RedactedSpan { span, redactions: Default::default() }
/// }
/// ```
///
/// This does compile:
///
/// ```
/// # use trace_model::Span;
/// fn mask(span: Span) -> redaction::RedactedSpan {
///     redaction::Policy::standard().redact(redaction::RawSpan::from(span))
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RedactedSpan {
    span: Span,
    redactions: BTreeMap<String, u64>,
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("span {span_id} of trace {trace_id} carries no redaction mark: refused")]
pub struct NotRedacted {
    trace_id: TraceId,
    span_id: SpanId,
}

impl From<Span> for RawSpan {
    fn from(span: Span) -> Self {
        Self(span)
    }
}

impl fmt::Debug for RawSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawSpan")
            .field("trace_id", &self.0.trace_id)
            .field("span_id", &self.0.span_id)
            .finish_non_exhaustive()
    }
}

impl RawSpan {
    pub(crate) fn into_span(self) -> Span {
        self.0
    }
}

impl RedactedSpan {
    pub(crate) const fn new(span: Span, redactions: BTreeMap<String, u64>) -> Self {
        Self { span, redactions }
    }

    /// Takes back a span from the store, which holds masked spans only: the mark proves it.
    pub fn from_stored(span: Span) -> Result<Self, NotRedacted> {
        if span.text(conventions::REDACTION_POLICY).is_none() {
            return Err(NotRedacted {
                trace_id: span.trace_id,
                span_id: span.span_id,
            });
        }
        let redactions = match span.attributes.get(conventions::REDACTIONS) {
            Some(AttributeValue::Map(counts)) => counts
                .iter()
                .filter_map(|(detector, count)| {
                    Some((detector.clone(), u64::try_from(count.as_i64()?).ok()?))
                })
                .collect(),
            _ => BTreeMap::new(),
        };
        Ok(Self { span, redactions })
    }

    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// How many values were masked, by detector.
    pub const fn redactions(&self) -> &BTreeMap<String, u64> {
        &self.redactions
    }

    /// A body's text is lost: a notice says so, and how large it was, in its place.
    pub fn content_given_up(&mut self, field: &str) {
        let Some(content) = self.span.content.get_mut(field) else {
            return;
        };
        let notice = format!(
            "[lost: {} bytes. The store did not answer, and the queue takes no value so large.]",
            content.bytes
        );
        *content = Content {
            redactions: content.redactions,
            ..Content::text("text/plain", notice)
        };
        self.span.flag(conventions::FLAG_CONTENT_LOST);
    }

    /// Says where a body was put: the text leaves the structure.
    pub fn content_stored_at(&mut self, field: &str, location: ContentLocation) {
        if let Some(content) = self.span.content.get_mut(field) {
            content.body = ContentBody::Stored(location);
        }
    }
}
