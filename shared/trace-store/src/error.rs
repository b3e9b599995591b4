use std::error::Error;

use redaction::NotRedacted;
use thiserror::Error;

/// Why a call failed. Messages name the operation and the kind of key, never a key's or an
/// item's contents.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("{operation} on {what} failed")]
    Service {
        /// As AWS spells it: `PutItem`, `GetObject`, …
        operation: &'static str,
        /// `structure chunk`, `run`, …
        what: &'static str,
        retryable: bool,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("{operation} left {count} of its {what}s unprocessed after {attempts} attempts; try again later")]
    Unprocessed {
        operation: &'static str,
        what: &'static str,
        count: usize,
        attempts: usize,
    },
    #[error(
        "a {what} has format version {found} and this program reads up to {supported}: \
         run a version of Stepscope at least as new as the one that wrote it"
    )]
    NewerVersion {
        what: &'static str,
        found: u32,
        supported: u32,
    },
    #[error("a stored {what} is damaged: {problem}")]
    Damaged {
        what: &'static str,
        problem: &'static str,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    #[error("the span has no content field {field:?}")]
    NoSuchField { field: String },
    #[error("the content {field:?} is gone from the store: expired, or deleted")]
    ContentGone { field: String },
    #[error("a span of trace {found} was given to be written into trace {expected}")]
    OtherTrace {
        expected: trace_model::TraceId,
        found: trace_model::TraceId,
    },
    #[error("a run that is {status} was given to be {wanted}")]
    WrongStatus {
        status: &'static str,
        wanted: &'static str,
    },
    #[error("the cursor is not one of this list's: start again without it")]
    InvalidCursor,
    #[error("a stored span was never masked, and is not shown")]
    NotRedacted(#[from] NotRedacted),
}

impl StoreError {
    /// Whether the same call may succeed later: throttled, timed out, unreachable.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Service { retryable, .. } => *retryable,
            Self::Unprocessed { .. } => true,
            _ => false,
        }
    }
}
