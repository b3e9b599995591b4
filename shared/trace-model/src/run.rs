use std::collections::BTreeMap;

use crate::{ExecutionArn, ExecutionId, SpanId, TenantId, Timestamp, Totals, TraceId};

/// One execution as lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub tenant: TenantId,
    pub execution_id: ExecutionId,
    /// `None` for spans that arrived without an execution.
    pub execution_arn: Option<ExecutionArn>,
    pub trace_id: TraceId,
    pub root_span_id: SpanId,
    /// The state machine's name; without one, what the spans call their workflow or service.
    pub workflow: String,
    pub status: RunStatus,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// How often Step Functions took it up again after it had ended.
    pub redrives: u32,
    /// The failure's error name, masked.
    pub error: Option<String>,
    /// `None` until the first summary.
    pub totals: Option<Totals>,
    /// How many values were masked, by detector.
    pub redactions: BTreeMap<String, u64>,
    /// What a reader should know, in words: clock skew, abandoned spans, a cut history.
    pub notices: Vec<String>,
    /// Grows with each change of what is here; spans come before the totals that count them.
    pub revision: u64,
    pub expires_at: Option<Timestamp>,
}

/// Step Functions' execution status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
    PendingRedrive,
}

impl RunStatus {
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Aborted,
        Self::PendingRedrive,
    ];

    /// As Step Functions spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
            Self::PendingRedrive => "PENDING_REDRIVE",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Running | Self::PendingRedrive)
    }
}
