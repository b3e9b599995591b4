//! Executions: found again at the start, started, signalled, ended.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::{Value, json};
use state_language::StateMachine;
use trace_model::{Clock, Timestamp};

use super::nested::Nesting;
use super::{Batch, Core, FirstStep, FollowUp, STEPS_LIMIT};
use crate::engine::{Growth, Start};
use crate::history::{EventType, HistoryEvent, epoch_seconds};
use crate::interpreter::{
    self, Call, Command, ErrorAndCause, ExecutionInfo, Outcome, Run, Share, Signal, Step, Taken,
    World,
};
use crate::invoke;
use crate::store::{Execution, Frames, Reader, RowId, Standing, StoredRun, Write, Writer};
use crate::{AwsError, Error, Place};

/// Executions that may run at a time: Step Functions' quota for an account in a region.
const OPEN_EXECUTIONS_LIMIT: usize = 1_000_000;

impl Core {
    /// What the last process left, ready to go on.
    pub(in crate::engine) fn recover(
        writer: Writer,
        reader: Reader,
        place: Arc<Place>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (machines, running, (last_execution, last_revision)) =
            reader.run_blocking(|reading| {
                let machines = reading.machines("", usize::MAX >> 1)?;
                Ok((machines, reading.running()?, reading.last_row_ids()?))
            })?;
        let machines = machines
            .into_iter()
            .map(|machine| (machine.name.clone(), machine));
        let mut core = Self {
            writer,
            reader,
            place,
            clock,
            machines: machines.collect(),
            definitions: HashMap::new(),
            runs: HashMap::new(),
            runs_by_arn: HashMap::new(),
            nesting: Nesting::default(),
            timers: BinaryHeap::new(),
            sweep_timers_at: super::FEWEST_SWEPT,
            pending: VecDeque::new(),
            held: Vec::new(),
            last_execution,
            last_revision,
        };
        for stored in running {
            core.resume(stored)?;
        }
        core.resume_nesting()?;
        core.forget_what_nobody_can_redrive()?;
        core.forget_old_definitions();
        Ok(core)
    }

    /// Runs hold the definition they go by; starts need the present ones only.
    pub(super) fn forget_old_definitions(&mut self) {
        let present = self.machines.values().map(|machine| machine.revision.id);
        let present: HashSet<RowId> = present.collect();
        self.definitions.retain(|id, _| present.contains(id));
    }

    fn resume(&mut self, stored: StoredRun) -> Result<(), Error> {
        let id = stored.execution.id;
        let machine = match self.definition(stored.revision.id, &stored.revision.definition) {
            Ok(machine) => machine,
            Err(problem) => {
                tracing::error!(execution = stored.execution.arn, problem, "cannot go on");
                return self.give_up(&stored.execution, &problem);
            }
        };
        let run = self.run_of(stored, machine)?;
        for timer in interpreter::pending_timers(&run) {
            self.timers.push(Reverse((timer, id)));
        }
        for (&frame, contents) in &run.frames {
            if contents
                .task_attempt()
                .is_some_and(|attempt| attempt.call == Call::UnderWay)
            {
                let reason = invoke::failure(
                    "Lambda.Unknown",
                    "The process that was calling the function stopped; whether the function ended is unknown.",
                );
                let generation = contents.generation;
                let result = Err(reason);
                self.pending.push_back((
                    id,
                    Signal::CallEnded {
                        frame,
                        generation,
                        result,
                    },
                ));
            }
        }
        if run.last_event_id == 0 {
            self.pending.push_back((id, Signal::Start));
        } else if !run.ready.is_empty() {
            self.pending.push_back((id, Signal::Continue));
        }
        self.runs_by_arn.insert(run.info.arn.as_str().into(), id);
        self.runs.insert(id, run);
        Ok(())
    }

