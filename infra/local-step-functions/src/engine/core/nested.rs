//! Tasks that call the engine itself, and those that wait for an execution
//! they started. Which attempt waits for which execution is in the attempt's
//! frame, so it is on disk with the start and the end.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::runs::as_stored;
use super::{Batch, Core, FirstStep, FollowUp};
use crate::description::described;
use crate::engine::Request;
use crate::interpreter::{ErrorAndCause, FrameId, Integration, ServiceCall, Signal, Then};
use crate::store::{Execution, RowId, Standing};
use crate::{AwsError, Error, api, invoke};

/// Who waits for whom.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    /// By the ARN of the execution that is waited for.
    waiters: HashMap<Arc<str>, Vec<Waiter>>,
    /// By the row of the execution that waits.
    awaited: HashMap<RowId, Vec<(Arc<str>, Waiter)>>,
}

/// One attempt of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiter {
    run: RowId,
    frame: FrameId,
    generation: u64,
}

impl Nesting {
    fn add(&mut self, execution: &str, waiter: Waiter) {
        let execution: Arc<str> = execution.into();
        let waiters = self.waiters.entry(Arc::clone(&execution)).or_default();
        waiters.push(waiter);
        let awaited = self.awaited.entry(waiter.run).or_default();
        awaited.push((execution, waiter));
    }

    /// Whoever waited for it does so no longer.
    fn take_waiters(&mut self, execution: &str) -> Vec<Waiter> {
        let waiters = self.waiters.remove(execution).unwrap_or_default();
        for waiter in &waiters {
            if let Some(awaited) = self.awaited.get_mut(&waiter.run) {
                awaited.retain(|(_, other)| other != waiter);
                if awaited.is_empty() {
                    self.awaited.remove(&waiter.run);
                }
            }
        }
        waiters
    }

    /// Takes out what the run waited for in attempts that are over; answers with the executions.
    fn take_given_up(&mut self, run: RowId, is_over: impl Fn(Waiter) -> bool) -> Vec<Arc<str>> {
        let Some(awaited) = self.awaited.get_mut(&run) else {
            return Vec::new();
        };
        let given_up: Vec<_> = awaited
            .extract_if(.., |(_, waiter)| is_over(*waiter))
            .collect();
        if awaited.is_empty() {
            self.awaited.remove(&run);
        }
        for (execution, waiter) in &given_up {
            if let Some(waiters) = self.waiters.get_mut(execution) {
                waiters.retain(|other| other != waiter);
                if waiters.is_empty() {
                    self.waiters.remove(execution);
                }
            }
        }
        given_up
            .into_iter()
            .map(|(execution, _)| execution)
            .collect()
    }
}

impl Core {
    /// Who waits for whom, from the frames; what ended unnoticed is told.
    pub(super) fn resume_nesting(&mut self) -> Result<(), Error> {
        for (&run, contents) in &self.runs {
            for (&frame, contents) in &contents.frames {
                let attempt = contents.task_attempt();
                if let Some(execution) = attempt.and_then(|attempt| attempt.execution.as_deref()) {
                    let generation = contents.generation;
                    let waiter = Waiter {
                        run,
                        frame,
                        generation,
                    };
                    self.nesting.add(execution, waiter);
                }
            }
        }
        let awaited: Vec<Arc<str>> = self.nesting.waiters.keys().cloned().collect();
        for arn in awaited {
            if self.runs_by_arn.contains_key(&arn) {
                continue;
            }
            let ended = self
                .reader
                .run_blocking(|reading| reading.execution(&arn))?;
            if let Some(ended) = ended {
                let told = self.told(&ended);
                self.pending.extend(told);
            }
        }
        Ok(())
    }

