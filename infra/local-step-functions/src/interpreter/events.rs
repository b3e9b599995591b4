//! Which event a state's passage is, and what stands in it.

use serde_json::{Map, Value, json};
use state_language::{IntegrationPattern, Resource, State};

use super::run::ErrorAndCause;
use crate::history::EventType;

pub(super) fn entered(state: &State) -> EventType {
    match state {
        State::Task(_) => EventType::TaskStateEntered,
        State::Pass(_) => EventType::PassStateEntered,
        State::Choice(_) => EventType::ChoiceStateEntered,
        State::Wait(_) => EventType::WaitStateEntered,
        State::Succeed(_) => EventType::SucceedStateEntered,
        State::Fail(_) => EventType::FailStateEntered,
        State::Parallel(_) => EventType::ParallelStateEntered,
        State::Map(_) => EventType::MapStateEntered,
    }
}

/// `None` for Fail, which is never left.
pub(super) fn exited(state: &State) -> Option<EventType> {
    match state {
        State::Task(_) => Some(EventType::TaskStateExited),
        State::Pass(_) => Some(EventType::PassStateExited),
        State::Choice(_) => Some(EventType::ChoiceStateExited),
        State::Wait(_) => Some(EventType::WaitStateExited),
        State::Succeed(_) => Some(EventType::SucceedStateExited),
        State::Parallel(_) => Some(EventType::ParallelStateExited),
        State::Map(_) => Some(EventType::MapStateExited),
        State::Fail(_) => None,
    }
}

/// `None` for states that take no time.
pub(super) fn aborted(state: &State) -> Option<EventType> {
    match state {
        State::Task(_) => Some(EventType::TaskStateAborted),
        State::Wait(_) => Some(EventType::WaitStateAborted),
        State::Parallel(_) => Some(EventType::ParallelStateAborted),
        State::Map(_) => Some(EventType::MapStateAborted),
        State::Pass(_) | State::Choice(_) | State::Succeed(_) | State::Fail(_) => None,
    }
}

pub(super) fn error_and_cause(reason: &ErrorAndCause) -> Value {
    let mut details = Map::new();
    insert_error_and_cause(&mut details, reason);
    Value::Object(details)
}

pub(super) fn iteration(state_name: &str, index: usize) -> Value {
    json!({"name": state_name, "index": index})
}

/// The events of one attempt of a task, which differ between a service
/// integration and a function named by its ARN.
#[derive(Debug, Clone, Copy)]
pub(super) enum TaskEvents<'task> {
    Integration {
        service: &'task str,
        api: &'task str,
        pattern: IntegrationPattern,
    },
    Function {
        arn: &'task str,
    },
}

impl<'task> TaskEvents<'task> {
    pub(super) fn of(resource: &'task Resource) -> Self {
        match resource {
            Resource::Integration {
                service,
                api,
                pattern,
                ..
            } => Self::Integration {
                service,
                api,
                pattern: *pattern,
            },
            other => Self::Function { arn: other.arn() },
        }
    }

    pub(super) fn scheduled(
        self,
        arguments: &Value,
        timeout_seconds: Option<u64>,
        heartbeat_seconds: Option<u64>,
        region: &str,
    ) -> (EventType, Value) {
        let mut details = self.named();
        let arguments = Value::String(arguments.to_string());
        let event_type = match self {
            Self::Integration { .. } => {
                details.insert("region".to_owned(), json!(region));
                details.insert("parameters".to_owned(), arguments);
                if let Some(seconds) = heartbeat_seconds {
                    details.insert("heartbeatInSeconds".to_owned(), json!(seconds));
                }
                EventType::TaskScheduled
            }
            Self::Function { arn } => {
                details.insert("resource".to_owned(), json!(arn));
                details.insert("input".to_owned(), arguments);
                EventType::LambdaFunctionScheduled
            }
        };
        if let Some(seconds) = timeout_seconds {
            details.insert("timeoutInSeconds".to_owned(), json!(seconds));
        }
        (event_type, Value::Object(details))
    }

    pub(super) fn started(self) -> (EventType, Value) {
        match self {
            Self::Integration { .. } => (EventType::TaskStarted, Value::Object(self.named())),
            Self::Function { .. } => (EventType::LambdaFunctionStarted, Value::Null),
        }
    }

    pub(super) fn submitted(self, output: &Value) -> (EventType, Value) {
        (EventType::TaskSubmitted, self.with_output(output))
    }

    pub(super) fn succeeded(self, output: &Value) -> (EventType, Value) {
        let event_type = match self {
            Self::Integration { .. } => EventType::TaskSucceeded,
            Self::Function { .. } => EventType::LambdaFunctionSucceeded,
        };
        (event_type, self.with_output(output))
    }

    pub(super) fn failed(self, reason: &ErrorAndCause) -> (EventType, Value) {
        let event_type = match self {
            Self::Integration { .. } => EventType::TaskFailed,
            Self::Function { .. } => EventType::LambdaFunctionFailed,
        };
        (event_type, self.with_error(reason))
    }

    pub(super) fn timed_out(self, reason: &ErrorAndCause) -> (EventType, Value) {
        let event_type = match self {
            Self::Integration { .. } => EventType::TaskTimedOut,
            Self::Function { .. } => EventType::LambdaFunctionTimedOut,
        };
        (event_type, self.with_error(reason))
    }

    fn named(self) -> Map<String, Value> {
        let mut details = Map::new();
        if let Self::Integration {
            service,
            api,
            pattern,
        } = self
        {
            details.insert("resourceType".to_owned(), json!(service));
            let resource = format!("{api}{}", pattern.suffix());
            details.insert("resource".to_owned(), Value::String(resource));
        }
        details
    }

    fn with_output(self, output: &Value) -> Value {
        let mut details = self.named();
        details.insert("output".to_owned(), Value::String(output.to_string()));
        Value::Object(details)
    }

    fn with_error(self, reason: &ErrorAndCause) -> Value {
        let mut details = self.named();
        insert_error_and_cause(&mut details, reason);
        Value::Object(details)
    }
}

fn insert_error_and_cause(details: &mut Map<String, Value>, reason: &ErrorAndCause) {
    if let Some(error) = &reason.error {
        details.insert("error".to_owned(), json!(error));
    }
    if let Some(cause) = &reason.cause {
        details.insert("cause".to_owned(), json!(cause));
    }
}
