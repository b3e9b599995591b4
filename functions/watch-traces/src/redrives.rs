//! Executions that were taken up again. They are listed by when they began, which may be long
//! ago, so they are looked for apart.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use trace_model::Timestamp;

use crate::judgement::GRACE;
use crate::machines::OVERLAP;
use crate::step_functions::{Listed, Machine, Which};
use crate::visit::{Found, Visit};
use crate::{StatusQueue, WatchError};

const NOTE: &str = "redrives";

/// Redrives are rare, their events are lost rarely, and each look is a call for each state
/// machine.
const EVERY: Duration = Duration::from_hours(1);

/// Step Functions redrives up to 14 days after an end: an execution may have begun some time
/// before that. What ran longer is found while it runs.
const BEGAN_WITHIN: Duration = Duration::from_hours(30 * 24);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Looked {
    until: Timestamp,
}

impl<Queue: StatusQueue> Visit<'_, Queue> {
    pub(crate) async fn look_at_redrives(
        &mut self,
        machines: &[Machine],
    ) -> Result<(), WatchError> {
        if machines.is_empty() {
            return Ok(());
        }
        let since = self.watching_since().await?;
        let looked = self.memory.get(NOTE).unwrap_or(Looked { until: since });
        let now = self.now();
        let until = now.minus(GRACE);
        if until.since(looked.until) < EVERY {
            return Ok(());
        }
        for machine in machines {
            self.look_at_redrives_of(machine, looked.until, until)
                .await?;
        }
        self.memory.put(NOTE, &Looked { until }).await
    }

    async fn look_at_redrives_of(
        &mut self,
        machine: &Machine,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<(), WatchError> {
        let reach = from.minus(BEGAN_WITHIN);
        let fresh = from.minus(OVERLAP)..until;
        let mut token = None;
        loop {
            self.check_time()?;
            let listing = self
                .step_functions
                .executions(&machine.arn, Which::Redriven, token);
            let Listed::Page { executions, next } = listing.await? else {
                return Ok(());
            };
            let is_last = executions
                .last()
                .is_some_and(|last| last.started_at < reach);
            let mut found = Vec::new();
            for execution in executions {
                if execution.redriven_at.is_some_and(|at| fresh.contains(&at)) {
                    let run = self.find_run(execution.trace_id()).await?;
                    let outstanding = self.outstanding(execution.trace_id());
                    found.push(Found {
                        execution,
                        run,
                        outstanding,
                    });
                }
            }
            self.deal_with(found).await?;
            token = next;
            if is_last || token.is_none() {
                return Ok(());
            }
        }
    }
}