    /// Does what a task asks of the engine, and has the task hear of it.
    pub(super) fn call(&mut self, caller: RowId, call: ServiceCall, batch: &mut Batch) {
        let ServiceCall {
            frame,
            generation,
            integration,
            api,
            arguments,
            then,
        } = call;
        let run = self.runs.get(&caller);
        let is_going_on = run
            .and_then(|run| run.frame(frame))
            .is_some_and(|contents| contents.generation == generation);
        if !is_going_on {
            // The attempt ended in the batch that began it: a start now would be nobody's.
            return;
        }
        let result = match self.answer_to(&api, arguments, batch) {
            Ok(answer) => {
                if then == Then::AwaitExecution
                    && let Some(execution) = answer["executionArn"].as_str()
                {
                    let waiter = Waiter {
                        run: caller,
                        frame,
                        generation,
                    };
                    self.nesting.add(execution, waiter);
                }
                Ok(as_result(answer, integration))
            }
            Err(refusal) => Err(as_failure(&refusal, integration)),
        };
        let ended = Signal::CallEnded {
            frame,
            generation,
            result,
        };
        batch.follow_ups.push_back(FollowUp::Signal(caller, ended));
    }

    fn answer_to(
        &mut self,
        operation: &str,
        arguments: Value,
        batch: &mut Batch,
    ) -> Result<Value, AwsError> {
        let members = as_members(arguments)?;
        if operation == "describeExecution" {
            let arn = members["executionArn"].as_str();
            let arn = arn.ok_or_else(|| AwsError::validation("ExecutionArn is missing"))?;
            return self.describe(arn, batch);
        }
        let request = api::requested(operation, members, &self.place).ok_or_else(|| {
            AwsError::validation(format!("{operation} cannot be called from a task here"))
        })?;
        match request? {
            Request::StartExecution(start) => {
                self.start_execution(start, FirstStep::InTheNextBatch, batch)
            }
            request => self.answer(request, batch),
        }
    }

    fn describe(&self, arn: &str, batch: &Batch) -> Result<Value, AwsError> {
        let running = self.runs_by_arn.get(arn);
        let running = running.and_then(|id| Some((*id, self.runs.get(id)?)));
        let execution = match running {
            Some((id, run)) => Some(as_stored(id, run, batch.now, Standing::There)),
            None => self.ended_execution(arn, batch)?,
        };
        let execution = execution.ok_or_else(|| AwsError::no_execution(arn))?;
        Ok(described(&execution, &self.place, batch.now))
    }

    /// An execution ended: the tasks that wait for it go on in the same commit.
    pub(super) fn tell_those_who_wait(&mut self, ended: &Execution, batch: &mut Batch) {
        let told = self.told(ended);
        let told = told.map(|(run, signal)| FollowUp::Signal(run, signal));
        batch.follow_ups.extend(told);
    }

    /// A step may have ended attempts that waited: what they started is stopped in the same
    /// commit, as Step Functions cancels what a task has started.
    pub(super) fn stop_those_nobody_waits_for(&mut self, run: RowId, batch: &mut Batch) {
        let frames = self.runs.get(&run);
        let given_up = self.nesting.take_given_up(run, |waiter| {
            let frame = frames.and_then(|run| run.frame(waiter.frame));
            frame.is_none_or(|frame| frame.generation != waiter.generation)
        });
        for execution in given_up {
            if let Some(&id) = self.runs_by_arn.get(&execution) {
                let stop = Signal::Stop(ErrorAndCause::default());
                batch.follow_ups.push_back(FollowUp::Signal(id, stop));
            }
        }
    }

    fn told(&mut self, ended: &Execution) -> impl Iterator<Item = (RowId, Signal)> + use<> {
        let waiters = self.nesting.take_waiters(&ended.arn);
        let result = (!waiters.is_empty()).then(|| {
            let description = with_capitals(
                described(ended, &self.place, self.clock.now()),
                Dates::Milliseconds,
            );
            if ended.status == "SUCCEEDED" {
                Ok(description)
            } else {
                Err(invoke::failure(
                    "States.TaskFailed",
                    description.to_string(),
                ))
            }
        });
        waiters.into_iter().filter_map(move |waiter| {
            let Waiter {
                run,
                frame,
                generation,
            } = waiter;
            let result = result.clone()?;
            let signal = Signal::ExecutionEnded {
                frame,
                generation,
                result,
            };
            Some((run, signal))
        })
    }
}

