//! What the engine knows, and one batch of inputs worked off: steps of runs,
//! then one commit for all of them.

mod machines;
mod nested;
mod redrives;
mod runs;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use state_language::StateMachine;
use tokio::sync::oneshot;
use trace_model::{Clock, Timestamp};

use self::nested::Nesting;
use super::{Growth, Input, Request};
use crate::interpreter::{Invocation, Run, ServiceCall, Signal, Timer};
use crate::store::{Execution, Machine, Reader, RowId, Write, Writer};
use crate::{AwsError, Error, Place};

/// A commit that failed is tried this often, because a full disk or a held lock may pass.
const COMMIT_ATTEMPTS: u32 = 5;
const COMMIT_PAUSE: Duration = Duration::from_millis(200);

/// Steps in one commit, at most, but for the signals that belong to it: what is ready besides has
/// its turn in the next one, after what has come in meanwhile.
const STEPS_LIMIT: usize = 1_024;

/// Fewer timers than this are not worth looking through.
const FEWEST_SWEPT: usize = 1_024;

#[derive(Debug)]
pub(super) struct Core {
    writer: Writer,
    reader: Reader,
    place: Arc<Place>,
    clock: Clock,
    machines: HashMap<String, Machine>,
    /// Parsed definitions of the machines' present revisions, by the row of the revision.
    definitions: HashMap<RowId, Arc<StateMachine>>,
    runs: HashMap<RowId, Run>,
    runs_by_arn: HashMap<Arc<str>, RowId>,
    nesting: Nesting,
    timers: BinaryHeap<Reverse<(Timer, RowId)>>,
    /// At this many timers those that ring for nothing are looked for.
    sweep_timers_at: usize,
    /// Signals for the next batch: runs that stopped at a step's limit, runs that another run
    /// started, and after a start the calls that were under way.
    pending: VecDeque<(RowId, Signal)>,
    /// Requests that need what the present batch is only about to write.
    held: Vec<Input>,
    last_execution: RowId,
    last_revision: RowId,
}

type Reply = oneshot::Sender<Result<Value, AwsError>>;

/// What a batch leaves to be done once it is on disk.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) replies: Vec<(Reply, Result<Value, AwsError>)>,
    pub(super) growth: Vec<Growth>,
    pub(super) invocations: Vec<(RowId, Invocation)>,
}

/// A batch as it comes about.
#[derive(Debug, Default)]
struct Batch {
    now: Timestamp,
    writes: Vec<Write>,
    effects: Effects,
    grown: BTreeMap<RowId, Growth>,
    /// What steps of this batch mean to other runs, and belongs into the same commit.
    follow_ups: VecDeque<FollowUp>,
    /// Executions that ended in this batch, which the disk does not know yet.
    ended: HashMap<Arc<str>, Execution>,
    /// Client tokens of the redrives of this batch, with the execution.
    redriven: Vec<(RowId, String)>,
    steps: usize,
}

#[derive(Debug)]
enum FollowUp {
    Signal(RowId, Signal),
    Call(RowId, ServiceCall),
}

