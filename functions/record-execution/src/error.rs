use std::error::Error;

use aws_sdk_sfn::config::http::HttpResponse;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
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
    #[error("{operation} failed for the state machine {state_machine}")]
    StateMachine {
        /// As AWS spells it.
        operation: &'static str,
        state_machine: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("DescribeMapRun failed for {map_run}")]
    MapRun {
        map_run: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("there is no state machine {state_machine} in this account and region")]
    NoSuchStateMachine { state_machine: String },
    #[error(
        "{state_machine} is an Express workflow: Step Functions keeps no history of its \
         executions, so there is nothing to make a trace of"
    )]
    Express { state_machine: String },
    #[error("Step Functions takes no more requests at the moment: {operation}")]
    Throttled { operation: &'static str },
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

impl RecordError {
    pub(crate) fn of_execution<E>(
        operation: &'static str,
        arn: &ExecutionArn,
        error: SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match error.code() {
            Some("ExecutionDoesNotExist") => Self::NoSuchExecution { arn: arn.clone() },
            Some(code) if is_throttling(code) => Self::Throttled { operation },
            _ => Self::StepFunctions {
                operation,
                arn: arn.clone(),
                source: Box::new(error),
            },
        }
    }

    pub(crate) fn of_state_machine<E>(
        operation: &'static str,
        state_machine: &str,
        error: SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let state_machine = state_machine.to_owned();
        match error.code() {
            Some("StateMachineDoesNotExist") => Self::NoSuchStateMachine { state_machine },
            Some(code) if is_throttling(code) => Self::Throttled { operation },
            _ => Self::StateMachine {
                operation,
                state_machine,
                source: Box::new(error),
            },
        }
    }

    pub(crate) fn of_map_run<E>(map_run: &str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let operation = "DescribeMapRun";
        match error.code() {
            Some(code) if is_throttling(code) => Self::Throttled { operation },
            _ => Self::MapRun {
                map_run: map_run.to_owned(),
                source: Box::new(error),
            },
        }
    }

    /// That waiting helps, and nothing else is wrong.
    pub const fn is_throttled(&self) -> bool {
        matches!(self, Self::Throttled { .. })
    }
}

fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded"
    )
}
