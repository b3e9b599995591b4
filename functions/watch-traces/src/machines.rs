//! The executions that began since the last visit, state machine by state machine.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trace_model::{Run, Timestamp, TraceId};
use trace_store::{RunCursor, RunFilter};

use crate::execution::Execution;
use crate::judgement::{GRACE, is_recorded};
use crate::step_functions::{Listed, Machine, Which};
use crate::visit::{Found, Visit};
use crate::{StatusQueue, WatchError};

/// How far a look goes back behind the one before: `ListExecutions` may list late.
pub(crate) const OVERLAP: Duration = Duration::from_mins(10);

/// After a long pause no further back than this, and no further than half of the time that runs
/// are kept: what has expired is not missing. `stepscope import` knows more of the past.
const LONGEST_LOOK_BACK: Duration = Duration::from_hours(7 * 24);

/// A run's start may differ so much from what Step Functions lists.
const SKEW: Duration = Duration::from_mins(1);

const RUNS_A_PAGE: usize = 1_000;

/// How far a state machine has been looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Every execution that began before was looked for.
    looked_until: Timestamp,
    /// A look that the next visit goes on with.
    listing: Option<Listing>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Listing {
    from: Timestamp,
    until: Timestamp,
    /// Of `ListExecutions`; it is good for a day.
    token: Option<String>,
}

impl<Queue: StatusQueue> Visit<'_, Queue> {
    pub(crate) async fn machines(&mut self) -> Result<Vec<Machine>, WatchError> {
        let machines = self.step_functions.machines(&self.watcher.prefix).await?;
        if machines.is_empty() {
            return Ok(machines);
        }
        // Known before the first state machine is looked at.
        self.watching_since().await?;
        Ok(machines)
    }

    /// Those that were looked at longest ago first, so that a visit that ends early never leaves
    /// the same ones out.
    pub(crate) async fn look_at_machines(
        &mut self,
        machines: &[Machine],
    ) -> Result<(), WatchError> {
        let since = match machines {
            [] => return Ok(()),
            _ => self.watching_since().await?,
        };
        let mut places: Vec<(Place, &Machine)> = machines
            .iter()
            .map(|machine| {
                let place = self.memory.get(&note_name(machine));
                let place = place.unwrap_or_else(|| Place {
                    looked_until: since.max(machine.created_at),
                    listing: None,
                });
                (place, machine)
            })
            .collect();
        places.sort_by_key(|(place, _)| place.looked_until);
        for (place, machine) in places {
            self.look_at_machine(machine, place).await?;
        }
        Ok(())
    }

    /// From when on executions are looked for: nothing ran unwatched before the first visit. A
    /// new prefix is a new beginning, for what it adds was not traced before.
    pub(crate) async fn watching_since(&mut self) -> Result<Timestamp, WatchError> {
        let name = format!("since#{}", self.watcher.prefix);
        if let Some(since) = self.memory.get(&name) {
            return Ok(since);
        }
        let since = self.now();
        self.memory.put(&name, &since).await?;
        Ok(since)
    }

    async fn look_at_machine(&mut self, machine: &Machine, place: Place) -> Result<(), WatchError> {
        let now = self.now();
        let retention = self.watcher.store.config().retention;
        let earliest = now.minus(LONGEST_LOOK_BACK.min(retention / 2));
        let is_resumed = place.listing.is_some();
        let mut listing = place.listing.unwrap_or_else(|| Listing {
            from: place.looked_until.max(earliest),
            until: now.minus(GRACE),
            token: None,
        });
        if listing.until <= listing.from {
            return Ok(());
        }
        let reach = listing.from.minus(OVERLAP);
        let mut has_seen = false;
        loop {
            self.check_time()?;
            let token = listing.token.clone();
            let page = self
                .step_functions
                .executions(&machine.arn, Which::All, token);
            let (executions, next) = match page.await? {
                Listed::Page { executions, next } => (executions, next),
                Listed::NoMachine => return Ok(()),
                Listed::TokenExpired => {
                    listing.token = None;
                    continue;
                }
            };
            let is_last = executions
                .last()
                .is_some_and(|last| last.started_at < reach);
            let wanted: Vec<_> = executions
                .into_iter()
                .filter(|one| one.started_at >= reach && one.started_at < listing.until)
                .collect();
            if !wanted.is_empty() {
                has_seen = true;
                self.look_for(machine, wanted, listing.from).await?;
            }
            if is_last || next.is_none() {
                break;
            }
            listing.token = next;
            let place = Place {
                looked_until: listing.from,
                listing: Some(listing.clone()),
            };
            self.memory.put(&note_name(machine), &place).await?;
        }
        // Where nothing runs nothing is written: the next look sees the same nothing.
        if has_seen || is_resumed {
            let place = Place {
                looked_until: listing.until,
                listing: None,
            };
            self.memory.put(&note_name(machine), &place).await?;
        }
        Ok(())
    }

    /// Of what began before `from` only what turns up now, and has no trace.
    async fn look_for(
        &mut self,
        machine: &Machine,
        executions: Vec<Execution>,
        from: Timestamp,
    ) -> Result<(), WatchError> {
        let mut runs = self.runs_of(machine, &executions).await?;
        let mut found = Vec::with_capacity(executions.len());
        for execution in executions {
            let run = runs.remove(&execution.trace_id());
            let outstanding = self.outstanding(execution.trace_id());
            let is_known = run.is_some() || outstanding.is_some();
            if execution.started_at >= from || !is_known {
                found.push(Found {
                    execution,
                    run,
                    outstanding,
                });
            }
        }
        let seen = found.len() as u64;
        self.deal_with(found).await?;
        self.report.executions += seen;
        Ok(())
    }

    /// All tenants' runs from about when these executions began.
    async fn runs_of(
        &mut self,
        machine: &Machine,
        executions: &[Execution],
    ) -> Result<HashMap<TraceId, Run>, WatchError> {
        let starts = || executions.iter().map(|execution| execution.started_at);
        let filter = RunFilter {
            workflow: Some(machine.name.clone()),
            started_after: starts().min().map(|first| first.minus(SKEW)),
            started_before: starts().max().map(|last| last.plus(SKEW)),
            ..RunFilter::default()
        };
        let mut runs = HashMap::new();
        for tenant in self.tenants().await? {
            let mut cursor: Option<RunCursor> = None;
            loop {
                self.check_time()?;
                let store = &self.watcher.store;
                let listing = store.list_runs(&tenant, &filter, RUNS_A_PAGE, cursor.as_ref());
                let page = listing.await?;
                let recorded = page.runs.into_iter().filter(is_recorded);
                runs.extend(recorded.map(|run| (run.trace_id, run)));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(runs)
    }
}

fn note_name(machine: &Machine) -> String {
    format!("machine#{}", machine.name)
}
