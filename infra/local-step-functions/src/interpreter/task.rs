//! Task, Wait and Choice: what a state does before it is left by its own fields.

use serde_json::Value;
use state_language::{
    ChoiceState, IntegrationPattern, Resource, State, TaskState, ValueOrExpression, WaitState,
    WaitUntil, error,
};
use trace_model::Timestamp;

use super::evaluation::{Field, Given};
use super::events::TaskEvents;
use super::frame::{Call, Doing, FrameId, Heartbeat, TaskAttempt};
use super::run::{ErrorAndCause, state_of};
use super::transition::{Failure, Leaving};
use super::{
    Command, Integration, Interpreter, Invocation, InvocationMode, ServiceCall, TaskToken, Then,
    Timer, TimerKind,
};

impl Interpreter<'_> {
    /// Writes the attempt into the history and asks for the call.
    pub(super) fn schedule_task(&mut self, id: FrameId, task: &TaskState) -> Result<(), Failure> {
        let token = match &task.resource {
            Resource::Integration {
                pattern: IntegrationPattern::WaitForTaskToken,
                ..
            } => Some(TaskToken::new(&self.run.info.arn, id).to_string()),
            _ => None,
        };
        // The context object shows the token to the arguments, so it is there first.
        let attempt = TaskAttempt {
            deadline: None,
            heartbeat: None,
            token: token.clone(),
            call: Call::UnderWay,
            execution: None,
        };
        let generation = self.run.begin(id, Doing::Task(attempt));
        let arguments = match &task.arguments {
            Some(template) => {
                self.evaluate(id, template, Field::Own("Arguments"), &Given::Nothing)?
            }
            None => self.default_output(id, Given::Nothing),
        };
        let seconds = |value: &Option<ValueOrExpression<u64>>, field| match value {
            Some(value) => self
                .with_evaluation(id, &Given::Nothing, |evaluation| {
                    evaluation.seconds(field, value, 1)
                })
                .map(Some),
            None => Ok(None),
        };
        let timeout_seconds = seconds(&task.timeout_seconds, "TimeoutSeconds")?;
        let heartbeat_seconds = seconds(&task.heartbeat_seconds, "HeartbeatSeconds")?;
        self.check_size(id, "input", &arguments.to_string())?;

        let task_events = TaskEvents::of(&task.resource);
        let region = &self.world.place.region;
        let (event_type, details) =
            task_events.scheduled(&arguments, timeout_seconds, heartbeat_seconds, region);
        self.append(id, event_type, details);
        let (event_type, details) = task_events.started();
        self.append(id, event_type, details);

        let deadline = timeout_seconds.map(|seconds| self.after_seconds(seconds));
        let heartbeat = heartbeat_seconds.map(|seconds| Heartbeat {
            seconds,
            deadline: self.after_seconds(seconds),
        });
        if let Some(in_state) = self.run.in_state_mut(id) {
            in_state.doing = Doing::Task(TaskAttempt {
                deadline,
                heartbeat,
                token,
                call: Call::UnderWay,
                execution: None,
            });
        }
        if let Some(due) = deadline {
            self.set_timer(id, generation, due, TimerKind::TaskTimeout);
        }
        if let Some(heartbeat) = heartbeat {
            self.set_timer(id, generation, heartbeat.deadline, TimerKind::Heartbeat);
        }
        if let Some((integration, api, then)) = step_functions_call(&task.resource) {
            self.step
                .commands
                .push(Command::CallStepFunctions(ServiceCall {
                    frame: id,
                    generation,
                    integration,
                    api: api.to_owned(),
                    arguments,
                    then,
                }));
            return Ok(());
        }
        match requested_call(&task.resource, arguments) {
            Ok((function, payload, mode)) => {
                self.step.commands.push(Command::Invoke(Invocation {
                    frame: id,
                    generation,
                    function,
                    payload,
                    mode,
                }));
            }
            Err(cause) => {
                let reason = ErrorAndCause {
                    error: Some(error::name::RUNTIME.to_owned()),
                    cause: Some(cause),
                };
                self.attempt_failed(id, task, reason);
            }
        }
        Ok(())
    }

    /// The call of the frame's task came back.
    pub(super) fn call_ended(&mut self, id: FrameId, result: Result<Value, ErrorAndCause>) {
        let machine = std::sync::Arc::clone(&self.machine);
        let (Some(state @ State::Task(task)), Some(in_state)) =
            (state_of(&machine, self.run, id), self.run.in_state_mut(id))
        else {
            return;
        };
        let Doing::Task(attempt) = &mut in_state.doing else {
            return;
        };
        attempt.call = Call::Returned;
        let goes_on = match step_functions_call(&task.resource) {
            Some((_, _, Then::AwaitExecution)) => {
                attempt.execution = result
                    .as_ref()
                    .ok()
                    .and_then(|answer| answer["ExecutionArn"].as_str())
                    .map(str::to_owned);
                attempt.execution.is_some()
            }
            _ => attempt.token.is_some(),
        };
        match result {
            Ok(output) if goes_on => {
                let (event_type, details) = TaskEvents::of(&task.resource).submitted(&output);
                self.append(id, event_type, details);
            }
            Ok(output) => self.attempt_succeeded(id, state, task, output),
            Err(reason) => self.attempt_failed(id, task, reason),
        }
    }

    /// The execution that the frame's task started and waited for has ended.
    pub(super) fn execution_ended(&mut self, id: FrameId, result: Result<Value, ErrorAndCause>) {
        let machine = std::sync::Arc::clone(&self.machine);
        let Some(state @ State::Task(task)) = state_of(&machine, self.run, id) else {
            return;
        };
        match result {
            Ok(mut description) => {
                if let Resource::Integration {
                    pattern: IntegrationPattern::SyncJson,
                    ..
                } = &task.resource
                {
                    for field in ["Input", "Output"] {
                        let text = description[field].as_str();
                        if let Some(value) = text.and_then(|text| serde_json::from_str(text).ok()) {
                            description[field] = value;
                        }
                    }
                }
                self.attempt_succeeded(id, state, task, description);
            }
            Err(reason) => self.attempt_failed(id, task, reason),
        }
    }

    /// The attempt has its result, from the call or with its token.
    pub(super) fn attempt_succeeded(
        &mut self,
        id: FrameId,
        state: &State,
        task: &TaskState,
        output: Value,
    ) {
        let (event_type, details) = TaskEvents::of(&task.resource).succeeded(&output);
        let done = self
            .check_size(id, "result", &output.to_string())
            .and_then(|()| {
                self.append(id, event_type, details);
                self.leave_by_state(id, state, Given::Result(output))
            });
        match done {
            Ok(()) => {}
            Err(failure) if failure.is(error::name::DATA_LIMIT_EXCEEDED) => {
                self.attempt_failed(id, task, failure.reason);
            }
            Err(failure) => self.fail(id, failure),
        }
    }

    pub(super) fn attempt_failed(&mut self, id: FrameId, task: &TaskState, reason: ErrorAndCause) {
        let (event_type, details) = TaskEvents::of(&task.resource).failed(&reason);
        self.append(id, event_type, details);
        self.fail(id, Failure::told(reason));
    }

    /// The attempt took longer than it may, or was silent for too long. Both are reported as
    /// `States.Timeout`; `States.HeartbeatTimeout` is what a retrier or catcher may tell apart.
    pub(super) fn attempt_timed_out(&mut self, id: FrameId, kind: TimerKind) {
        let machine = std::sync::Arc::clone(&self.machine);
        let Some(State::Task(task)) = state_of(&machine, self.run, id) else {
            return;
        };
        let reason = ErrorAndCause {
            error: Some(error::name::TIMEOUT.to_owned()),
            cause: None,
        };
        let (event_type, details) = TaskEvents::of(&task.resource).timed_out(&reason);
        self.append(id, event_type, details);
        let matched_as = (kind == TimerKind::Heartbeat).then_some(error::name::HEARTBEAT_TIMEOUT);
        self.fail(
            id,
            Failure {
                matched_as,
                ..Failure::told(reason)
            },
        );
    }

    pub(super) fn wait(
        &mut self,
        id: FrameId,
        state: &State,
        wait: &WaitState,
    ) -> Result<(), Failure> {
        let until = self.with_evaluation(id, &Given::Nothing, |evaluation| match &wait.until {
            WaitUntil::Seconds(seconds) => {
                let seconds = evaluation.seconds("Seconds", seconds, 0)?;
                Ok(self.after_seconds(seconds))
            }
            WaitUntil::Timestamp(timestamp) => {
                let timestamp = evaluation.timestamp("Timestamp", timestamp)?;
                // AWS: what is below a second is cut off.
                let seconds = u64::try_from(timestamp.timestamp()).unwrap_or(0);
                Ok(Timestamp::from_unix_millis(seconds.saturating_mul(1_000)))
            }
        })?;
        if until <= self.world.now {
            return self.leave_by_state(id, state, Given::Nothing);
        }
        let generation = self.run.begin(id, Doing::Waiting { until });
        self.set_timer(id, generation, until, TimerKind::Wake);
        Ok(())
    }

    pub(super) fn choose(&mut self, id: FrameId, choice: &ChoiceState) -> Result<(), Failure> {
        let chosen = self.with_evaluation(id, &Given::Nothing, |evaluation| {
            for (index, rule) in choice.choices.iter().enumerate() {
                let field = Field::Choice(index, "Condition").path();
                if evaluation.boolean(&field, &rule.condition)? {
                    return Ok(Some((index, rule)));
                }
            }
            Ok(None)
        })?;
        let own_output = choice
            .output
            .as_ref()
            .map(|output| (output, Field::Own("Output")));
        let leaving = match (chosen, &choice.default) {
            (Some((index, rule)), _) => Leaving {
                output: rule
                    .output
                    .as_ref()
                    .map(|output| (output, Field::Choice(index, "Output"))),
                assign: rule
                    .assign
                    .as_ref()
                    .map(|assign| (assign, Field::Choice(index, "Assign"))),
                next: Some(&rule.next),
                given: Given::Nothing,
            },
            (None, Some(default)) => Leaving {
                output: own_output,
                assign: choice
                    .assign
                    .as_ref()
                    .map(|assign| (assign, Field::Own("Assign"))),
                next: Some(default),
                given: Given::Nothing,
            },
            (None, None) => {
                let name = self.run.in_state(id).map(|state| state.name.clone());
                return Err(Failure::named(
                    error::name::NO_CHOICE_MATCHED,
                    format!(
                        "No choice of the state '{}' matched and it has no Default.",
                        name.unwrap_or_default()
                    ),
                ));
            }
        };
        let machine = std::sync::Arc::clone(&self.machine);
        match state_of(&machine, self.run, id) {
            Some(state) => self.leave(id, state, leaving),
            None => Ok(()),
        }
    }

    pub(super) fn after_seconds(&self, seconds: u64) -> Timestamp {
        self.world.now.plus(std::time::Duration::from_secs(seconds))
    }

    pub(super) fn set_timer(
        &mut self,
        frame: FrameId,
        generation: u64,
        due: Timestamp,
        kind: TimerKind,
    ) {
        self.step.commands.push(Command::SetTimer(Timer {
            due,
            frame,
            generation,
            kind,
        }));
    }
}

