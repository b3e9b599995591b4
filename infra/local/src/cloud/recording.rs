//! Brings histories into the store while they grow, as status events and the API's watching
//! do on AWS.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use local_step_functions::{Growth, LocalStepFunctions};
use record_execution::{LiveRecording, Progress, RecordError, Recorder};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, Semaphore, broadcast};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trace_model::{Clock, ExecutionArn, Timestamp};
use tracing::{error, warn};

/// A run that goes on is written this often at most.
const PACE: Duration = Duration::from_millis(250);

/// The end of a run waits this long for more of it, so that a short run is one write.
const LAST_WORDS: Duration = Duration::from_millis(10);

/// A run that is silent for so long is put aside: one that waits for days costs a line in a map.
const PATIENCE: Duration = Duration::from_secs(5);

/// Executions recorded at once.
const MOST_AT_ONCE: usize = 64;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Follows all executions of the local cloud.
pub(super) struct Recordings {
    recorder: Recorder,
    step_functions: LocalStepFunctions,
    client: aws_sdk_sfn::Client,
    clock: Clock,
    marker: Marker,
    /// When this process started: what functions of it began earlier died with another.
    started: Timestamp,
    /// Functions under way, until their spans are written.
    invocations: TaskTracker,
}

/// Up to when every execution that stopped is known to be recorded, with the spans of its
/// functions: a restart looks at the later ones again. Kept in a file of one line.
struct Marker(PathBuf);

/// What is being recorded.
#[derive(Default)]
struct Running {
    workers: JoinSet<(ExecutionArn, Stopped)>,
    grown: HashMap<ExecutionArn, Growing>,
    /// Runs that were put aside, each with the last event of which the store has everything.
    parked: HashMap<ExecutionArn, i64>,
    /// The executions could not be listed: some may have ended that nobody recorded, so the
    /// marker must not pass them.
    has_unknown: bool,
}

/// A history on its way into the store.
struct Growing {
    notify: Arc<Notify>,
    /// The newest event that the engine told of.
    last_event_id: i64,
}

/// Where a worker left its execution.
struct Stopped {
    last_event_id: i64,
    /// `None`: the execution is over.
    written_up_to: Option<i64>,
}

impl Recordings {
    pub(super) fn new(
        recorder: Recorder,
        step_functions: LocalStepFunctions,
        client: aws_sdk_sfn::Client,
        clock: Clock,
        data: &Path,
        started: Timestamp,
        invocations: TaskTracker,
    ) -> Self {
        Self {
            recorder,
            step_functions,
            client,
            clock,
            marker: Marker(data.join("recorded-until")),
            started,
            invocations,
        }
    }

    /// Runs until `stop`, then until what has happened by then is recorded.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut growth = self.step_functions.subscribe();
        let at_once = Arc::new(Semaphore::new(MOST_AT_ONCE));
        let mut running = Running::default();
        let mut quiet_since = self.clock.now();
        self.catch_up(&mut running, &at_once).await;
        loop {
            tokio::select! {
                biased;
                Some(ended) = running.workers.join_next(), if !running.workers.is_empty() => {
                    match ended {
                        Ok((arn, stopped)) => {
                            let known = running.grown.remove(&arn);
                            let known = known.map_or(0, |growing| growing.last_event_id);
                            if let Some(written_up_to) = stopped.written_up_to {
                                running.parked.insert(arn.clone(), written_up_to);
                            }
                            // It went on, or was redriven, when its worker was about to stop.
                            if known > stopped.last_event_id {
                                self.follow(arn, known, None, &mut running, &at_once);
                            }
                        }
                        Err(panic) => error!(%panic, "a recording ended badly"),
                    }
                    let at_rest = running.grown.is_empty() && growth.is_empty();
                    if at_rest && !running.has_unknown && self.invocations.is_empty() {
                        self.marker.write(quiet_since);
                        quiet_since = self.clock.now();
                    }
                }
                grown = growth.recv() => match grown {
                    Ok(growth) => self.notice(&growth, &mut running, &at_once),
                    Err(RecvError::Lagged(_)) => self.catch_up(&mut running, &at_once).await,
                    Err(RecvError::Closed) => break,
                },
                () = stop.cancelled() => break,
            }
        }
        self.wind_up(growth, running, &at_once).await;
    }

    /// After the engine has stopped: its last events are there, and are all there will be.
    async fn wind_up(
        &self,
        mut growth: broadcast::Receiver<Growth>,
        mut running: Running,
        at_once: &Arc<Semaphore>,
    ) {
        while let Ok(last) = growth.try_recv() {
            self.notice(&last, &mut running, at_once);
        }
        // Those still running are recorded again from their history at the next start.
        for growing in running.grown.values() {
            growing.notify.notify_one();
        }
        let has_unknown = running.has_unknown;
        let settle = async { while running.workers.join_next().await.is_some() {} };
        let settled = tokio::time::timeout(PACE * 2, settle).await.is_ok();
        if settled && !has_unknown && self.invocations.is_empty() {
            self.marker.write(self.clock.now());
        }
    }

    fn notice(&self, growth: &Growth, running: &mut Running, at_once: &Arc<Semaphore>) {
        match ExecutionArn::parse(&growth.execution_arn) {
            Ok(arn) => self.follow(arn, growth.last_event_id, None, running, at_once),
            Err(invalid) => error!(%invalid, "the engine told of no execution"),
        }
    }

    fn follow(
        &self,
        arn: ExecutionArn,
        last_event_id: i64,
        left_before: Option<Timestamp>,
        running: &mut Running,
        at_once: &Arc<Semaphore>,
    ) {
        if let Some(growing) = running.grown.get_mut(&arn) {
            growing.last_event_id = growing.last_event_id.max(last_event_id);
            growing.notify.notify_one();
            return;
        }
        let grown = Arc::new(Notify::new());
        grown.notify_one();
        let growing = Growing {
            notify: Arc::clone(&grown),
            last_event_id,
        };
        running.grown.insert(arn.clone(), growing);
        let written_up_to = running.parked.remove(&arn).unwrap_or_default();
        let recording = self.recorder.live(arn.clone(), None);
        let worker = Worker {
            recorder: self.recorder.clone(),
            recording: recording.after(written_up_to),
            grown,
            at_once: Arc::clone(at_once),
            left_before,
        };
        running.workers.spawn(async move {
            let stopped = worker.run().await;
            (arn, stopped)
        });
    }

    /// Follows what runs, and what has stopped since everything was known to be recorded.
    async fn catch_up(&self, running: &mut Running, at_once: &Arc<Semaphore>) {
        let since = self.marker.read();
        match self.unrecorded(since).await {
            Ok(executions) => {
                running.has_unknown = false;
                for arn in executions {
                    self.follow(arn, 0, Some(self.started), running, at_once);
                }
            }
            Err(error) => {
                running.has_unknown = true;
                error!(
                    error = format!("{error:#}"),
                    "cannot list the executions: those that ended while nothing recorded them \
                     are recorded at the next start"
                );
            }
        }
    }

    async fn unrecorded(&self, since: Timestamp) -> anyhow::Result<Vec<ExecutionArn>> {
        let mut unrecorded = Vec::new();
        let mut machines = self
            .client
            .list_state_machines()
            .into_paginator()
            .items()
            .send();
        while let Some(machine) = machines.next().await {
            let machine = machine.context("ListStateMachines")?;
            let mut executions = self
                .client
                .list_executions()
                .state_machine_arn(machine.state_machine_arn)
                .max_results(1_000)
                .into_paginator()
                .items()
                .send();
            while let Some(execution) = executions.next().await {
                let execution = execution.context("ListExecutions")?;
                if may_be_unrecorded(&execution, since) {
                    unrecorded.push(ExecutionArn::parse(&execution.execution_arn)?);
                }
            }
        }
        Ok(unrecorded)
    }
}

