//! Makes a trace of an execution's history: the run, its states, iterations and attempts.
//!
//! [`HistoryRecorder`] is the core, without IO; [`Recorder`] reads a history and stores what it
//! tells; [`LiveRecording`] does so while the history grows. What happens inside a function is
//! not its business, and neither are totals; it never changes an execution.

mod attempt;
mod ending;
mod error;
mod failure;
pub mod flags;
mod handler;
mod live;
mod model_task;
mod parameters;
mod past;
mod record;
mod recorder;
mod rounds;
mod state;
mod tenant;
mod tree;

pub use ending::REDRIVE_EVENT;
pub use error::RecordError;
pub use handler::handle;
pub use live::{LiveRecording, Progress, Telling};
pub use past::{HISTORIES_LIVE, Import, PastExecutions};
pub use record::Recorder;
pub use recorder::{
    ERROR_LOCATION, HistoryRecorder, MAP_LENGTH, MAP_RUN_ARN, MapRun, ROUND, RecorderOptions,
    RunOutline, STATE_MACHINE_VERSION_ARN,
};
