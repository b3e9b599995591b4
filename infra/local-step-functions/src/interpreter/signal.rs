//! How signals reach a run: late and foreign ones are told from its own.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use state_language::State;

use super::frame::{Activity, Call, Doing, Frame, FrameId, InState};
use super::run::{Run, state_of};
use super::{Interpreter, Outcome, Signal, Taken, Timer, TimerKind, events};
use crate::history::EventType;

/// What Step Functions' tokens begin with: what masks those knows ours by it too.
const TOKEN_START: &str = "AQCEAAAAKgAAAAMAAAAAAAAA";

/// A task token: it names the attempt it belongs to, and holds what cannot be guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskToken {
    pub(crate) execution_arn: String,
    pub(crate) frame: FrameId,
    secret: String,
}

impl TaskToken {
    pub(crate) fn new(execution_arn: &str, frame: FrameId) -> Self {
        Self {
            execution_arn: execution_arn.to_owned(),
            frame,
            secret: uuid::Uuid::new_v4().simple().to_string(),
        }
    }

    /// `None` for what this engine never gave out.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(TOKEN_START)?;
        let text = String::from_utf8(STANDARD_NO_PAD.decode(encoded).ok()?).ok()?;
        let (rest, secret) = text.rsplit_once('#')?;
        let (execution_arn, frame) = rest.rsplit_once('#')?;
        Some(Self {
            execution_arn: execution_arn.to_owned(),
            frame: frame.parse().ok()?,
            secret: secret.to_owned(),
        })
    }
}

impl fmt::Display for TaskToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}#{}#{}", self.execution_arn, self.frame, self.secret);
        write!(formatter, "{TOKEN_START}{}", STANDARD_NO_PAD.encode(text))
    }
}

/// Every timer a stored run needs set again, as when it was stored.
pub(crate) fn pending_timers(run: &Run) -> Vec<Timer> {
    let mut timers = Vec::new();
    if let Some(seconds) = run.machine.timeout_seconds {
        timers.push(Timer {
            due: run
                .info
                .running_since()
                .plus(std::time::Duration::from_secs(seconds)),
            frame: super::ROOT,
            generation: run.info.redrive_count.into(),
            kind: TimerKind::ExecutionTimeout,
        });
    }
    for (&frame, contents) in &run.frames {
        let Activity::InState(InState { doing, .. }) = &contents.activity else {
            continue;
        };
        let mut set = |due, kind| {
            let generation = contents.generation;
            timers.push(Timer {
                due,
                frame,
                generation,
                kind,
            });
        };
        match doing {
            Doing::Waiting { until } | Doing::Backoff { until } => set(*until, TimerKind::Wake),
            Doing::Task(attempt) => {
                if let Some(deadline) = attempt.deadline {
                    set(deadline, TimerKind::TaskTimeout);
                }
                if let Some(heartbeat) = attempt.heartbeat {
                    set(heartbeat.deadline, TimerKind::Heartbeat);
                }
            }
            Doing::Ready | Doing::Parallel(_) | Doing::Map(..) => {}
        }
    }
    timers
}

