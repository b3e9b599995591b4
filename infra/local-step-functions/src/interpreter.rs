//! The interpreter: a machine, where a run stands, and one signal in; history
//! events and commands out. It does no IO and keeps nothing of its own, so a
//! step is a function of values, and what it changed is written in the same
//! transaction as the events that tell of it.

mod evaluation;
mod events;
mod fan_out;
mod frame;
mod redrive;
mod run;
mod signal;
mod task;
mod transition;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use state_language::StateMachine;
use trace_model::Timestamp;

pub(crate) use self::frame::{Call, Frame, FrameId, ROOT};
pub(crate) use self::run::{ErrorAndCause, ExecutionInfo, Outcome, Run};
pub(crate) use self::signal::{TaskToken, pending_timers};
use crate::Place;
use crate::history::{EventType, HistoryEvent};

/// Events an execution may have, `ExecutionFailed` included: Step Functions' quota.
pub(crate) const HISTORY_LIMIT: i64 = 25_000;

/// Bytes of JSON that an input, an output or a result may have: Step Functions' quota, 256 KiB.
pub(crate) const DATA_LIMIT: usize = 262_144;

/// Transitions of one run in one step: a machine that loops without waiting leaves room for others.
const STEP_LIMIT: usize = 200;

/// What happened in the world that concerns one run.
#[derive(Debug)]
pub(crate) enum Signal {
    Start,
    /// Go on from every state that did not succeed.
    Redrive,
    /// Go on where the last step's limit stopped it, or where a stored run stands.
    Continue,
    /// The call of a task came to its end.
    CallEnded {
        frame: FrameId,
        generation: u64,
        result: Result<Value, ErrorAndCause>,
    },
    /// Somebody sent a task's token back.
    TokenEnded {
        token: TaskToken,
        result: Result<Value, ErrorAndCause>,
    },
    Heartbeat {
        token: TaskToken,
    },
    /// The execution that a `.sync` task waits for has ended: its description, or why the task
    /// failed with it.
    ExecutionEnded {
        frame: FrameId,
        generation: u64,
        result: Result<Value, ErrorAndCause>,
    },
    Due(Timer),
    Stop(ErrorAndCause),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub(crate) due: Timestamp,
    pub(crate) frame: FrameId,
    /// Of the frame; of the execution's own timeout, the redrive it belongs to.
    pub(crate) generation: u64,
    pub(crate) kind: TimerKind,
}

impl Timer {
    /// Whether the run, which goes on, still does what the timer was set for.
    pub(crate) fn is_awaited(&self, run: &Run) -> bool {
        if self.kind == TimerKind::ExecutionTimeout {
            return self.generation == u64::from(run.info.redrive_count);
        }
        run.frame(self.frame)
            .is_some_and(|frame| frame.generation == self.generation)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKind {
    /// A Wait state or the delay before a retry is over.
    Wake,
    TaskTimeout,
    Heartbeat,
    ExecutionTimeout,
}

/// What the world is to do for the run, once the step is on disk.
#[derive(Debug)]
pub(crate) enum Command {
    Invoke(Invocation),
    CallStepFunctions(ServiceCall),
    SetTimer(Timer),
    /// More is ready than one step may do.
    Continue,
}

#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) frame: FrameId,
    pub(crate) generation: u64,
    /// As the machine names it: name, partial ARN or ARN.
    pub(crate) function: String,
    pub(crate) payload: Value,
    pub(crate) mode: InvocationMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvocationMode {
    /// The function's answer is the result.
    Direct,
    /// The answer is wrapped as Lambda's Invoke API answers it.
    Invoke,
    /// As `Invoke`, but nobody waits for the function: `InvocationType` is `Event`.
    Event,
}

/// A task's call of the engine itself.
#[derive(Debug)]
pub(crate) struct ServiceCall {
    pub(crate) frame: FrameId,
    pub(crate) generation: u64,
    pub(crate) integration: Integration,
    /// As the resource names it: `startExecution`, `sendTaskSuccess`, …
    pub(crate) api: String,
    pub(crate) arguments: Value,
    pub(crate) then: Then,
}

/// The two ways a task can call Step Functions, which differ in names and shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integration {
    /// `states:…`
    Optimized,
    /// `aws-sdk:sfn:…`
    Sdk,
}

/// What follows the answer to a [`ServiceCall`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The answer is the result, or a token is awaited.
    Answer,
    /// The task goes on until the execution it started has ended.
    AwaitExecution,
}

