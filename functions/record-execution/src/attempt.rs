//! Attempts: a Task's tries, from being scheduled to their answer.

use std::time::Duration;

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Type};
use trace_model::{
    Content, ExecutionArn, Link, Span, SpanId, SpanKind, Status, Timestamp, apply_cost, conventions,
};

use crate::failure::Failure;
use crate::flags;
use crate::model_task::ModelTask;
use crate::parameters::{Parameters, TokenUse};
use crate::recorder::{HistoryRecorder, Position};
use crate::tree::{
    Closing, NodeId, Outcome, Shape, add_content, add_link_to_execution, span_of_event,
};

/// What the events that schedule an attempt have in common.
pub(crate) struct Scheduled<'event> {
    /// `lambda:invoke`, or a function's or activity's ARN.
    resource: String,
    parameters: Option<&'event str>,
    token_use: TokenUse,
    truncated: bool,
}

/// What the events that end one have in common.
pub(crate) enum AttemptEnd<'event> {
    Succeeded { output: Option<&'event str> },
    Failed(Failure),
}

impl<'event> Scheduled<'event> {
    pub(crate) fn of(event: &'event HistoryEvent) -> Option<Self> {
        if let Some(details) = &event.task_scheduled_event_details {
            return Some(Self {
                resource: format!("{}:{}", details.resource_type, details.resource),
                parameters: Some(&details.parameters),
                token_use: if details.resource.ends_with(".waitForTaskToken") {
                    TokenUse::Expected
                } else {
                    TokenUse::Unlikely
                },
                truncated: false,
            });
        }
        if let Some(details) = &event.lambda_function_scheduled_event_details {
            return Some(Self {
                resource: details.resource.clone(),
                parameters: details.input.as_deref(),
                token_use: TokenUse::Unlikely,
                truncated: details
                    .input_details
                    .as_ref()
                    .is_some_and(|details| details.truncated),
            });
        }
        let details = event.activity_scheduled_event_details.as_ref()?;
        Some(Self {
            resource: details.resource.clone(),
            parameters: details.input.as_deref(),
            token_use: TokenUse::Unlikely,
            truncated: details
                .input_details
                .as_ref()
                .is_some_and(|details| details.truncated),
        })
    }
}

macro_rules! failure_of {
    ($details:expr) => {{
        let details = $details.as_ref();
        let error = details.and_then(|details| details.error.as_deref());
        let cause = details.and_then(|details| details.cause.as_deref());
        Some(AttemptEnd::Failed(Failure::new(error, cause)))
    }};
}

macro_rules! output_of {
    ($details:expr) => {{
        let output = $details
            .as_ref()
            .and_then(|details| details.output.as_deref());
        Some(AttemptEnd::Succeeded { output })
    }};
}

impl<'event> AttemptEnd<'event> {
    pub(crate) fn of(event: &'event HistoryEvent) -> Option<Self> {
        match &event.r#type {
            Type::TaskSucceeded => output_of!(event.task_succeeded_event_details),
            Type::LambdaFunctionSucceeded => {
                output_of!(event.lambda_function_succeeded_event_details)
            }
            Type::ActivitySucceeded => output_of!(event.activity_succeeded_event_details),
            Type::TaskFailed => failure_of!(event.task_failed_event_details),
            Type::TaskStartFailed => failure_of!(event.task_start_failed_event_details),
            Type::TaskSubmitFailed => failure_of!(event.task_submit_failed_event_details),
            Type::TaskTimedOut => failure_of!(event.task_timed_out_event_details),
            Type::LambdaFunctionFailed => failure_of!(event.lambda_function_failed_event_details),
            Type::LambdaFunctionScheduleFailed => {
                failure_of!(event.lambda_function_schedule_failed_event_details)
            }
            Type::LambdaFunctionStartFailed => {
                failure_of!(event.lambda_function_start_failed_event_details)
            }
            Type::LambdaFunctionTimedOut => {
                failure_of!(event.lambda_function_timed_out_event_details)
            }
            Type::ActivityFailed => failure_of!(event.activity_failed_event_details),
            Type::ActivityScheduleFailed => {
                failure_of!(event.activity_schedule_failed_event_details)
            }
            Type::ActivityTimedOut => failure_of!(event.activity_timed_out_event_details),
            _ => None,
        }
    }
}

