use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;
use trace_model::{ContentBody, ContentLocation, Span, SpanId, TraceId, conventions};

use crate::{Policy, RedactedText};

/// A span as it was made. It can be masked, and nothing else.
pub struct RawSpan(Span);

/// A span that has been through a policy. Only [`Policy::redact`] makes one, or
/// [`RedactedSpan::from_stored`] from what was one.
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

impl Policy {
    /// Masks everything in the span that a person could have written.
    pub fn redact(&self, raw: RawSpan) -> RedactedSpan {
        let mut span = raw.0;
        span.set(conventions::REDACTION_POLICY, self.name());
        RedactedSpan {
            span,
            redactions: BTreeMap::new(),
        }
    }

    pub fn redact_text(&self, text: &str) -> RedactedText {
        RedactedText::new(text.to_owned(), 0)
    }
}

impl RedactedSpan {
    /// Takes back a span from the store, which holds masked spans only: the mark proves it.
    pub fn from_stored(span: Span) -> Result<Self, NotRedacted> {
        if span.text(conventions::REDACTION_POLICY).is_none() {
            return Err(NotRedacted {
                trace_id: span.trace_id,
                span_id: span.span_id,
            });
        }
        Ok(Self {
            span,
            redactions: BTreeMap::new(),
        })
    }

    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// How many values were masked, by detector.
    pub const fn redactions(&self) -> &BTreeMap<String, u64> {
        &self.redactions
    }

    /// Says where a body was put: the text leaves the structure.
    pub fn content_stored_at(&mut self, field: &str, location: ContentLocation) {
        if let Some(content) = self.span.content.get_mut(field) {
            content.body = ContentBody::Stored(location);
        }
    }
}
