//! One visit: what it knows, and what becomes of an execution that was found.

use std::time::Duration;

use trace_model::{Run, TenantId, Timestamp, TraceId};

use crate::execution::Execution;
use crate::judgement::{Judgement, is_recorded, judge};
use crate::memory::Memory;
use crate::outstanding::{Asked, Outstanding, note_name};
use crate::review::{SETTLED, needs_settling};
use crate::step_functions::StepFunctions;
use crate::{Report, StatusChange, StatusQueue, WatchError, Watcher, memory};

/// Enough for what is under way to be finished and remembered.
const RESERVE: Duration = Duration::from_secs(10);

/// While status changes wait for the recorder, an execution without a trace is taken for one of
/// theirs for so long.
const BACKLOG_GRACE: Duration = Duration::from_mins(30);

/// Executions that are dealt with between two looks at the clock.
const AT_ONCE: usize = 100;

pub(crate) struct Visit<'a, Queue> {
    pub watcher: &'a Watcher<Queue>,
    pub memory: Memory,
    pub step_functions: StepFunctions,
    pub report: Report,
    deadline: Timestamp,
    tenants: Option<Vec<TenantId>>,
    has_backlog: Option<bool>,
}

/// An execution, and what is known of it here.
pub(crate) struct Found {
    pub execution: Execution,
    pub run: Option<Run>,
    pub outstanding: Option<Outstanding>,
}

/// What becomes of it.
enum Next {
    /// Nothing is left to do.
    Forget,
    /// At the next visit.
    LookAgain,
    /// The recorder has been asked.
    Wait,
    /// The recorder is asked.
    Record(Asked),
}

impl<'a, Queue: StatusQueue> Visit<'a, Queue> {
    pub(crate) async fn begin(
        watcher: &'a Watcher<Queue>,
        deadline: Timestamp,
    ) -> Result<Self, WatchError> {
        Ok(Self {
            watcher,
            memory: Memory::read(watcher.store.clone()).await?,
            step_functions: StepFunctions::new(watcher.step_functions.clone()),
            report: Report::default(),
            deadline,
            tenants: None,
            has_backlog: None,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.watcher.clock.now()
    }

    pub(crate) fn check_time(&self) -> Result<(), WatchError> {
        if self.now().plus(RESERVE) < self.deadline {
            Ok(())
        } else {
            Err(WatchError::OutOfTime)
        }
    }

    /// Asked for once a visit, and only when there is something to look for.
    pub(crate) async fn tenants(&mut self) -> Result<Vec<TenantId>, WatchError> {
        if self.tenants.is_none() {
            self.tenants = Some(self.watcher.store.tenants().await?);
        }
        Ok(self.tenants.clone().unwrap_or_default())
    }

    /// The run of an execution, whosever it is.
    pub(crate) async fn find_run(&mut self, trace_id: TraceId) -> Result<Option<Run>, WatchError> {
        for tenant in self.tenants().await? {
            let run = self.watcher.store.run(&tenant, trace_id).await?;
            if let Some(run) = run.filter(is_recorded) {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    pub(crate) async fn deal_with(&mut self, mut found: Vec<Found>) -> Result<(), WatchError> {
        while !found.is_empty() {
            self.check_time()?;
            let rest = found.split_off(found.len().min(AT_ONCE));
            self.deal_with_some(found).await?;
            found = rest;
        }
        Ok(())
    }

    async fn deal_with_some(&mut self, found: Vec<Found>) -> Result<(), WatchError> {
        let mut notes = Vec::new();
        let mut changes = Vec::new();
        let (mut missing, mut repaired) = (0, 0);
        for found in found {
            let asked = found.outstanding.as_ref().and_then(|known| known.asked);
            let judgement = judge(&found.execution, found.run.as_ref(), self.now());
            let next = match judgement {
                Judgement::Missing => self.missing(&found, asked).await?,
                Judgement::Recorded if self.settled(&found).await? => Next::Forget,
                Judgement::Recorded | Judgement::GoesOn | Judgement::TooEarly => Next::LookAgain,
            };
            if matches!(judgement, Judgement::Recorded | Judgement::GoesOn) {
                repaired += u64::from(asked.is_some());
            }
            let name = note_name(found.execution.trace_id());
            match next {
                Next::Wait => {}
                Next::Forget => notes.push((name, None)),
                Next::LookAgain => notes.push((name, Some(found.outstanding(None)))),
                Next::Record(again) => {
                    missing += u64::from(asked.is_none());
                    changes.push(StatusChange::of(&found.execution));
                    notes.push((name, Some(found.outstanding(Some(again)))));
                }
            }
        }
        if !changes.is_empty() {
            let executions = changes.len();
            tracing::warn!(
                executions,
                "executions without a trace are given to the recorder"
            );
            self.watcher.queue.send(&changes).await?;
        }
        // Asked twice does no harm; counted without having been asked would.
        let notes = notes.into_iter();
        let notes = notes.map(|(name, noted)| (name, noted.as_ref().map(memory::text)));
        self.memory.write(notes.collect()).await?;
        self.report.missing += missing;
        self.report.repaired += repaired;
        Ok(())
    }

    async fn missing(&mut self, found: &Found, asked: Option<Asked>) -> Result<Next, WatchError> {
        let now = self.now();
        if asked.is_some_and(|asked| asked.is_fresh(now)) {
            return Ok(Next::Wait);
        }
        if asked.is_some_and(Asked::is_enough) {
            let arn = &found.execution.arn;
            tracing::error!(%arn, "given up: the recorder does not record this execution");
            return Ok(Next::Forget);
        }
        if self.may_be_under_way(found).await? {
            return Ok(Next::LookAgain);
        }
        Ok(Next::Record(Asked::again(asked, now)))
    }

    /// Whether nothing is left to do for an execution that is recorded.
    async fn settled(&mut self, found: &Found) -> Result<bool, WatchError> {
        let Some(run) = found.run.as_ref().filter(|run| needs_settling(run)) else {
            return Ok(true);
        };
        if self.now().since(found.execution.changed_at()) < SETTLED {
            return Ok(false);
        }
        self.end_abandoned_spans(run).await?;
        Ok(true)
    }

    /// Whether the recorder has so much to do that this execution may be among it.
    async fn may_be_under_way(&mut self, found: &Found) -> Result<bool, WatchError> {
        if self.now().since(found.execution.changed_at()) >= BACKLOG_GRACE {
            return Ok(false);
        }
        let has_backlog = match self.has_backlog {
            Some(known) => known,
            None => self.watcher.queue.waiting().await? > 0,
        };
        self.has_backlog = Some(has_backlog);
        Ok(has_backlog)
    }
}

impl Found {
    fn outstanding(&self, asked: Option<Asked>) -> Outstanding {
        Outstanding {
            arn: self.execution.arn.clone(),
            tenant: self.run.as_ref().map(|run| run.tenant.clone()),
            redrives: self.execution.redrives,
            asked,
        }
    }
}