impl HistoryRecorder {
    pub(crate) fn attempt_scheduled(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
        scheduled: &Scheduled<'_>,
    ) -> Position {
        let state = self
            .tree
            .upwards(from.node)
            .find(|id| self.state(*id).is_some());
        let parent = state.unwrap_or(from.node);
        let read = scheduled.parameters.map_or_else(Parameters::none, |text| {
            Parameters::read(text, scheduled.token_use)
        });
        self.tree.reopen(parent);
        let node = self.tree.node_mut(parent);
        node.failure = None;
        let state_name = node.span.name.clone();
        let parent_span_id = node.span.span_id;
        let (attempt, delay) = match &mut node.shape {
            Shape::State(progress) => {
                progress.attempts += 1;
                let waited = progress.last_attempt_end.map(|end| at.since(end));
                (progress.attempts, waited)
            }
            _ => (1, None),
        };
        let name = format!("{state_name} attempt {attempt}");
        let mut span = span_of_event(
            &self.arn,
            self.trace_id,
            event.id,
            name,
            SpanKind::Attempt,
            at,
        );
        self.describe(&mut span);
        self.take_traceparent(&mut span, &read);
        span.parent_span_id = Some(parent_span_id);
        span.set(conventions::WORKFLOW_STATE, state_name.as_str());
        span.set(conventions::WORKFLOW_ATTEMPT, attempt);
        span.set(conventions::WORKFLOW_RESOURCE, scheduled.resource.as_str());
        if let Some(delay) = delay {
            span.set(conventions::WORKFLOW_RETRY_DELAY_MS, millis(delay));
        }
        if scheduled.truncated {
            span.flag(flags::TRUNCATED);
        }
        match (&read.kept, scheduled.parameters) {
            (Some(kept), _) => add_content(&mut span, conventions::INPUT, kept),
            (None, Some(_)) => span.flag(flags::PARAMETERS_DROPPED),
            (None, None) => {}
        }
        let place = format!("the payload of {state_name}");
        self.tenants.saw_payload(read.tenant, read.tracing, &place);
        Position::inside(self.tree.open(span, Some(parent), None, Shape::Attempt))
    }

    pub(crate) fn attempt_started(&mut self, at: Timestamp, from: Position) -> Position {
        if let Some(id) = self.attempt(from) {
            let span = &mut self.tree.node_mut(id).span;
            let queued = millis(at.since(span.start));
            span.set(conventions::WORKFLOW_QUEUE_MS, queued);
        }
        from
    }

    /// What is answered elsewhere was handed over: a job, or a task token. The output names the
    /// execution that `states:startExecution` started. Told at once, for the answer may take days.
    pub(crate) fn attempt_submitted(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
    ) -> Position {
        let details = event.task_submitted_event_details.as_ref();
        let output = details.and_then(|details| details.output.as_deref());
        let Some(id) = self.attempt(from) else {
            return from;
        };
        if let Some(output) = output {
            self.link_started_execution(id, output);
        }
        let node = self.tree.node_mut(id);
        node.submitted_at = Some(at);
        let ran = millis(at.since(node.span.start));
        node.span.set(conventions::WORKFLOW_RUN_MS, ran);
        self.tree.tell_again(id);
        from
    }

    pub(crate) fn attempt_ended(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
        end: AttemptEnd<'_>,
    ) -> Position {
        let Some(id) = self.attempt(from) else {
            // It failed before it was scheduled: the state's own failure.
            if let AttemptEnd::Failed(failure) = end {
                self.tree.node_mut(from.node).failure = Some(failure);
            }
            return from;
        };
        let state = self.tree.node(id).parent.unwrap_or(id);
        let outcome = match end {
            AttemptEnd::Succeeded { output } => {
                if let Some(output) = output {
                    self.link_started_execution(id, output);
                    note_decision(&mut self.tree.node_mut(id).span, output);
                    add_content(
                        &mut self.tree.node_mut(id).span,
                        conventions::OUTPUT,
                        output,
                    );
                }
                Outcome::Succeeded
            }
            AttemptEnd::Failed(failure) => {
                self.tree.node_mut(state).failure = Some(failure.clone());
                Outcome::Failed(failure)
            }
        };
        self.model_called(event, id, at, &outcome);
        self.tree.close(id, at, outcome, Closing::ForGood);
        if let Shape::State(progress) = &mut self.tree.node_mut(state).shape {
            progress.last_attempt_end = Some(at);
        }
        Position::inside(state)
    }

