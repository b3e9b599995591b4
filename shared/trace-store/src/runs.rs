use std::collections::BTreeMap;

use trace_model::{Run, TenantId, Totals, TraceId};

use crate::{StoreError, TraceStore};

/// Whether the store changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunWrite {
    Written,
    /// The store knew this, or something newer.
    Unchanged,
}

/// What was computed from a trace's structure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub totals: Totals,
    /// How many values were masked, by detector.
    pub redactions: BTreeMap<String, u64>,
    pub notices: Vec<String>,
    /// [`crate::TraceStructure::revision`] of the structure it was computed from.
    pub structure_revision: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryWrite {
    Written,
    /// A summary of the same or a newer structure is there.
    Outdated,
}

impl TraceStore {
    /// Records that a run has started. A repetition changes nothing, and neither does an open
    /// that comes after its close.
    ///
    /// The trace id comes from the execution's name, which may be used again: a run that
    /// started at another time (by more than a second) is another run. The newest one is the
    /// item `run`, the older ones move to `run#<start>`; they stay in lists, and the reads of
    /// a trace begin at the newest one's start.
    pub async fn open_run(&self, run: &Run) -> Result<RunWrite, StoreError> {
        let _ = run;
        todo!()
    }

    /// Records how a run ended. May come before [`Self::open_run`], and more than once: of two
    /// the one that finished later counts, so a redriven run ends with its last status.
    pub async fn close_run(&self, run: &Run) -> Result<RunWrite, StoreError> {
        let _ = run;
        todo!()
    }

    /// Keeps the summary unless one of a newer structure is there. May come before the run is
    /// opened: then it waits, unseen.
    pub async fn write_summary(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        summary: &Summary,
    ) -> Result<SummaryWrite, StoreError> {
        let _ = (tenant, trace_id, summary);
        todo!()
    }

    /// `None` for what never ran, was not recorded yet, has expired, or is another tenant's.
    pub async fn run(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<Option<Run>, StoreError> {
        let _ = (tenant, trace_id);
        todo!()
    }
}