/// How the two integrations write a date.
#[derive(Debug, Clone, Copy)]
enum Dates {
    Milliseconds,
    Text,
}

/// Arguments have capitals where the API's members have none, and hold JSON as JSON where the
/// API takes text.
fn as_members(arguments: Value) -> Result<Value, AwsError> {
    let Value::Object(arguments) = arguments else {
        return Err(AwsError::validation("the Arguments must be an object"));
    };
    let mut members = Map::new();
    for (name, value) in arguments {
        let member = with_first(&name, |letter| letter.to_ascii_lowercase());
        let value = match (member.as_str(), value) {
            (_, Value::Null) => continue,
            ("input" | "output", value) if !value.is_string() => json!(value.to_string()),
            (_, value) => value,
        };
        members.insert(member, value);
    }
    Ok(Value::Object(members))
}

fn as_result(answer: Value, integration: Integration) -> Value {
    match integration {
        Integration::Sdk => with_capitals(answer, Dates::Text),
        Integration::Optimized => {
            let request_id = uuid::Uuid::new_v4().to_string();
            let mut result = with_capitals(answer, Dates::Milliseconds);
            result["SdkHttpMetadata"] = json!({
                "AllHttpHeaders": {"x-amzn-RequestId": [request_id]},
                "HttpHeaders": {"x-amzn-RequestId": request_id},
                "HttpStatusCode": 200,
            });
            result["SdkResponseMetadata"] = json!({"RequestId": request_id});
            sorted(result)
        }
    }
}

fn as_failure(refusal: &AwsError, integration: Integration) -> ErrorAndCause {
    let AwsError { code, message } = refusal;
    let request_id = uuid::Uuid::new_v4();
    let exception = code.strip_suffix("Exception").unwrap_or(code);
    let status = refusal.http_status();
    match integration {
        Integration::Optimized => invoke::failure(
            &format!("StepFunctions.{exception}Exception"),
            format!(
                "{message} (Service: AWSStepFunctions; Status Code: {status}; Error Code: {code}; Request ID: {request_id}; Proxy: null)"
            ),
        ),
        Integration::Sdk => invoke::failure(
            &format!("Sfn.{exception}Exception"),
            format!(
                "{message} (Service: Sfn, Status Code: {status}, Request ID: {request_id}) (SDK Attempt Count: 1)"
            ),
        ),
    }
}

/// The API's answer as integrations give it: names with capitals, in their order.
fn with_capitals(answer: Value, dates: Dates) -> Value {
    let Value::Object(members) = answer else {
        return answer;
    };
    let members = members.into_iter().map(|(name, value)| {
        let value = match value {
            Value::Number(seconds) if name.ends_with("Date") => date(&seconds, dates),
            Value::Object(_) => with_capitals(value, dates),
            other => other,
        };
        (
            with_first(&name, |letter| letter.to_ascii_uppercase()),
            value,
        )
    });
    sorted(members.collect())
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(mut members) => {
            members.sort_keys();
            Value::Object(members)
        }
        other => other,
    }
}

fn date(seconds: &serde_json::Number, dates: Dates) -> Value {
    let seconds = seconds.as_f64().unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds stay far below 2^63"
    )]
    let millis = (seconds * 1_000.0).round() as i64;
    match dates {
        Dates::Milliseconds => json!(millis),
        Dates::Text => {
            let time = chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default();
            json!(time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
        }
    }
}

fn with_first(name: &str, change: impl Fn(char) -> char) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(change)
        .into_iter()
        .chain(letters)
        .collect()
}
