//! Which tasks of an execution wait for their token to come back, read from its history newest
//! event first. No IO.
//!
//! The token is kept nowhere else: Step Functions' record of what it sent to the task has it.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Type};
use serde_json::Value;
use trace_model::{
    ExecutionArn, SpanId, Timestamp, TraceId, Traceparent, names_a_task_token, task_payloads,
};

use crate::routes::executions::aws_time;

/// How a resource ends whose task is answered with its token.
const WAITS_FOR_TOKEN: &str = ".waitForTaskToken";

/// What `run-node` calls the node that asks a person.
const APPROVAL_NODE: &str = "approval";

/// One attempt of a task that is answered with its token.
#[derive(Debug)]
pub(crate) struct CallbackTask {
    /// The attempt's, as the recorder gives it.
    pub span_id: SpanId,
    /// Empty where the history does not reach back to its state.
    pub state: String,
    pub scheduled_at: Timestamp,
    pub timeout_seconds: Option<i64>,
    pub heartbeat_seconds: Option<i64>,
    pub node: TaskKind,
    /// Not masked.
    pub question: Option<String>,
    /// `None` when the payload names none.
    pub token: Option<TaskToken>,
    pub standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskKind {
    Approval,
    Other,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Standing {
    Waits,
    /// Somebody sent this.
    Answered(Value),
    /// It failed, timed out, or was ended with what it was part of.
    Ended {
        how: Cow<'static, str>,
    },
}

/// A credential: whoever holds it can answer for the task.
pub(crate) struct TaskToken(String);

impl TaskToken {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for TaskToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TaskToken([hidden])")
    }
}

/// Takes a history's events, newest first.
#[derive(Debug)]
pub(crate) struct CallbackTasks {
    arn: ExecutionArn,
    found: Vec<CallbackTask>,
    /// What came after an event in its own chain, by that event's id.
    followers: HashMap<i64, Follower>,
    /// Tasks that look for their state's name, by the id of the event that may have it.
    nameless: HashMap<i64, usize>,
    /// The execution ended after the events that are still to come.
    ended: Option<&'static str>,
}

#[derive(Debug)]
struct Follower {
    id: i64,
    what: Followed,
}

#[derive(Debug)]
enum Followed {
    Started,
    Submitted { question: Option<String> },
    Succeeded { output: Value },
    Otherwise { how: Cow<'static, str> },
}

impl CallbackTasks {
    pub(crate) fn new(arn: ExecutionArn) -> Self {
        Self {
            arn,
            found: Vec::new(),
            followers: HashMap::new(),
            nameless: HashMap::new(),
            ended: None,
        }
    }

    /// Newest first.
    pub(crate) fn found(&self) -> &[CallbackTask] {
        &self.found
    }

    /// The execution ended there, for good or until it was redriven: nothing older waits.
    pub(crate) const fn reached_an_end(&self) -> bool {
        self.ended.is_some()
    }

    pub(crate) fn take(&mut self, event: &HistoryEvent) {
        self.name(event);
        self.ended = match &event.r#type {
            Type::ExecutionFailed => Some("the execution failed"),
            Type::ExecutionTimedOut => Some("the execution timed out"),
            Type::ExecutionAborted => Some("the execution was stopped"),
            Type::ExecutionSucceeded => Some("the execution succeeded"),
            _ => self.ended,
        };
        self.take_scheduled(event);
        let follower = Follower {
            id: event.id,
            what: Followed::of(event),
        };
        // A redrive schedules a task anew after the event that ended it: the first to follow,
        // which comes last here, is the one that counts.
        self.followers.insert(event.previous_event_id, follower);
    }

    fn take_scheduled(&mut self, event: &HistoryEvent) {
        let Some(details) = &event.task_scheduled_event_details else {
            return;
        };
        if !details.resource.ends_with(WAITS_FOR_TOKEN) {
            return;
        }
        let parameters: Value = serde_json::from_str(&details.parameters).unwrap_or_default();
        let payloads = task_payloads(&parameters);
        // A node's may be a template, which it renders when it asks.
        let asked = payloads.iter().find_map(question);
        let asked = asked.filter(|question| !question.contains("{{"));
        let (standing, submitted) = self.standing(event.id);
        let is_approval = payloads
            .iter()
            .any(|payload| payload.get("node").and_then(Value::as_str) == Some(APPROVAL_NODE));
        self.nameless
            .insert(event.previous_event_id, self.found.len());
        self.found.push(CallbackTask {
            span_id: self.span_id(event.id, &payloads),
            state: String::new(),
            scheduled_at: aws_time(&event.timestamp),
            timeout_seconds: details.timeout_in_seconds,
            heartbeat_seconds: details.heartbeat_in_seconds,
            node: if is_approval {
                TaskKind::Approval
            } else {
                TaskKind::Other
            },
            question: submitted.or(asked),
            token: task_token(&parameters).map(TaskToken),
            standing,
        });
    }