    /// A task that called a model itself: the call is a span below the attempt, from when the
    /// task had started.
    fn model_called(
        &mut self,
        event: &HistoryEvent,
        attempt: NodeId,
        at: Timestamp,
        outcome: &Outcome,
    ) {
        let span = &self.tree.node(attempt).span;
        let text = |field| span.content.get(field).and_then(Content::as_text);
        let resource = span
            .text(conventions::WORKFLOW_RESOURCE)
            .unwrap_or_default();
        let Some(task) = text(conventions::INPUT).and_then(|text| ModelTask::of(resource, text))
        else {
            return;
        };
        let output = text(conventions::OUTPUT).and_then(|text| serde_json::from_str(text).ok());
        let queued = span.int(conventions::WORKFLOW_QUEUE_MS).unwrap_or_default();
        let queued = Duration::from_millis(u64::try_from(queued).unwrap_or_default());
        let mut call = span_of_event(
            &self.arn,
            self.trace_id,
            event.id,
            task.name(output.as_ref()),
            task.kind(output.as_ref()),
            span.start.plus(queued).min(at),
        );
        call.parent_span_id = Some(span.span_id);
        if let Some(state) = span.text(conventions::WORKFLOW_STATE) {
            call.set(conventions::WORKFLOW_STATE, state);
        }
        self.describe(&mut call);
        task.describe(&mut call, output.as_ref());
        if let Outcome::Failed(failure) = outcome {
            call.status = Status::Error {
                message: failure.message(),
            };
        }
        apply_cost(&mut call);
        let call = self.tree.open(call, Some(attempt), None, Shape::ModelCall);
        self.tree.close(call, at, outcome.clone(), Closing::ForGood);
    }

    /// The span id that the attempt's function was told to be part of, when it is of this
    /// trace and new to it.
    fn take_traceparent(&self, span: &mut Span, read: &Parameters) {
        match &read.traceparent {
            None => {}
            Some(Err(_)) => span.flag(flags::INVALID_TRACEPARENT),
            Some(Ok(sent)) if sent.trace_id != self.trace_id => {
                span.flag(flags::FOREIGN_TRACEPARENT);
                span.links.push(Link {
                    trace_id: sent.trace_id,
                    span_id: sent.span_id,
                    attributes: trace_model::Attributes::new(),
                });
            }
            Some(Ok(sent)) if self.has_span_id(sent.span_id) => {
                span.flag(flags::REUSED_TRACEPARENT);
            }
            Some(Ok(sent)) => span.span_id = sent.span_id,
        }
    }

    fn has_span_id(&self, span_id: SpanId) -> bool {
        self.tree.has_span(span_id)
    }

    fn link_started_execution(&mut self, id: NodeId, output: &str) {
        let span = &mut self.tree.node_mut(id).span;
        let starts_executions = span
            .text(conventions::WORKFLOW_RESOURCE)
            .is_some_and(|resource| resource.starts_with("states:startExecution"));
        if !starts_executions {
            return;
        }
        let output = serde_json::from_str::<serde_json::Value>(output).ok();
        let arn = output
            .as_ref()
            .and_then(|output| output.get("ExecutionArn")?.as_str())
            .and_then(|arn| ExecutionArn::parse(arn).ok());
        if let Some(arn) = arn {
            span.set(conventions::CHILD_EXECUTION_ARN, arn.as_str());
            add_link_to_execution(span, &arn);
        }
    }

    fn attempt(&self, from: Position) -> Option<NodeId> {
        matches!(self.tree.node(from.node).shape, Shape::Attempt).then_some(from.node)
    }
}

/// What a person answered through the API: that is the output of a task that waited for it.
fn note_decision(span: &mut Span, output: &str) {
    let waited = span
        .text(conventions::WORKFLOW_RESOURCE)
        .is_some_and(|resource| resource.ends_with(".waitForTaskToken"));
    let answer = waited
        .then(|| serde_json::from_str::<serde_json::Value>(output).ok())
        .flatten();
    let Some(answer) = answer else { return };
    let Some(approved) = answer.get("approved").and_then(serde_json::Value::as_bool) else {
        return;
    };
    span.set(conventions::APPROVAL_APPROVED, approved);
    for (member, attribute) in [
        ("by", conventions::APPROVAL_BY),
        ("at", conventions::APPROVAL_AT),
    ] {
        if let Some(text) = answer.get(member).and_then(serde_json::Value::as_str) {
            span.set(attribute, text);
        }
    }
}

pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