/// What one signal came to.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) events: Vec<HistoryEvent>,
    pub(crate) commands: Vec<Command>,
    /// Whether the signal meant anything to the run: a late one does not.
    pub(crate) taken: Taken,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    #[default]
    Yes,
    No,
}

/// What a step may know of the world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World<'world> {
    pub(crate) place: &'world Place,
    pub(crate) now: Timestamp,
}

/// How much of what is ready a step may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Some hundred transitions.
    Full,
    /// Nothing but the signal itself: the rest is for another step.
    SignalOnly,
}

/// Applies one signal to a run.
pub(crate) fn step(run: &mut Run, signal: Signal, share: Share, world: World<'_>) -> Step {
    let mut interpreter = Interpreter {
        machine: Arc::clone(&run.machine),
        run,
        world,
        history: History::Open,
        stopped: BTreeSet::new(),
        step: Step::default(),
    };
    interpreter.take(signal);
    interpreter.run_ready(share);
    interpreter.step
}

struct Interpreter<'run> {
    run: &'run mut Run,
    machine: Arc<StateMachine>,
    world: World<'run>,
    history: History,
    /// Frames that this step has stopped. They stay where they stood: if the execution ends, a
    /// redrive goes on with them; if a state around them goes on, it removes them.
    stopped: BTreeSet<FrameId>,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum History {
    Open,
    /// The quota is used up but for the event that says so.
    Full,
}

impl Interpreter<'_> {
    fn run_ready(&mut self, share: Share) {
        let limit = match share {
            Share::Full => STEP_LIMIT,
            Share::SignalOnly => 0,
        };
        for _ in 0..limit {
            if self.history == History::Full && !self.run.is_over() {
                self.fail_for_full_history();
            }
            if self.run.is_over() {
                self.run.ready.clear();
                return;
            }
            let Some(frame) = self.run.ready.pop_front() else {
                return;
            };
            self.execute(frame);
        }
        if self.run.is_over() {
            self.run.ready.clear();
        } else if self.history == History::Full || !self.run.ready.is_empty() {
            self.step.commands.push(Command::Continue);
        }
    }

    /// Appends an event of a frame, linked to the frame's last, which it becomes.
    fn append(&mut self, frame: FrameId, event_type: EventType, details: Value) -> i64 {
        let previous = self.run.frame(frame).map_or(0, |frame| frame.last_event_id);
        let id = self.append_after(previous, event_type, details);
        if let Some(frame) = self.run.frame_mut(frame) {
            frame.last_event_id = id;
        }
        id
    }

    /// Appends an event that the next one of its frame does not link to.
    fn append_after(&mut self, previous: i64, event_type: EventType, details: Value) -> i64 {
        if self.run.last_event_id >= HISTORY_LIMIT - 1 && self.history == History::Open {
            self.history = History::Full;
        }
        if self.history == History::Full {
            return self.run.last_event_id;
        }
        self.push(previous, event_type, details)
    }

    fn push(&mut self, previous_event_id: i64, event_type: EventType, details: Value) -> i64 {
        self.run.last_event_id += 1;
        self.step.events.push(HistoryEvent {
            id: self.run.last_event_id,
            previous_event_id,
            timestamp: self.world.now,
            event_type,
            details,
        });
        self.run.last_event_id
    }

    fn fail_for_full_history(&mut self) {
        let reason = ErrorAndCause {
            error: Some("States.Runtime".to_owned()),
            cause: Some(format!(
                "The execution reached the maximum number of history events ({HISTORY_LIMIT})."
            )),
        };
        let details = events::error_and_cause(&reason);
        self.push(self.run.last_event_id, EventType::ExecutionFailed, details);
        self.end(Outcome::Failed(reason));
    }

    /// The run is over. A function that is still being called goes on to its own end, as a
    /// Lambda function does; nobody waits for its result.
    fn end(&mut self, outcome: Outcome) {
        self.run.outcome = outcome;
    }
}