    pub(super) fn run_of(
        &self,
        stored: StoredRun,
        machine: Arc<StateMachine>,
    ) -> Result<Run, Error> {
        let StoredRun {
            execution,
            revision,
            frames,
        } = stored;
        let input = serde_json::from_str(&execution.input).map_err(|source| Error::Stored {
            what: "input",
            execution: execution.arn.clone(),
            source,
        })?;
        let info = ExecutionInfo {
            machine_arn: self.place.state_machine_arn(&execution.machine),
            arn: execution.arn,
            name: execution.name,
            machine_name: execution.machine,
            role_arn: revision.role_arn,
            revision: revision.id,
            input_text: execution.input,
            input,
            started_at: execution.started,
            redrive_count: execution.redrive_count,
            redriven_at: execution.redriven,
            failed_with: execution.error,
        };
        let (last_event_id, next_frame_id) = (execution.last_event_id, execution.next_frame_id);
        Ok(Run::resumed(
            info,
            machine,
            last_event_id,
            next_frame_id,
            frames,
        ))
    }

    /// Ends a run whose definition can no longer be read.
    fn give_up(&mut self, execution: &Execution, problem: &str) -> Result<(), Error> {
        let reason = invoke::failure("States.Runtime", problem);
        let event = HistoryEvent {
            id: execution.last_event_id + 1,
            previous_event_id: execution.last_event_id,
            timestamp: self.clock.now(),
            event_type: EventType::ExecutionFailed,
            details: json!({"error": reason.error, "cause": reason.cause}),
        };
        let stopped = event.timestamp;
        self.commit(&[
            Write::Progress {
                execution: execution.id,
                last_event_id: event.id,
                next_frame_id: execution.next_frame_id,
            },
            Write::Event {
                execution: execution.id,
                event,
            },
            Write::EndExecution {
                execution: execution.id,
                status: Outcome::Failed(ErrorAndCause::default()).status(),
                output: None,
                error: reason.error,
                cause: reason.cause,
                stopped,
            },
        ])
    }

    pub(super) fn definition(
        &mut self,
        revision: RowId,
        text: &str,
    ) -> Result<Arc<StateMachine>, String> {
        if let Some(known) = self.definitions.get(&revision) {
            return Ok(Arc::clone(known));
        }
        let parsed = state_language::parse_accepted(text)
            .map_err(|problems| format!("the definition can no longer be read: {problems}"))?;
        let parsed = Arc::new(parsed);
        self.definitions.insert(revision, Arc::clone(&parsed));
        Ok(parsed)
    }

    pub(super) fn start_execution(
        &mut self,
        start: Start,
        first_step: FirstStep,
        batch: &mut Batch,
    ) -> Result<Value, AwsError> {
        let Start {
            machine,
            name,
            input_text,
            input,
        } = start;
        let machine = self.machine(&machine)?.clone();
        let is_named = name.is_some();
        let name = name.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let arn = self.place.execution_arn(&machine.name, &name);
        if is_named && let Some(answer) = self.same_name(&arn, &input_text, batch)? {
            return Ok(answer);
        }
        if self.runs.len() >= OPEN_EXECUTIONS_LIMIT {
            return Err(AwsError::new(
                "ExecutionLimitExceeded",
                format!("{OPEN_EXECUTIONS_LIMIT} executions are running, which is the limit"),
            ));
        }
        let definition = self
            .definition(machine.revision.id, &machine.revision.definition)
            .map_err(|problem| AwsError::new("InvalidDefinition", problem))?;
        let info = ExecutionInfo {
            arn: arn.clone(),
            name: name.clone(),
            machine_arn: self.place.state_machine_arn(&machine.name),
            machine_name: machine.name.clone(),
            role_arn: machine.revision.role_arn,
            revision: machine.revision.id,
            input_text: input_text.clone(),
            input,
            started_at: batch.now,
            redrive_count: 0,
            redriven_at: None,
            failed_with: None,
        };
        self.last_execution += 1;
        let id = self.last_execution;
        batch.writes.push(Write::StartExecution(Execution {
            id,
            arn: arn.clone(),
            name,
            machine: machine.name,
            revision: machine.revision.id,
            status: Outcome::Running.status().to_owned(),
            input: input_text,
            output: None,
            error: None,
            cause: None,
            started: batch.now,
            stopped: None,
            last_event_id: 0,
            next_frame_id: 0,
            redrive_count: 0,
            redriven: None,
            frames: Frames::Kept,
            machine_is: Standing::There,
        }));
        let shared: Arc<str> = arn.as_str().into();
        self.runs_by_arn.insert(shared, id);
        self.runs.insert(id, Run::new(info, definition));
        match first_step {
            FirstStep::Now => drop(self.signal(id, Signal::Start, batch)),
            FirstStep::InTheNextBatch => self.pending.push_back((id, Signal::Start)),
        }
        Ok(json!({"executionArn": arn, "startDate": epoch_seconds(batch.now)}))
    }

