//! From state to state: entering one, leaving it with its output, failing in
//! it, and what that means to the frame around.

use serde_json::{Value, json};
use state_language::{Assign, FailState, State, Template, Transition, error};

use super::evaluation::{Field, Given};
use super::frame::{Activity, Doing, FrameId, FramePlace, InState};
use super::run::{ErrorAndCause, Outcome, flow_of, state_of};
use super::{Command, DATA_LIMIT, Interpreter, Timer, TimerKind, events};
use crate::history::EventType;

/// Why a state cannot go on.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) reason: ErrorAndCause,
    /// The name retriers and catchers see, where it is not the reported one.
    pub(super) matched_as: Option<&'static str>,
    pub(super) told: Told,
}

/// Whether the history already says what failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Yes,
    /// `EvaluationFailed` is still to be written, with the field if one is to blame.
    NotYet {
        location: Option<String>,
    },
}

impl Failure {
    pub(super) fn told(reason: ErrorAndCause) -> Self {
        Self {
            reason,
            matched_as: None,
            told: Told::Yes,
        }
    }

    pub(super) fn named(error: &str, cause: impl Into<String>) -> Self {
        Self::told(ErrorAndCause {
            error: Some(error.to_owned()),
            cause: Some(cause.into()),
        })
    }

    pub(super) fn is(&self, error: &str) -> bool {
        self.reason.error.as_deref() == Some(error)
    }

    fn matched_as(&self) -> &str {
        self.matched_as
            .or(self.reason.error.as_deref())
            .unwrap_or_default()
    }

    /// What a catcher makes the next state's input. What nobody named is null; only a time-out has
    /// an empty cause.
    fn error_output(&self) -> Value {
        let ErrorAndCause { error, cause } = &self.reason;
        let cause = match cause {
            None if self.is(error::name::TIMEOUT) => Some(""),
            cause => cause.as_deref(),
        };
        json!({"Error": error, "Cause": cause})
    }
}

