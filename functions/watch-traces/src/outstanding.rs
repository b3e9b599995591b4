//! Executions that a visit could not be done with: they went on, ended just now, or were given
//! to the recorder.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use trace_model::{ExecutionArn, Run, TenantId, Timestamp, TraceId};
use trace_store::TraceStore;

use crate::execution::Execution;
use crate::judgement::is_recorded;
use crate::step_functions::{Listed, Machine, Which};
use crate::visit::{Found, Visit};
use crate::{StatusQueue, WatchError};

const PREFIX: &str = "outstanding#";

/// The recorder is asked for the same execution again after so long: longer than its queue
/// hides a message that failed.
const ASK_AGAIN: Duration = Duration::from_hours(1);

/// Then its dead-letter queue has had it too.
const MOST_ASKED: u32 = 24;

/// Executions that are looked up between two looks at the clock, and of these at once.
const AT_ONCE: usize = 50;
const LOOKUPS: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outstanding {
    pub arn: ExecutionArn,
    /// Whose run it is, where there was one.
    pub tenant: Option<TenantId>,
    /// As Step Functions counts them.
    pub redrives: u32,
    /// The recorder was asked for it.
    pub asked: Option<Asked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    at: Timestamp,
    times: u32,
}

impl Asked {
    pub(crate) fn again(before: Option<Self>, now: Timestamp) -> Self {
        let times = before.map_or(0, |before| before.times) + 1;
        Self { at: now, times }
    }

    pub(crate) fn is_fresh(self, now: Timestamp) -> bool {
        now.since(self.at) < ASK_AGAIN
    }

    pub(crate) const fn is_enough(self) -> bool {
        self.times >= MOST_ASKED
    }
}

pub(crate) fn note_name(trace_id: TraceId) -> String {
    format!("{PREFIX}{trace_id}")
}

impl<Queue: StatusQueue> Visit<'_, Queue> {
    pub(crate) fn outstanding(&self, trace_id: TraceId) -> Option<Outstanding> {
        self.memory.get(&note_name(trace_id))
    }

    pub(crate) fn all_outstanding(&self) -> Vec<Outstanding> {
        let notes = self.memory.all(PREFIX).into_iter();
        notes.map(|(_, outstanding)| outstanding).collect()
    }

    /// Looks at what earlier visits left. Costs a call of Step Functions for each state machine
    /// with such executions, and one for each of them that ended untold.
    pub(crate) async fn follow_up(
        &mut self,
        outstanding: Vec<Outstanding>,
        machines: &[Machine],
    ) -> Result<(), WatchError> {
        let mut of_machines: BTreeMap<String, Vec<Outstanding>> = BTreeMap::new();
        for outstanding in outstanding {
            let name = outstanding.arn.workflow().to_owned();
            of_machines.entry(name).or_default().push(outstanding);
        }
        for (name, outstanding) in of_machines {
            let machine = machines.iter().find(|machine| machine.name == name);
            let has_waiting = outstanding.iter().any(|one| one.asked.is_none());
            let running = match machine {
                Some(machine) if has_waiting => self.running(machine).await?,
                _ => HashSet::new(),
            };
            let goes_on = |one: &Outstanding| one.asked.is_none() && running.contains(&one.arn);
            let ended = outstanding.into_iter().filter(|one| !goes_on(one));
            let ended: Vec<_> = ended.collect();
            for some in ended.chunks(AT_ONCE) {
                self.check_time()?;
                let found = self.look_up(some).await?;
                self.deal_with(found).await?;
            }
        }
        Ok(())
    }

    async fn running(&mut self, machine: &Machine) -> Result<HashSet<ExecutionArn>, WatchError> {
        let mut running = HashSet::new();
        let mut token = None;
        loop {
            self.check_time()?;
            let listing = self
                .step_functions
                .executions(&machine.arn, Which::Running, token);
            let Listed::Page { executions, next } = listing.await? else {
                return Ok(running);
            };
            running.extend(executions.into_iter().map(|execution| execution.arn));
            token = next;
            if token.is_none() {
                return Ok(running);
            }
        }
    }

    /// The runs, and of Step Functions what they do not say.
    async fn look_up(&mut self, some: &[Outstanding]) -> Result<Vec<Found>, WatchError> {
        let tenants = self.tenants().await?;
        let now = self.now();
        let lookups: Vec<_> = some
            .iter()
            .map(|one| find_run(&self.watcher.store, one, &tenants))
            .collect();
        let runs: Vec<_> = stream::iter(lookups)
            .buffered(LOOKUPS)
            .try_collect()
            .await?;
        let is_fresh = |one: &Outstanding| one.asked.is_some_and(|asked| asked.is_fresh(now));
        let mut found = Vec::with_capacity(some.len());
        for (outstanding, run) in some.iter().zip(runs) {
            let run: Option<Run> = run;
            let knows_the_end = run
                .as_ref()
                .filter(|run| run.status.is_over() && run.redrives >= outstanding.redrives);
            let execution = match knows_the_end {
                Some(run) => Some(Execution::recorded(outstanding.arn.clone(), run)),
                None if run.is_none() && is_fresh(outstanding) => continue,
                None => self.step_functions.execution(&outstanding.arn).await?,
            };
            let Some(execution) = execution else {
                let name = note_name(TraceId::of_execution(&outstanding.arn));
                self.memory.write(vec![(name, None)]).await?;
                continue;
            };
            found.push(Found {
                execution,
                run,
                outstanding: Some(outstanding.clone()),
            });
        }
        Ok(found)
    }
}

async fn find_run(
    store: &TraceStore,
    outstanding: &Outstanding,
    tenants: &[TenantId],
) -> Result<Option<Run>, WatchError> {
    let trace_id = TraceId::of_execution(&outstanding.arn);
    let tenants = match &outstanding.tenant {
        Some(tenant) => std::slice::from_ref(tenant),
        None => tenants,
    };
    for tenant in tenants {
        let run = store.run(tenant, trace_id).await?;
        if let Some(run) = run.filter(is_recorded) {
            return Ok(Some(run));
        }
    }
    Ok(None)
}