impl Core {
    /// When the next timer rings that anyone waits for.
    pub(super) fn next_due(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((timer, run))) = self.timers.peek() {
            if is_awaited(&self.runs, timer, *run) {
                return Some(timer.due);
            }
            self.timers.pop();
        }
        None
    }

    /// Whether there is work that needs no waiting.
    pub(super) fn has_ready(&self) -> bool {
        !self.pending.is_empty() || !self.held.is_empty()
    }

    pub(super) fn process(&mut self, inputs: Vec<Input>) -> Result<Effects, Error> {
        let mut batch = Batch {
            now: self.clock.now(),
            ..Batch::default()
        };
        while batch.steps < STEPS_LIMIT
            && let Some(Reverse((timer, _))) = self.timers.peek()
            && timer.due <= batch.now
            && let Some(Reverse((timer, run))) = self.timers.pop()
        {
            self.signal(run, Signal::Due(timer), &mut batch);
        }
        for _ in 0..self.pending.len() {
            if batch.steps >= STEPS_LIMIT {
                break;
            }
            if let Some((run, signal)) = self.pending.pop_front() {
                self.signal(run, signal, &mut batch);
            }
        }
        let held = std::mem::take(&mut self.held);
        for input in held.into_iter().chain(inputs) {
            match input {
                Input::Request(request, reply) if self.must_wait(&request, &batch) => {
                    self.held.push(Input::Request(request, reply));
                }
                Input::Request(request, reply) => {
                    let answer = self.answer(*request, &mut batch);
                    batch.effects.replies.push((reply, answer));
                }
                Input::CallEnded {
                    run,
                    frame,
                    generation,
                    result,
                } => {
                    let signal = Signal::CallEnded {
                        frame,
                        generation,
                        result,
                    };
                    self.signal(run, signal, &mut batch);
                }
                // The engine itself looks for it.
                Input::ShutDown => {}
            }
        }
        while let Some(follow_up) = batch.follow_ups.pop_front() {
            match follow_up {
                FollowUp::Signal(run, signal) => drop(self.signal(run, signal, &mut batch)),
                FollowUp::Call(run, call) => self.call(run, call, &mut batch),
            }
        }
        if !batch.writes.is_empty() {
            self.commit(&batch.writes)?;
        }
        self.sweep_timers();
        batch.effects.growth = batch.grown.into_values().collect();
        Ok(batch.effects)
    }

    /// A run that ends leaves its timers behind, which may be due in a year. Looking at twice as
    /// many as were left the last time costs each timer a constant.
    fn sweep_timers(&mut self) {
        if self.timers.len() >= self.sweep_timers_at {
            let runs = &self.runs;
            self.timers
                .retain(|Reverse((timer, run))| is_awaited(runs, timer, *run));
            self.sweep_timers_at = (2 * self.timers.len()).max(FEWEST_SWEPT);
        }
    }

    /// Leaves one database file behind.
    pub(super) fn close(self) -> Result<(), Error> {
        self.writer.checkpoint()
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), Error> {
        let mut attempt = 1;
        loop {
            match self.writer.commit(writes) {
                Err(error) if attempt < COMMIT_ATTEMPTS => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, attempt, "a commit failed and is tried again");
                    attempt += 1;
                    std::thread::sleep(COMMIT_PAUSE);
                }
                done => return done,
            }
        }
    }

    fn answer(&mut self, request: Request, batch: &mut Batch) -> Result<Value, AwsError> {
        match request {
            Request::CreateStateMachine { .. } => self.create_machine(request, batch),
            Request::UpdateStateMachine { .. } => self.update_machine(request, batch),
            Request::DeleteStateMachine { name } => Ok(self.delete_machine(&name, batch)),
            Request::TagResource { name, tags } => self.change_tags(&name, batch, |own| {
                own.extend(tags.as_object().cloned().unwrap_or_default());
            }),
            Request::UntagResource { name, keys } => self.change_tags(&name, batch, |own| {
                own.retain(|key, _| !keys.contains(key));
            }),
            Request::StartExecution(start) => self.start_execution(start, FirstStep::Now, batch),
            Request::RedriveExecution { arn, token } => self.redrive_execution(&arn, token, batch),
            Request::StopExecution { arn, reason } => self.stop_execution(&arn, reason, batch),
            Request::EndTask { token, result } => {
                self.task_signal(Signal::TokenEnded { token, result }, batch)
            }
            Request::Heartbeat { token } => self.task_signal(Signal::Heartbeat { token }, batch),
        }
    }
}

/// When a new run takes its first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstStep {
    Now,
    /// A machine that starts itself leaves room for others.
    InTheNextBatch,
}

/// Whether the timer's run goes on and still does what the timer was set for.
fn is_awaited(runs: &HashMap<RowId, Run>, timer: &Timer, run: RowId) -> bool {
    runs.get(&run).is_some_and(|run| timer.is_awaited(run))
}

#[cfg(test)]
mod tests;