/// How a state is left.
pub(super) struct Leaving<'state> {
    pub(super) output: Option<(&'state Template, Field)>,
    pub(super) assign: Option<(&'state Assign, Field)>,
    /// `None` ends the flow.
    pub(super) next: Option<&'state str>,
    pub(super) given: Given,
}

impl<'state> Leaving<'state> {
    /// By the state's own fields.
    pub(super) fn by_state(state: &'state State, given: Given) -> Self {
        Self {
            output: state.output().map(|output| (output, Field::Own("Output"))),
            assign: state.assign().map(|assign| (assign, Field::Own("Assign"))),
            next: match state.transition() {
                Some(Transition::Next(next)) => Some(next),
                Some(Transition::End) | None => None,
            },
            given,
        }
    }
}

impl Interpreter<'_> {
    pub(super) fn start(&mut self) {
        let input = self.run.info.input.clone();
        let details = json!({
            "input": self.run.info.input_text,
            "roleArn": self.run.info.role_arn,
        });
        self.append_after(0, EventType::ExecutionStarted, details);
        let root = self
            .run
            .add_frame(FramePlace::Root, 0, state_language::Scope::new());
        self.set_execution_timeout();
        let start_at = self.machine.flow.start_at.clone();
        self.enter(root, &start_at, input);
    }

    pub(super) fn set_execution_timeout(&mut self) {
        if let Some(seconds) = self.machine.timeout_seconds {
            self.step.commands.push(Command::SetTimer(Timer {
                due: self.after_seconds(seconds),
                frame: super::ROOT,
                generation: self.run.info.redrive_count.into(),
                kind: TimerKind::ExecutionTimeout,
            }));
        }
    }

    /// Enters a state of the frame's flow; it is executed when its turn comes.
    pub(super) fn enter(&mut self, id: FrameId, name: &str, input: Value) {
        let machine = std::sync::Arc::clone(&self.machine);
        let state = flow_of(&machine, self.run, id).and_then(|flow| flow.states.get(name));
        let Some(state) = state else {
            // The checks refuse a transition to a state that is not there.
            let cause = format!("there is no state {name:?} to go to");
            return self.fail_frame(id, Failure::named(error::name::RUNTIME, cause));
        };
        let before_event_id = self.run.frame(id).map_or(0, |frame| frame.last_event_id);
        let details = json!({"name": name, "input": input.to_string()});
        let entered_event_id = self.append(id, events::entered(state), details);
        let entered_at = self.world.now;
        let Some(frame) = self.run.frame_mut(id) else {
            return;
        };
        frame.activity = Activity::InState(InState {
            name: name.to_owned(),
            input,
            entered_event_id,
            before_event_id,
            entered_at,
            retries: Vec::new(),
            retry_count: 0,
            doing: Doing::Ready,
        });
        self.make_ready(id);
    }

    pub(super) fn make_ready(&mut self, id: FrameId) {
        self.run.begin(id, Doing::Ready);
        self.run.ready.push_back(id);
    }

    /// Does what the frame's state is for.
    pub(super) fn execute(&mut self, id: FrameId) {
        let machine = std::sync::Arc::clone(&self.machine);
        let Some(state) = state_of(&machine, self.run, id) else {
            return;
        };
        let done = match state {
            State::Task(task) => self.schedule_task(id, task),
            State::Pass(_) | State::Succeed(_) => self.leave_by_state(id, state, Given::Nothing),
            State::Choice(choice) => self.choose(id, choice),
            State::Wait(wait) => self.wait(id, state, wait),
            State::Fail(fail) => self.fail_state(id, fail),
            State::Parallel(parallel) => self.start_branches(id, parallel),
            State::Map(map) => self.start_iterations(id, map),
        };
        if let Err(failure) = done {
            self.fail(id, failure);
        }
    }

    pub(super) fn leave_by_state(
        &mut self,
        id: FrameId,
        state: &State,
        given: Given,
    ) -> Result<(), Failure> {
        self.leave(id, state, Leaving::by_state(state, given))
    }

    /// Evaluates `Assign` and `Output`, both against the variables as they were, and moves on.
    pub(super) fn leave(
        &mut self,
        id: FrameId,
        state: &State,
        leaving: Leaving<'_>,
    ) -> Result<(), Failure> {
        let assigned = match leaving.assign {
            Some((assign, field)) => self.evaluate_assign(id, assign, field, &leaving.given)?,
            None => None,
        };
        let output = match leaving.output {
            Some((template, field)) => self.evaluate(id, template, field, &leaving.given)?,
            None => self.default_output(id, leaving.given),
        };
        let output_text = output.to_string();
        self.check_size(id, "state", &output_text)?;
        let name = self
            .run
            .in_state(id)
            .map(|state| state.name.clone())
            .unwrap_or_default();
        let mut details = json!({"name": name, "output": output_text});
        if let Some(assigned) = assigned {
            details["assignedVariables"] = self.set_variables(id, assigned)?;
        }
        if let Some(exited) = events::exited(state) {
            self.append(id, exited, details);
        }
        self.run.remove_children(id);
        match leaving.next {
            Some(next) => self.enter(id, next, output),
            None => self.finish_frame(id, output),
        }
        Ok(())
    }

    /// The state failed: retried, caught, or the frame fails.
    pub(super) fn fail(&mut self, id: FrameId, failure: Failure) {
        let machine = std::sync::Arc::clone(&self.machine);
        let Some(state) = state_of(&machine, self.run, id) else {
            return;
        };
        self.tell(id, state, &failure);
        if self.retry(id, state, &failure) {
            return;
        }
        let failed = match state {
            State::Parallel(_) => Some(EventType::ParallelStateFailed),
            State::Map(_) => Some(EventType::MapStateFailed),
            _ => None,
        };
        if let Some(failed) = failed {
            self.append(id, failed, Value::Null);
        }
        let Some((index, catcher)) = error::find_catcher(state.catch(), failure.matched_as())
        else {
            return self.fail_frame(id, failure);
        };
        let leaving = Leaving {
            output: catcher
                .output
                .as_ref()
                .map(|output| (output, Field::Catch(index, "Output"))),
            assign: catcher
                .assign
                .as_ref()
                .map(|assign| (assign, Field::Catch(index, "Assign"))),
            next: Some(&catcher.next),
            given: Given::Error(failure.error_output()),
        };
        if let Err(second) = self.leave(id, state, leaving) {
            // A catcher that fails itself is not caught by its own state again.
            self.tell(id, state, &second);
            self.fail_frame(id, second);
        }
    }

    /// Writes `EvaluationFailed` where the history does not yet say what failed.
    fn tell(&mut self, id: FrameId, state: &State, failure: &Failure) {
        let (Told::NotYet { location }, Some(in_state)) = (&failure.told, self.run.in_state(id))
        else {
            return;
        };
        let mut details = events::error_and_cause(&failure.reason);
        details["state"] = json!(in_state.name);
        if let Some(location) = location {
            details["location"] = json!(location);
        }
        // A state that fails before anything happened in it links past its own entry, except
        // Wait: so AWS writes it.
        let last = self.run.frame(id).map_or(0, |frame| frame.last_event_id);
        let previous = if last == in_state.entered_event_id && !matches!(state, State::Wait(_)) {
            in_state.before_event_id
        } else {
            last
        };
        let event = self.append_after(previous, EventType::EvaluationFailed, details);
        if let Some(frame) = self.run.frame_mut(id) {
            frame.last_event_id = event;
        }
    }

    /// Sets the state up for another attempt, if a retrier that matches has one left.
    fn retry(&mut self, id: FrameId, state: &State, failure: &Failure) -> bool {
        let Some((index, retrier)) = error::find_retrier(state.retry(), failure.matched_as())
        else {
            return false;
        };
        let Some(in_state) = self.run.in_state_mut(id) else {
            return false;
        };
        let used = in_state.retries.get(index).copied().unwrap_or_default();
        let Some(delay) = retrier.delay(used + 1, rand::random()) else {
            return false;
        };
        in_state.retries.resize(state.retry().len(), 0);
        in_state.retries[index] += 1;
        in_state.retry_count += 1;
        let until = self.world.now.plus(delay);
        self.run.remove_children(id);
        let generation = self.run.begin(id, Doing::Backoff { until });
        self.set_timer(id, generation, until, TimerKind::Wake);
        true
    }

    fn fail_state(&mut self, id: FrameId, state: &FailState) -> Result<(), Failure> {
        let (error, cause) = self.with_evaluation(id, &Given::Nothing, |evaluation| {
            let error = state
                .error
                .as_ref()
                .map(|value| evaluation.string("Error", value));
            let cause = state
                .cause
                .as_ref()
                .map(|value| evaluation.string("Cause", value));
            Ok((error.transpose()?, cause.transpose()?))
        })?;
        Err(Failure::told(ErrorAndCause { error, cause }))
    }

    /// The frame's flow came to its end.
    fn finish_frame(&mut self, id: FrameId, output: Value) {
        let Some(place) = self.run.frame(id).map(|frame| frame.place.clone()) else {
            return;
        };
        match place {
            FramePlace::Root => {
                let details = json!({"output": output.to_string()});
                self.append(id, EventType::ExecutionSucceeded, details);
                if self.history == super::History::Open {
                    self.end(Outcome::Succeeded { output });
                }
            }
            FramePlace::Branch { parent, .. } => self.finish_branch(parent, id, output),
            FramePlace::Iteration { parent, index, .. } => {
                self.finish_iteration(parent, id, index, output);
            }
        }
    }

    /// The frame's flow failed.
    pub(super) fn fail_frame(&mut self, id: FrameId, failure: Failure) {
        let Some(place) = self.run.frame(id).map(|frame| frame.place.clone()) else {
            return;
        };
        match place {
            FramePlace::Root => {
                let details = events::error_and_cause(&failure.reason);
                self.append(id, EventType::ExecutionFailed, details);
                if self.history == super::History::Open {
                    self.end(Outcome::Failed(failure.reason));
                }
            }
            FramePlace::Branch { parent, .. } => self.fail_branch(parent, id, failure),
            FramePlace::Iteration { parent, index, .. } => {
                let output = failure.error_output();
                self.fail_iteration(parent, id, index, output, failure);
            }
        }
    }

    pub(super) fn check_size(&self, id: FrameId, what: &str, text: &str) -> Result<(), Failure> {
        if text.len() <= DATA_LIMIT {
            return Ok(());
        }
        let name = self
            .run
            .in_state(id)
            .map(|state| state.name.as_str())
            .unwrap_or_default();
        Err(Failure::named(
            error::name::DATA_LIMIT_EXCEEDED,
            format!(
                "The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service limit: the {what}'s has {} bytes of JSON, the limit is {DATA_LIMIT}.",
                text.len()
            ),
        ))
    }
}
