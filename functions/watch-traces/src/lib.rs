//! On a schedule: makes the store say what happened, where an event or a write was lost.
//!
//! Each visit compares the executions of the traced state machines with the runs in the store;
//! what has no trace, or an unfinished one, goes into the recorder's queue. It ends as abandoned
//! what dead functions left open, has lost totals computed again, and deletes objects that
//! nothing points to. What a visit has no time for, the next one does.
//!
//! Deliberately absent: reading histories, which is the recorder's, so what it says is said
//! once; Express executions, which Step Functions does not list; the child executions of a
//! distributed Map, which are listed by map run only; payloads, which expire.

mod error;
mod execution;
mod judgement;
mod machines;
mod memory;
mod outstanding;
mod redrives;
mod report;
mod review;
mod status_queue;
mod step_functions;
mod sweep;
mod visit;
mod watcher;

pub use error::WatchError;
pub use judgement::GRACE;
pub use report::{Interruption, Report};
pub use review::SETTLED;
pub use status_queue::{SqsStatusQueue, StatusChange, StatusQueue};
pub use watcher::Watcher;
