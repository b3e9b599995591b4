use std::error::Error;

use redaction::NotRedacted;
use thiserror::Error;
use trace_model::{SpanId, TraceId};

/// Why a call failed. Messages name the operation and the kind of key, never a key's or an
/// item's contents.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("{operation} of a {what} failed")]
    Service {
        /// As AWS spells it: `PutItem`, `GetObject`, …
        operation: &'static str,
        /// `structure chunk`, `run`, …
        what: &'static str,
        retryable: bool,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("{operation} left {count} of its items ({what}) unprocessed: try again later")]
    Unprocessed {
        operation: &'static str,
        what: &'static str,
        count: usize,
    },
    #[error("a span's text is larger than a message of the queue holds: it waits for the store")]
    TooLargeForQueue,
    #[error("the queue refuses a message of spans for good: {code}")]
    QueueRefused { code: String },
    #[error(
        "a stored {what} has format version {found} and this program reads up to {supported}: \
         use a version of Stepscope at least as new as the one that wrote it"
    )]
    NewerVersion {
        what: &'static str,
        found: u32,
        supported: u32,
    },
    #[error("a stored {what} is damaged: {problem}")]
    Damaged {
        what: &'static str,
        problem: String,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    #[error("the span has no content field {field:?}")]
    NoSuchField { field: String },
    #[error("the content {field:?} is gone from the store: it expired, or was deleted")]
    ContentGone { field: String },
    #[error("span {span_id} belongs to trace {found}, and was given to be written into {expected}")]
    OtherTrace {
        span_id: SpanId,
        expected: TraceId,
        found: TraceId,
    },
    #[error(
        "the content {field:?} of span {span_id} lies in another item already: \
         a span is written with its texts, or not at all"
    )]
    TextElsewhere { span_id: SpanId, field: String },
    #[error("a run that is {status} cannot be recorded as {wanted}")]
    WrongStatus {
        status: &'static str,
        wanted: &'static str,
    },
    #[error("the cursor is not one of this list's: start again without it")]
    InvalidCursor,
    #[error("the payload is refused: {problem}")]
    PayloadRefused { problem: &'static str },
    #[error("the payload is gone from the store: it expired, or was deleted")]
    PayloadGone,
    #[error("the payload is not the one that was written: {problem}")]
    PayloadAltered { problem: &'static str },
    #[error("a link lives five minutes at most")]
    LinkTooLong,
    #[error("other writers kept changing the {0} meanwhile: try again")]
    Contended(&'static str),
    #[error("a stored span was never masked, and is not shown")]
    NotRedacted(#[from] NotRedacted),
}

impl StoreError {
    /// Whether the same call may succeed later: throttled, timed out, unreachable.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Service { retryable, .. } => *retryable,
            Self::Unprocessed { .. } | Self::TooLargeForQueue | Self::Contended(_) => true,
            _ => false,
        }
    }

    /// Whether what is stored is to blame, so that reading it again ends the same way. What a
    /// service refused is not: a missing permission or table can be put right meanwhile.
    pub const fn is_of_what_is_stored(&self) -> bool {
        match self {
            Self::Service { .. }
            | Self::Unprocessed { .. }
            | Self::QueueRefused { .. }
            | Self::TooLargeForQueue
            | Self::Contended(_) => false,
            Self::NewerVersion { .. }
            | Self::Damaged { .. }
            | Self::NoSuchField { .. }
            | Self::ContentGone { .. }
            | Self::OtherTrace { .. }
            | Self::TextElsewhere { .. }
            | Self::WrongStatus { .. }
            | Self::InvalidCursor
            | Self::PayloadRefused { .. }
            | Self::PayloadGone
            | Self::PayloadAltered { .. }
            | Self::LinkTooLong
            | Self::NotRedacted(_) => true,
        }
    }

    pub(crate) fn damaged(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Damaged {
            what,
            problem: problem.into(),
            source: None,
        }
    }

    pub(crate) fn damaged_by(
        what: &'static str,
        problem: &'static str,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self::Damaged {
            what,
            problem: problem.to_owned(),
            source: Some(Box::new(source)),
        }
    }
}
