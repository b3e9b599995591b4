use trace_model::{Run, RunStatus, TenantId, Timestamp};

use crate::{StoreError, TraceStore};

/// Which runs a list shows; everything `None` is every run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFilter {
    pub workflow: Option<String>,
    pub status: Option<RunStatus>,
    /// Inclusive.
    pub started_after: Option<Timestamp>,
    /// Exclusive.
    pub started_before: Option<Timestamp>,
    /// A model that the run called.
    pub model: Option<String>,
    /// The failure's error name.
    pub error: Option<String>,
    pub min_duration: Option<std::time::Duration>,
    pub max_duration: Option<std::time::Duration>,
    /// Input and output tokens together.
    pub min_tokens: Option<u64>,
    pub min_cost: Option<trace_model::Cost>,
}

/// A position in one tenant's list under one filter. Opaque, but neither secret nor sealed:
/// the API does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCursor(String);

/// Newest first. A page may be shorter than the limit and still have a next one.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPage {
    pub runs: Vec<Run>,
    pub next: Option<RunCursor>,
}

impl RunCursor {
    /// From what [`RunCursor::as_str`] gave; checked when it is used.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TraceStore {
    /// The tenant's runs, newest first. `limit` is held between 1 and 1,000.
    pub async fn list_runs(
        &self,
        tenant: &TenantId,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&RunCursor>,
    ) -> Result<RunPage, StoreError> {
        let _ = (tenant, filter, limit, cursor);
        todo!()
    }
}