    /// How the attempt that was scheduled by that event stands, and the question its node has
    /// asked.
    fn standing(&self, scheduled: i64) -> (Standing, Option<String>) {
        let mut question = None;
        let mut id = scheduled;
        while let Some(follower) = self.followers.get(&id) {
            match &follower.what {
                Followed::Started => {}
                Followed::Submitted { question: asked } => question.clone_from(asked),
                Followed::Succeeded { output } => {
                    return (Standing::Answered(output.clone()), question);
                }
                Followed::Otherwise { how } => {
                    return (Standing::Ended { how: how.clone() }, question);
                }
            }
            id = follower.id;
        }
        let standing = match self.ended {
            Some(how) => Standing::Ended {
                how: Cow::Borrowed(how),
            },
            None => Standing::Waits,
        };
        (standing, question)
    }

    /// As the recorder decides it: what was sent to the task, if it is of this trace.
    fn span_id(&self, event_id: i64, payloads: &[Value]) -> SpanId {
        let sent = payloads
            .iter()
            .find_map(|payload| payload.pointer("/headers/traceparent")?.as_str())
            .and_then(|text| Traceparent::parse(text).ok())
            .filter(|sent| sent.trace_id == TraceId::of_execution(&self.arn));
        sent.map_or_else(
            || SpanId::of_history_event(&self.arn, event_id),
            |sent| sent.span_id,
        )
    }

    fn name(&mut self, event: &HistoryEvent) {
        let Some(index) = self.nameless.remove(&event.id) else {
            return;
        };
        match &event.state_entered_event_details {
            Some(entered) => self.found[index].state.clone_from(&entered.name),
            None => {
                self.nameless.insert(event.previous_event_id, index);
            }
        }
    }
}

impl Followed {
    fn of(event: &HistoryEvent) -> Self {
        match &event.r#type {
            Type::TaskStarted => Self::Started,
            Type::TaskSubmitted => {
                let details = event.task_submitted_event_details.as_ref();
                let output = details
                    .filter(|details| details.resource.ends_with(WAITS_FOR_TOKEN))
                    .and_then(|details| details.output.as_deref());
                let output = output.and_then(|text| serde_json::from_str::<Value>(text).ok());
                let payloads = output.as_ref().map(task_payloads).unwrap_or_default();
                Self::Submitted {
                    question: payloads.iter().find_map(question),
                }
            }
            Type::TaskSucceeded => {
                let details = event.task_succeeded_event_details.as_ref();
                let output = details
                    .filter(|details| details.resource.ends_with(WAITS_FOR_TOKEN))
                    .and_then(|details| details.output.as_deref());
                let output = output.and_then(|text| serde_json::from_str(text).ok());
                Self::Succeeded {
                    output: output.unwrap_or_default(),
                }
            }
            Type::TaskFailed => Self::Otherwise {
                how: failed(
                    event
                        .task_failed_event_details
                        .as_ref()
                        .and_then(|details| details.error.as_deref()),
                ),
            },
            Type::TaskTimedOut => Self::Otherwise {
                how: Cow::Borrowed("it timed out"),
            },
            _ => Self::Otherwise {
                how: Cow::Borrowed("what it was part of ended"),
            },
        }
    }
}

fn failed(error: Option<&str>) -> Cow<'static, str> {
    match error {
        Some(error) => Cow::Owned(format!("it failed with {error}")),
        None => Cow::Borrowed("it failed"),
    }
}

fn question(payload: &Value) -> Option<String> {
    ["/question", "/parameters/question"]
        .into_iter()
        .find_map(|place| payload.pointer(place)?.as_str())
        .map(str::to_owned)
}

/// The member named `task_token`, `TaskToken` or alike, the nearest to the top.
fn task_token(value: &Value) -> Option<String> {
    let inner = |value: &Value| match value {
        Value::Object(members) => members.values().find_map(task_token),
        Value::Array(items) => items.iter().find_map(task_token),
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            task_token(&serde_json::from_str(text).ok()?)
        }
        _ => None,
    };
    let own = value.as_object().and_then(|members| {
        members
            .iter()
            .filter(|(key, _)| names_a_task_token(key))
            .find_map(|(_, value)| value.as_str())
    });
    own.map(str::to_owned).or_else(|| inner(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_token(parameters: &Value, expected: Option<&str>) {
        assert_eq!(
            task_token(parameters).as_deref(),
            expected,
            "{parameters:#}"
        );
    }

    #[test]
    fn the_token_is_the_member_of_that_name() {
        check_token(&json!({"Payload": {"task_token": "t"}}), Some("t"));
        check_token(&json!({"Payload": {"TaskToken": "t"}}), Some("t"));
        check_token(
            &json!({"Payload": {"a": [{"my-taskToken": "t"}]}}),
            Some("t"),
        );
        check_token(&json!({"MessageBody": "{\"taskToken\":\"t\"}"}), Some("t"));
        check_token(
            &json!({"Payload": {"a": {"task_token": "inner"}, "task_token": "t"}}),
            Some("t"),
        );
        check_token(&json!({"Payload": {"token": "t", "task_token": 7}}), None);
        check_token(&json!("task_token"), None);
    }

    #[test]
    fn a_token_is_in_no_debug_output() {
        let token = TaskToken("secret".to_owned());
        assert!(!format!("{token:?}").contains("secret"));
    }
}