impl Interpreter<'_> {
    pub(super) fn take(&mut self, signal: Signal) {
        if self.run.is_over() {
            self.step.taken = Taken::No;
            return;
        }
        match signal {
            Signal::Start => self.start(),
            Signal::Redrive => self.redrive(),
            Signal::Continue => {}
            Signal::CallEnded {
                frame,
                generation,
                result,
            } => {
                match self
                    .run
                    .frame(frame)
                    .filter(|frame| frame.generation == generation)
                {
                    Some(frame)
                        if frame.task_attempt().map(|it| it.call) == Some(Call::UnderWay) => {}
                    _ => {
                        self.step.taken = Taken::No;
                        return;
                    }
                }
                self.call_ended(frame, result);
            }
            Signal::TokenEnded { token, result } => {
                if !self.awaits(&token) {
                    self.step.taken = Taken::No;
                    return;
                }
                let machine = std::sync::Arc::clone(&self.machine);
                if let Some(state @ State::Task(task)) = state_of(&machine, self.run, token.frame) {
                    match result {
                        Ok(output) => self.attempt_succeeded(token.frame, state, task, output),
                        Err(reason) => self.attempt_failed(token.frame, task, reason),
                    }
                }
            }
            Signal::Heartbeat { token } => self.heartbeat(&token),
            Signal::ExecutionEnded {
                frame,
                generation,
                result,
            } => {
                let attempt = self.run.frame(frame).and_then(|contents| {
                    let attempt = contents.task_attempt()?;
                    (contents.generation == generation).then_some(attempt)
                });
                if attempt.is_none_or(|attempt| attempt.execution.is_none()) {
                    self.step.taken = Taken::No;
                    return;
                }
                self.execution_ended(frame, result);
            }
            Signal::Due(timer) => self.due(&timer),
            Signal::Stop(reason) => {
                if self.run.last_event_id == 0 {
                    // Stopped before its first step: every history begins with its start.
                    self.start();
                }
                let details = events::error_and_cause(&reason);
                self.push(0, EventType::ExecutionAborted, details);
                self.end(Outcome::Aborted(reason));
            }
        }
    }

    fn due(&mut self, timer: &Timer) {
        if timer.kind == TimerKind::ExecutionTimeout {
            if !timer.is_awaited(self.run) {
                self.step.taken = Taken::No;
                return;
            }
            self.push(0, EventType::ExecutionTimedOut, serde_json::json!({}));
            return self.end(Outcome::TimedOut);
        }
        let now = self.world.now;
        let frame = self.run.frame(timer.frame);
        let Some(frame) = frame.filter(|frame| frame.generation == timer.generation) else {
            self.step.taken = Taken::No;
            return;
        };
        let Activity::InState(in_state) = &frame.activity else {
            return;
        };
        match (&in_state.doing, timer.kind) {
            (Doing::Waiting { .. }, TimerKind::Wake) => {
                let machine = std::sync::Arc::clone(&self.machine);
                if let Some(state) = state_of(&machine, self.run, timer.frame) {
                    let given = super::evaluation::Given::Nothing;
                    if let Err(failure) = self.leave_by_state(timer.frame, state, given) {
                        self.fail(timer.frame, failure);
                    }
                }
            }
            (Doing::Backoff { .. }, TimerKind::Wake) => self.make_ready(timer.frame),
            (Doing::Task(_), TimerKind::TaskTimeout) => {
                self.attempt_timed_out(timer.frame, timer.kind);
            }
            (Doing::Task(attempt), TimerKind::Heartbeat)
                if attempt
                    .heartbeat
                    .is_some_and(|heartbeat| heartbeat.deadline <= now) =>
            {
                self.attempt_timed_out(timer.frame, timer.kind);
            }
            _ => self.step.taken = Taken::No,
        }
    }

    fn heartbeat(&mut self, token: &TaskToken) {
        if !self.awaits(token) {
            self.step.taken = Taken::No;
            return;
        }
        let now = self.world.now;
        let Some(frame) = self.run.frame_mut(token.frame) else {
            return;
        };
        let generation = frame.generation;
        if let Activity::InState(InState {
            doing: Doing::Task(attempt),
            ..
        }) = &mut frame.activity
            && let Some(heartbeat) = &mut attempt.heartbeat
        {
            heartbeat.deadline = now.plus(std::time::Duration::from_secs(heartbeat.seconds));
            let due = heartbeat.deadline;
            self.set_timer(token.frame, generation, due, TimerKind::Heartbeat);
        }
    }

    /// Whether the token is the one the frame's present attempt waits for.
    fn awaits(&self, token: &TaskToken) -> bool {
        let attempt = self.run.frame(token.frame).and_then(Frame::task_attempt);
        attempt.is_some_and(|attempt| attempt.token.as_deref() == Some(&token.to_string()))
    }
}
