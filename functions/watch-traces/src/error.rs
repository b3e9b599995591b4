use std::error::Error;

use thiserror::Error;
use trace_store::StoreError;

/// Why a visit ended early. Nothing is lost by it: the next one goes on where it stopped.
#[derive(Debug, Error)]
pub enum WatchError {
    #[error("{operation} failed")]
    StepFunctions {
        /// As AWS spells it.
        operation: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("Step Functions throttles {operation}")]
    Throttled { operation: &'static str },
    #[error("the status queue did not take the executions that have no trace")]
    Queue(#[source] Box<dyn Error + Send + Sync>),
    #[error("the trace store failed")]
    Store(#[from] StoreError),
    #[error("the time of this visit is over")]
    OutOfTime,
    #[error("another visit is at work")]
    Overtaken,
}
