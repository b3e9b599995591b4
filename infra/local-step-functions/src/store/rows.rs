//! What the tables hold.

use serde_json::Value;
use trace_model::Timestamp;

pub(crate) type RowId = i64;

/// A state machine as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// Object of string values.
    pub(crate) tags: Value,
    pub(crate) revision: Revision,
}

/// A definition as it was at some time: executions keep the one they started with.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) id: RowId,
    /// Changes with every update, as AWS shows it.
    pub(crate) uuid: String,
    pub(crate) machine: String,
    pub(crate) definition: String,
    pub(crate) role_arn: String,
    /// Logging, tracing and encryption configuration, kept to be described again.
    pub(crate) settings: Value,
    pub(crate) created: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(crate) id: RowId,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) machine: String,
    pub(crate) revision: RowId,
    pub(crate) status: String,
    pub(crate) input: String,
    pub(crate) output: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) started: Timestamp,
    pub(crate) stopped: Option<Timestamp>,
    pub(crate) last_event_id: i64,
    pub(crate) next_frame_id: i64,
    pub(crate) redrive_count: u32,
    /// When it was redriven last.
    pub(crate) redriven: Option<Timestamp>,
    /// Whether what it stood at when it ended badly is still there.
    pub(crate) frames: Frames,
    pub(crate) machine_is: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frames {
    Kept,
    /// An earlier version of this program did not keep them.
    Dropped,
}

/// Of an execution's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    There,
    Deleted,
}