    /// The execution that has the name already: the same start again while it runs, else refused.
    fn same_name(
        &self,
        arn: &str,
        input_text: &str,
        batch: &Batch,
    ) -> Result<Option<Value>, AwsError> {
        if let Some(run) = self.runs_by_arn.get(arn).and_then(|id| self.runs.get(id))
            && run.info.input_text == input_text
        {
            let started = epoch_seconds(run.info.started_at);
            return Ok(Some(json!({"executionArn": arn, "startDate": started})));
        }
        if self.runs_by_arn.contains_key(arn) || self.ended_execution(arn, batch)?.is_some() {
            return Err(AwsError::new(
                "ExecutionAlreadyExists",
                format!("Execution Already Exists: '{arn}'"),
            ));
        }
        Ok(None)
    }

    pub(super) fn stop_execution(
        &mut self,
        arn: &str,
        reason: ErrorAndCause,
        batch: &mut Batch,
    ) -> Result<Value, AwsError> {
        let stopped = if let Some(&id) = self.runs_by_arn.get(arn) {
            self.signal(id, Signal::Stop(reason), batch);
            batch.now
        } else {
            // One that has ended stays as it ended.
            let execution = self
                .ended_execution(arn, batch)?
                .ok_or_else(|| AwsError::no_execution(arn))?;
            execution.stopped.unwrap_or(batch.now)
        };
        Ok(json!({"stopDate": epoch_seconds(stopped)}))
    }

    /// An execution that does not run, as it is or will be on disk.
    pub(super) fn ended_execution(
        &self,
        arn: &str,
        batch: &Batch,
    ) -> Result<Option<Execution>, AwsError> {
        if let Some(ended) = batch.ended.get(arn) {
            return Ok(Some(ended.clone()));
        }
        Ok(self.reader.run_blocking(|reading| reading.execution(arn))?)
    }

    pub(super) fn task_signal(
        &mut self,
        signal: Signal,
        batch: &mut Batch,
    ) -> Result<Value, AwsError> {
        let (Signal::TokenEnded { token, .. } | Signal::Heartbeat { token }) = &signal else {
            return Err(AwsError::validation("not a task's signal"));
        };
        let run = self.runs_by_arn.get(token.execution_arn.as_str()).copied();
        match run.map(|run| self.signal(run, signal, batch)) {
            Some(Taken::Yes) => Ok(json!({})),
            Some(Taken::No) | None => Err(AwsError::new(
                "TaskTimedOut",
                "Task Timed Out: 'Provided task does not exist anymore'",
            )),
        }
    }

