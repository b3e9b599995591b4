//! What can go wrong: opening and running the engine ([`Error`]), and one
//! request to its API ([`AwsError`]).

use std::path::PathBuf;

/// Opening the engine or keeping it going.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the folder {} cannot be made", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the database {} cannot be opened: is another process using it?", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error(
        "the database {} has schema version {found}, this program knows {known}: use the newer program that wrote it, or another data folder",
        path.display()
    )]
    NewerSchema {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error("reading or writing executions failed: {operation}")]
    Storage {
        operation: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the stored {what} of execution {execution} cannot be read")]
    Stored {
        what: &'static str,
        execution: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the engine has been shut down")]
    ShutDown,
    #[error("a storage thread ended early")]
    Thread(#[source] tokio::task::JoinError),
}

impl Error {
    pub(crate) fn storage(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Storage { operation, source }
    }
}

/// A refused API request, with the name AWS gives the refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// AWS's exception name, as `__type` carries it.
    pub code: &'static str,
    pub message: String,
}

impl AwsError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    pub(crate) fn invalid_arn(arn: &str) -> Self {
        Self::new(
            "InvalidArn",
            format!("Invalid Arn: 'Invalid ARN prefix: {arn}'"),
        )
    }

    pub(crate) fn no_execution(arn: &str) -> Self {
        Self::new(
            "ExecutionDoesNotExist",
            format!("Execution Does Not Exist: '{arn}'"),
        )
    }

    pub(crate) fn no_state_machine(arn: &str) -> Self {
        Self::new(
            "StateMachineDoesNotExist",
            format!("State Machine Does Not Exist: '{arn}'"),
        )
    }

    /// The HTTP status the AWS JSON 1.0 protocol answers with.
    pub fn http_status(&self) -> u16 {
        match self.code {
            "InternalFailure" => 500,
            "ServiceUnavailable" => 503,
            _ => 400,
        }
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        if matches!(error, Error::ShutDown) {
            return Self::new("ServiceUnavailable", error.to_string());
        }
        // The inside goes to the log, not to the caller.
        tracing::error!(error = &error as &dyn std::error::Error, "request failed");
        Self::new("InternalFailure", error.to_string())
    }
}
