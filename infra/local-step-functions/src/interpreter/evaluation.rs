//! What a state's expressions see: `$states`, the context object and the
//! variables of its scope.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use state_language::{
    Assign, Environment, Evaluation, Scope, State, StateError, StateVisit, StatesVariable,
    Template, error,
};

use super::Interpreter;
use super::frame::{Doing, FrameId, FramePlace};
use super::run::{ErrorAndCause, state_of};
use super::transition::{Failure, Told};

/// What `$states` has beyond input and context.
#[derive(Debug, Clone)]
pub(super) enum Given {
    Nothing,
    /// `$states.result`, and the output where the state has no `Output`.
    Result(Value),
    /// `$states.errorOutput`, likewise.
    Error(Value),
}

/// A field of a state, named as `EvaluationFailed` names it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    Own(&'static str),
    Catch(usize, &'static str),
    Choice(usize, &'static str),
}

impl Field {
    pub(super) fn path(self) -> String {
        match self {
            Self::Own(name) => name.to_owned(),
            Self::Catch(index, name) => format!("Catch/{index}/{name}"),
            Self::Choice(index, name) => format!("Choices/{index}/{name}"),
        }
    }
}

impl Interpreter<'_> {
    /// Evaluates fields of the frame's state at one moment.
    pub(super) fn with_evaluation<T>(
        &self,
        id: FrameId,
        given: &Given,
        evaluate: impl FnOnce(&Evaluation<'_>) -> Result<T, StateError>,
    ) -> Result<T, Failure> {
        self.evaluate_at(id, id, given, evaluate)
    }

    /// As [`Self::with_evaluation`], with the context object of another frame: `ItemSelector`
    /// belongs to the Map's state, and sees one iteration's item.
    pub(super) fn evaluate_at<T>(
        &self,
        id: FrameId,
        context_of: FrameId,
        given: &Given,
        evaluate: impl FnOnce(&Evaluation<'_>) -> Result<T, StateError>,
    ) -> Result<T, Failure> {
        let (Some(frame), Some(in_state)) = (self.run.frame(id), self.run.in_state(id)) else {
            return Err(Failure::named(
                error::name::RUNTIME,
                "the state is no longer running",
            ));
        };
        let visit = StateVisit {
            name: &in_state.name,
            entered_event_id: in_state.entered_event_id.unsigned_abs(),
        };
        let context = || self.context_object(id, context_of);
        let (result, error_output) = match given {
            Given::Nothing => (None, None),
            Given::Result(result) => (Some(result), None),
            Given::Error(error_output) => (None, Some(error_output)),
        };
        let states = StatesVariable {
            input: &in_state.input,
            result,
            error_output,
            context: &context,
        };
        let environment = Environment {
            now: self.world.now.to_utc(),
            random_seed: rand::random(),
        };
        let evaluation = Evaluation::new(visit, states, &frame.scope, environment);
        evaluate(&evaluation).map_err(evaluation_failure)
    }

    pub(super) fn evaluate(
        &self,
        id: FrameId,
        template: &Template,
        field: Field,
        given: &Given,
    ) -> Result<Value, Failure> {
        self.with_evaluation(id, given, |evaluation| {
            evaluation.template(&field.path(), template)
        })
    }

    pub(super) fn evaluate_assign(
        &self,
        id: FrameId,
        assign: &Assign,
        field: Field,
        given: &Given,
    ) -> Result<Option<IndexMap<String, Value>>, Failure> {
        self.with_evaluation(id, given, |evaluation| {
            evaluation.assign(&field.path(), assign).map(Some)
        })
    }

    /// Sets variables of the frame's scope; answers with them as the history shows them.
    pub(super) fn set_variables(
        &mut self,
        id: FrameId,
        assigned: IndexMap<String, Value>,
    ) -> Result<Value, Failure> {
        let shown: Map<String, Value> = assigned
            .iter()
            .map(|(name, value)| (name.clone(), Value::String(value.to_string())))
            .collect();
        let Some(in_state) = self.run.in_state(id) else {
            return Ok(Value::Object(shown));
        };
        let (name, entered_event_id) = (
            in_state.name.clone(),
            in_state.entered_event_id.unsigned_abs(),
        );
        let visit = StateVisit {
            name: &name,
            entered_event_id,
        };
        if let Some(frame) = self.run.frame_mut(id) {
            frame
                .scope
                .assign(visit, assigned)
                .map_err(|StateError { error, cause, .. }| Failure::named(&error, cause))?;
        }
        Ok(Value::Object(shown))
    }

    /// What a state without `Output` gives on.
    pub(super) fn default_output(&self, id: FrameId, given: Given) -> Value {
        match given {
            Given::Result(value) | Given::Error(value) => value,
            Given::Nothing => self
                .run
                .in_state(id)
                .map(|state| state.input.clone())
                .unwrap_or_default(),
        }
    }

    /// The scope that children of the frame are nested in.
    pub(super) fn scope_of(&self, id: FrameId) -> std::sync::Arc<Scope> {
        let scope = self.run.frame(id).map(|frame| frame.scope.clone());
        std::sync::Arc::new(scope.unwrap_or_default())
    }

    /// The context object, as Step Functions documents it.
    fn context_object(&self, id: FrameId, context_of: FrameId) -> Value {
        let info = &self.run.info;
        let mut context = json!({
            "Execution": {
                "Id": info.arn,
                "Input": info.input,
                "Name": info.name,
                "RoleArn": info.role_arn,
                "StartTime": rfc3339(info.started_at),
                "RedriveCount": info.redrive_count,
            },
            "StateMachine": {"Id": info.machine_arn, "Name": info.machine_name},
        });
        if let Some(redriven_at) = info.redriven_at {
            context["Execution"]["RedriveTime"] = json!(rfc3339(redriven_at));
        }
        if let Some(state) = self.run.in_state(id) {
            context["State"] = json!({
                "Name": state.name,
                "EnteredTime": rfc3339(state.entered_at),
            });
            // AWS: the others cannot be retried, and have none.
            if let Some(State::Task(_) | State::Parallel(_) | State::Map(_)) =
                state_of(&self.machine, self.run, id)
            {
                context["State"]["RetryCount"] = json!(state.retry_count);
            }
            if let Doing::Task(attempt) = &state.doing
                && let Some(token) = &attempt.token
            {
                context["Task"] = json!({"Token": token});
            }
        }
        let item = self
            .run
            .outwards(context_of)
            .find_map(|frame| match &frame.place {
                FramePlace::Iteration { index, item, .. } => Some((index, item)),
                FramePlace::Root | FramePlace::Branch { .. } => None,
            });
        if let Some((index, item)) = item {
            context["Map"] = json!({"Item": {"Index": index, "Value": item}});
        }
        context
    }
}

/// Milliseconds, as Step Functions shows times.
fn rfc3339(time: trace_model::Timestamp) -> String {
    time.to_utc()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn evaluation_failure(failed: StateError) -> Failure {
    let StateError {
        error,
        cause,
        field: location,
    } = failed;
    let told = if error == error::name::QUERY_EVALUATION_ERROR {
        Told::NotYet { location }
    } else {
        Told::Yes
    };
    Failure {
        reason: ErrorAndCause {
            error: Some(error),
            cause: Some(cause),
        },
        matched_as: None,
        told,
    }
}