    /// One step of one run: what it changed is added to the batch.
    pub(super) fn signal(&mut self, id: RowId, signal: Signal, batch: &mut Batch) -> Taken {
        let Some(run) = self.runs.get_mut(&id) else {
            return Taken::No;
        };
        let standing = if self.machines.contains_key(&run.info.machine_name) {
            Standing::There
        } else {
            Standing::Deleted
        };
        let world = World {
            place: &self.place,
            now: batch.now,
        };
        batch.steps += 1;
        let share = if batch.steps > STEPS_LIMIT {
            Share::SignalOnly
        } else {
            Share::Full
        };
        let step = guarded_step(run, signal, share, world);
        if !step.events.is_empty() {
            let growth = Growth {
                execution_arn: run.info.arn.as_str().into(),
                last_event_id: run.last_event_id,
            };
            batch.grown.insert(id, growth);
        }
        for event in step.events {
            batch.writes.push(Write::Event {
                execution: id,
                event,
            });
        }
        // Of what ended badly a redrive goes on with what is left.
        let has_succeeded = matches!(run.outcome, Outcome::Succeeded { .. });
        for frame in run.take_changed().into_iter().filter(|_| !has_succeeded) {
            batch.writes.push(match run.frame(frame) {
                Some(contents) => Write::Frame {
                    execution: id,
                    id: frame,
                    contents: serde_json::to_string(contents)
                        .expect("frames have string keys and finite numbers"),
                },
                None => Write::DeleteFrame {
                    execution: id,
                    id: frame,
                },
            });
        }
        batch.writes.push(Write::Progress {
            execution: id,
            last_event_id: run.last_event_id,
            next_frame_id: run.next_frame_id,
        });
        if run.is_over() {
            let ended = as_stored(id, run, batch.now, standing);
            batch.writes.push(Write::EndExecution {
                execution: id,
                status: run.outcome.status(),
                output: ended.output.clone(),
                error: ended.error.clone(),
                cause: ended.cause.clone(),
                stopped: batch.now,
            });
            if has_succeeded {
                batch.writes.push(Write::DeleteFrames { execution: id });
            }
            self.runs_by_arn.remove(run.info.arn.as_str());
            self.runs.remove(&id);
            self.tell_those_who_wait(&ended, batch);
            batch.ended.insert(ended.arn.as_str().into(), ended);
        }
        for command in step.commands {
            match command {
                Command::Invoke(invocation) => batch.effects.invocations.push((id, invocation)),
                Command::CallStepFunctions(call) => {
                    batch.follow_ups.push_back(FollowUp::Call(id, call));
                }
                Command::SetTimer(timer) => self.timers.push(Reverse((timer, id))),
                Command::Continue => self.pending.push_back((id, Signal::Continue)),
            }
        }
        self.stop_those_nobody_waits_for(id, batch);
        step.taken
    }
}

/// A step that panics ends its own run and no other.
fn guarded_step(run: &mut Run, signal: Signal, share: Share, world: World<'_>) -> Step {
    let last_event_id = run.last_event_id;
    let stepped = catch_unwind(AssertUnwindSafe(|| {
        interpreter::step(run, signal, share, world)
    }));
    stepped.unwrap_or_else(|_| {
        tracing::error!(execution = run.info.arn, "the interpreter panicked");
        let reason = invoke::failure("States.Runtime", "the engine failed in this step");
        // Half a step is none: what is on disk is whole.
        run.take_changed();
        run.last_event_id = last_event_id + 1;
        let event = HistoryEvent {
            id: run.last_event_id,
            previous_event_id: last_event_id,
            timestamp: world.now,
            event_type: EventType::ExecutionFailed,
            details: json!({"error": reason.error, "cause": reason.cause}),
        };
        run.outcome = Outcome::Failed(reason);
        Step {
            events: vec![event],
            ..Step::default()
        }
    })
}

/// The execution as its row will be once the batch is on disk.
pub(super) fn as_stored(id: RowId, run: &Run, now: Timestamp, machine_is: Standing) -> Execution {
    let (output, reason) = match &run.outcome {
        Outcome::Running | Outcome::TimedOut => (None, ErrorAndCause::default()),
        Outcome::Succeeded { output } => (Some(output.to_string()), ErrorAndCause::default()),
        Outcome::Failed(reason) | Outcome::Aborted(reason) => (None, reason.clone()),
    };
    let info = &run.info;
    Execution {
        id,
        arn: info.arn.clone(),
        name: info.name.clone(),
        machine: info.machine_name.clone(),
        revision: info.revision,
        status: run.outcome.status().to_owned(),
        input: info.input_text.clone(),
        output,
        error: reason.error,
        cause: reason.cause,
        started: info.started_at,
        stopped: run.is_over().then_some(now),
        last_event_id: run.last_event_id,
        next_frame_id: run.next_frame_id,
        redrive_count: info.redrive_count,
        redriven: info.redriven_at,
        frames: Frames::Kept,
        machine_is,
    }
}
