//! API requests that change something, once they have been read.

use std::sync::Arc;

use serde_json::Value;
use state_language::StateMachine;

use crate::interpreter::{ErrorAndCause, TaskToken};

#[derive(Debug)]
pub(crate) enum Request {
    CreateStateMachine {
        name: String,
        definition: String,
        machine: Arc<StateMachine>,
        role_arn: String,
        tags: Value,
        settings: Value,
    },
    UpdateStateMachine {
        name: String,
        definition: Option<(String, Arc<StateMachine>)>,
        role_arn: Option<String>,
        settings: Value,
    },
    DeleteStateMachine {
        name: String,
    },
    TagResource {
        name: String,
        tags: Value,
    },
    UntagResource {
        name: String,
        keys: Vec<String>,
    },
    StartExecution(Start),
    StopExecution {
        arn: String,
        reason: ErrorAndCause,
    },
    RedriveExecution {
        arn: String,
        /// Of the caller, for whom the same token is the same redrive.
        token: Option<String>,
    },
    EndTask {
        token: TaskToken,
        result: Result<Value, ErrorAndCause>,
    },
    Heartbeat {
        token: TaskToken,
    },
}

/// An execution to be started.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) machine: String,
    /// `None`: a random one.
    pub(crate) name: Option<String>,
    pub(crate) input_text: String,
    pub(crate) input: Value,
}
