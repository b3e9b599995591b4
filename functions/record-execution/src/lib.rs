//! Makes a trace of an execution's history: the run, its states, iterations and attempts.
//!
//! [`HistoryRecorder`] is the core, without IO. What happens inside a function is not its
//! business, and neither are totals; it never changes an execution.

mod attempt;
mod failure;
pub mod flags;
mod parameters;
mod recorder;
mod tenant;
mod tree;

pub use recorder::{
    ERROR_LOCATION, HistoryRecorder, MAP_LENGTH, MAP_RUN_ARN, REDRIVE_COUNT, ROUND,
    RecorderOptions, RunOutline, STATE_MACHINE_VERSION_ARN,
};