fn may_be_unrecorded(execution: &ExecutionListItem, since: Timestamp) -> bool {
    let stopped = execution.stop_date.and_then(|date| date.to_millis().ok());
    let stopped = stopped.and_then(|millis| u64::try_from(millis).ok());
    execution.status == ExecutionStatus::Running
        || stopped.is_none_or(|millis| Timestamp::from_unix_millis(millis + 1) >= since)
}

impl Marker {
    /// The beginning of time when there is none, or none that can be read.
    fn read(&self) -> Timestamp {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        Timestamp::parse_rfc3339(text.trim()).unwrap_or_default()
    }

    fn write(&self, time: Timestamp) {
        let new = self.0.with_extension("new");
        let written = std::fs::write(&new, time.to_rfc3339()).and_then(|()| {
            // Renamed into place: a crash leaves the old one whole.
            std::fs::rename(&new, &self.0)
        });
        if let Err(error) = written {
            warn!(%error, "cannot note what is recorded: the next start looks at more");
        }
    }
}

/// Records one execution to its end.
struct Worker {
    recorder: Recorder,
    recording: LiveRecording,
    grown: Arc<Notify>,
    at_once: Arc<Semaphore>,
    /// Functions that began before then are gone, and may have left spans open.
    left_before: Option<Timestamp>,
}

impl Worker {
    /// Until the execution is over, or silent for long.
    async fn run(mut self) -> Stopped {
        let mut wait = FIRST_WAIT;
        let mut written_up_to = 0;
        loop {
            let grown = self.grown.notified();
            if self.left_before.is_some() {
                grown.await;
            } else if tokio::time::timeout(PATIENCE, grown).await.is_err() {
                return Stopped {
                    last_event_id: self.recording.last_event_id(),
                    written_up_to: Some(written_up_to),
                };
            }
            tokio::time::sleep(LAST_WORDS).await;
            let permit = Arc::clone(&self.at_once).acquire_owned().await;
            let followed = self.follow().await;
            drop(permit);
            match followed {
                Ok(Progress::Recorded(status)) if status.is_over() => {
                    return Stopped {
                        last_event_id: self.recording.last_event_id(),
                        written_up_to: None,
                    };
                }
                Ok(progress) => {
                    if let Progress::Recorded(_) = progress {
                        written_up_to = self.recording.last_event_id();
                    }
                    wait = FIRST_WAIT;
                    tokio::time::sleep(PACE).await;
                }
                Err(error) => {
                    warn!(%error, "a history could not be recorded yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    self.grown.notify_one();
                }
            }
        }
    }

    async fn follow(&mut self) -> Result<Progress, RecordError> {
        let progress = self.recorder.follow(&mut self.recording).await?;
        let outline = self.recording.recorder().outline();
        let is_over = outline.is_some_and(|outline| outline.status.is_over());
        let progress = match progress {
            // It named no tenant, and nothing more is to come that could.
            Progress::TenantUnknown if is_over => self.recording.finish().await?,
            progress => progress,
        };
        if let (Progress::Recorded(_), Some(left_before)) = (progress, self.left_before) {
            let ending = self
                .recorder
                .end_abandoned_spans(&self.recording, left_before);
            if ending.await? == 0 {
                self.left_before = None;
            }
        }
        Ok(progress)
    }
}
