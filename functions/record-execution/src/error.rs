use std::error::Error;

use thiserror::Error;
use trace_model::{ExecutionArn, InvalidExecutionArn};
use trace_store::StoreError;

/// Why an execution could not be recorded. Nothing is lost by it: the same call may be
/// repeated.
#[derive(Debug, Error)]
pub enum RecordError {
    #[error("{operation} of execution {arn} failed")]
    StepFunctions {
        /// As AWS spells it.
        operation: &'static str,
        arn: ExecutionArn,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error(
        "execution {arn} does not exist: its history has expired, or it is in another account \
         or region"
    )]
    NoSuchExecution { arn: ExecutionArn },
    #[error("cannot store the trace of execution {arn}")]
    Store {
        arn: ExecutionArn,
        #[source]
        source: StoreError,
    },
    #[error("the message is no execution status change: {problem}")]
    Message { problem: String },
    #[error("the message names no execution")]
    MessageArn(#[source] InvalidExecutionArn),
}