/// Whether the resource is the engine itself: how it is called, for what, and what follows.
pub(crate) fn step_functions_call(resource: &Resource) -> Option<(Integration, &str, Then)> {
    let Resource::Integration {
        service,
        api,
        pattern,
        ..
    } = resource
    else {
        return None;
    };
    let integration = match service.as_str() {
        "states" => Integration::Optimized,
        "aws-sdk:sfn" => Integration::Sdk,
        _ => return None,
    };
    let then = match pattern {
        IntegrationPattern::Sync | IntegrationPattern::SyncJson => Then::AwaitExecution,
        IntegrationPattern::RequestResponse | IntegrationPattern::WaitForTaskToken => Then::Answer,
    };
    Some((integration, api, then))
}

/// Which function is to be called, with what and how.
fn requested_call(
    resource: &Resource,
    arguments: Value,
) -> Result<(String, Value, InvocationMode), String> {
    if let Resource::Function { arn } = resource {
        return Ok((arn.clone(), arguments, InvocationMode::Direct));
    }
    let Value::Object(mut arguments) = arguments else {
        return Err(
            "the Arguments of lambda:invoke must be an object with FunctionName".to_owned(),
        );
    };
    let Some(Value::String(function)) = arguments.remove("FunctionName") else {
        return Err("the Arguments of lambda:invoke must have FunctionName, a string".to_owned());
    };
    let payload = arguments
        .remove("Payload")
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let mode = match arguments.get("InvocationType").and_then(Value::as_str) {
        None | Some("RequestResponse") => InvocationMode::Invoke,
        Some("Event") => InvocationMode::Event,
        Some(other) => {
            return Err(format!(
                "the InvocationType {other:?} cannot be served here: use RequestResponse or Event"
            ));
        }
    };
    Ok((function, payload, mode))
}
