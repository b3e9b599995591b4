//! An execution's history: events with AWS's types, ids and detail keys.

use serde_json::{Map, Value, json};
use trace_model::Timestamp;

/// One event of an execution's history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// From 1, without gaps.
    pub id: i64,
    /// The event that led to this one; 0 for the first of the run.
    pub previous_event_id: i64,
    pub timestamp: Timestamp,
    pub event_type: EventType,
    /// What stands under [`EventType::details_key`]; `Null` where the type has no details.
    pub details: Value,
}

/// Whether input, output and parameters are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionData {
    Include,
    Omit,
}

impl HistoryEvent {
    /// The event as `GetExecutionHistory` answers it. Timestamps are seconds with microseconds.
    pub fn to_json(&self, execution_data: ExecutionData) -> Value {
        let mut event = Map::new();
        event.insert("timestamp".to_owned(), epoch_seconds(self.timestamp));
        event.insert("type".to_owned(), json!(self.event_type.as_str()));
        event.insert("id".to_owned(), json!(self.id));
        event.insert("previousEventId".to_owned(), json!(self.previous_event_id));
        if let (Some(key), Value::Object(details)) = (self.event_type.details_key(), &self.details)
        {
            let mut details = details.clone();
            for (field, note) in [
                ("input", "inputDetails"),
                ("output", "outputDetails"),
                ("assignedVariables", "assignedVariablesDetails"),
                ("parameters", ""),
            ] {
                match execution_data {
                    ExecutionData::Omit => {
                        details.shift_remove(field);
                    }
                    ExecutionData::Include if details.contains_key(field) && !note.is_empty() => {
                        details.insert(note.to_owned(), json!({"truncated": false}));
                    }
                    ExecutionData::Include => {}
                }
            }
            event.insert(key.to_owned(), Value::Object(details));
        }
        Value::Object(event)
    }
}

/// A moment as AWS JSON 1.0 writes it: seconds since the epoch, with a fraction.
pub(crate) fn epoch_seconds(time: Timestamp) -> Value {
    let micros = time.as_unix_nanos() / 1_000;
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds stay below 2^53 until the year 2255"
    )]
    let seconds = micros as f64 / 1e6;
    json!(seconds)
}

macro_rules! event_types {
    ($($name:ident => $details:expr,)*) => {
        /// The event types this engine writes, named as AWS names them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventType {
            $($name,)*
        }

        impl EventType {
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The type of that name; `None` for one this engine never writes.
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The member of the event that holds its details; `None` where there are none.
            pub fn details_key(self) -> Option<&'static str> {
                let key: &'static str = match self {
                    $(Self::$name => $details,)*
                };
                (!key.is_empty()).then_some(key)
            }
        }
    };
}

const ENTERED: &str = "stateEnteredEventDetails";
const EXITED: &str = "stateExitedEventDetails";

event_types! {
    ChoiceStateEntered => ENTERED,
    ChoiceStateExited => EXITED,
    EvaluationFailed => "evaluationFailedEventDetails",
    ExecutionAborted => "executionAbortedEventDetails",
    ExecutionFailed => "executionFailedEventDetails",
    ExecutionRedriven => "executionRedrivenEventDetails",
    ExecutionStarted => "executionStartedEventDetails",
    ExecutionSucceeded => "executionSucceededEventDetails",
    ExecutionTimedOut => "executionTimedOutEventDetails",
    FailStateEntered => ENTERED,
    LambdaFunctionFailed => "lambdaFunctionFailedEventDetails",
    LambdaFunctionScheduled => "lambdaFunctionScheduledEventDetails",
    LambdaFunctionStarted => "",
    LambdaFunctionSucceeded => "lambdaFunctionSucceededEventDetails",
    LambdaFunctionTimedOut => "lambdaFunctionTimedOutEventDetails",
    MapIterationAborted => "mapIterationAbortedEventDetails",
    MapIterationFailed => "mapIterationFailedEventDetails",
    MapIterationStarted => "mapIterationStartedEventDetails",
    MapIterationSucceeded => "mapIterationSucceededEventDetails",
    MapStateAborted => "",
    MapStateEntered => ENTERED,
    MapStateExited => EXITED,
    MapStateFailed => "",
    MapStateStarted => "mapStateStartedEventDetails",
    MapStateSucceeded => "",
    ParallelStateAborted => "",
    ParallelStateEntered => ENTERED,
    ParallelStateExited => EXITED,
    ParallelStateFailed => "",
    ParallelStateStarted => "",
    ParallelStateSucceeded => "",
    PassStateEntered => ENTERED,
    PassStateExited => EXITED,
    SucceedStateEntered => ENTERED,
    SucceedStateExited => EXITED,
    TaskFailed => "taskFailedEventDetails",
    TaskScheduled => "taskScheduledEventDetails",
    TaskStarted => "taskStartedEventDetails",
    TaskStateAborted => "",
    TaskStateEntered => ENTERED,
    TaskStateExited => EXITED,
    TaskSubmitted => "taskSubmittedEventDetails",
    TaskSucceeded => "taskSucceededEventDetails",
    TaskTimedOut => "taskTimedOutEventDetails",
    WaitStateAborted => "",
    WaitStateEntered => ENTERED,
    WaitStateExited => EXITED,
}
