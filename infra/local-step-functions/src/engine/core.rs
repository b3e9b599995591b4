//! What the engine knows, and one batch of inputs worked off: steps of runs,
//! then one commit for all of them.

mod machines;
mod runs;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use state_language::StateMachine;
use tokio::sync::oneshot;
use trace_model::{Clock, Timestamp};

use super::{Growth, Input, Request};
use crate::interpreter::{Invocation, Run, Signal, Timer};
use crate::store::{Machine, Reader, RowId, Write, Writer};
use crate::{AwsError, Error, Place};

/// A commit that failed is tried this often, because a full disk or a held lock may pass.
const COMMIT_ATTEMPTS: u32 = 5;
const COMMIT_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Core {
    writer: Writer,
    reader: Reader,
    place: Arc<Place>,
    clock: Clock,
    machines: HashMap<String, Machine>,
    /// Parsed definitions by the row of their revision.
    definitions: HashMap<RowId, Arc<StateMachine>>,
    runs: HashMap<RowId, Run>,
    runs_by_arn: HashMap<Arc<str>, RowId>,
    timers: BinaryHeap<Reverse<(Timer, RowId)>>,
    /// Signals for the next batch: runs that stopped at a step's limit, and after a start the
    /// calls that were under way.
    pending: Vec<(RowId, Signal)>,
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
    /// Executions started in this batch, which the disk does not know yet.
    started: HashMap<Arc<str>, Timestamp>,
}

impl Core {
    /// When the next timer rings.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((timer, _))| timer.due)
    }

    /// Whether there is work that needs no waiting.
    pub(super) fn has_ready(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn process(&mut self, inputs: Vec<Input>) -> Result<Effects, Error> {
        let mut batch = Batch {
            now: self.clock.now(),
            ..Batch::default()
        };
        while let Some(Reverse((timer, _))) = self.timers.peek()
            && timer.due <= batch.now
            && let Some(Reverse((timer, run))) = self.timers.pop()
        {
            self.signal(run, Signal::Due(timer), &mut batch);
        }
        for (run, signal) in std::mem::take(&mut self.pending) {
            self.signal(run, signal, &mut batch);
        }
        for input in inputs {
            match input {
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
        if !batch.writes.is_empty() {
            self.commit(&batch.writes)?;
        }
        batch.effects.growth = batch.grown.into_values().collect();
        Ok(batch.effects)
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
            Request::StartExecution {
                machine,
                name,
                input_text,
                input,
            } => self.start_execution(&machine, name, input_text, input, batch),
            Request::StopExecution { arn, reason } => self.stop_execution(&arn, reason, batch),
            Request::EndTask { token, result } => {
                self.task_signal(Signal::TokenEnded { token, result }, batch)
            }
            Request::Heartbeat { token } => self.task_signal(Signal::Heartbeat { token }, batch),
        }
    }
}
