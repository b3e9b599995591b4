//! Runs that something is left to do for, whatever was recorded of them: spans that nobody will
//! end, totals that were lost.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trace_model::{EndsFrom, Run, TenantId, Timestamp};
use trace_store::{RunCursor, RunFilter, StoreError};

use crate::visit::Visit;
use crate::{StatusQueue, WatchError};

/// How long after an execution's end what its functions left open is abandoned: they have
/// answered, and written what they had. What ends later all the same outranks it.
pub const SETTLED: Duration = Duration::from_mins(5);

/// Spans without an execution: no function runs for longer than 15 minutes.
const LONGER_THAN_ANY_FUNCTION: Duration = Duration::from_hours(1);

/// Most runs are settled by the visits that see them end. Once a day those of the last days are
/// looked through, for what came later, and for traces without an execution.
const EVERY: Duration = Duration::from_hours(24);
const LOOKS_BACK: Duration = Duration::from_hours(3 * 24);

const NOTE: &str = "review";
const RUNS_A_PAGE: usize = 200;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Review {
    began: Timestamp,
    /// Where it goes on; `None` when it is done.
    left: Option<Left>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Left {
    tenant: TenantId,
    cursor: Option<String>,
}

/// Whether the run's own item says that spans are open, or does not say so for lack of totals.
pub(crate) fn needs_settling(run: &Run) -> bool {
    run.totals.as_ref().is_none_or(|totals| totals.open > 0)
}

impl<Queue: StatusQueue> Visit<'_, Queue> {
    pub(crate) async fn review(&mut self) -> Result<(), WatchError> {
        let now = self.now();
        let known: Option<Review> = self.memory.get(NOTE);
        let is_due = known
            .as_ref()
            .is_none_or(|known| now.since(known.began) >= EVERY);
        let (began, left) = match known {
            Some(Review {
                began,
                left: Some(left),
            }) => (began, Some(left)),
            _ if is_due => (now, None),
            _ => return Ok(()),
        };
        let filter = RunFilter {
            started_after: Some(began.minus(LOOKS_BACK)),
            started_before: Some(began.minus(LONGER_THAN_ANY_FUNCTION)),
            ..RunFilter::default()
        };
        for tenant in self.tenants().await? {
            let mut cursor = match &left {
                Some(left) if tenant < left.tenant => continue,
                Some(left) if tenant == left.tenant => {
                    left.cursor.clone().map(RunCursor::from_text)
                }
                _ => None,
            };
            loop {
                self.check_time()?;
                let store = &self.watcher.store;
                let listing = store.list_runs(&tenant, &filter, RUNS_A_PAGE, cursor.as_ref());
                let page = match listing.await {
                    // It was another version's.
                    Err(StoreError::InvalidCursor) => {
                        cursor = None;
                        continue;
                    }
                    page => page?,
                };
                for run in &page.runs {
                    self.review_run(run).await?;
                }
                cursor = page.next;
                let Some(cursor) = &cursor else {
                    break;
                };
                let left = Some(Left {
                    tenant: tenant.clone(),
                    cursor: Some(cursor.as_str().to_owned()),
                });
                self.memory.put(NOTE, &Review { began, left }).await?;
            }
        }
        self.memory.put(NOTE, &Review { began, left: None }).await
    }

    async fn review_run(&mut self, run: &Run) -> Result<(), WatchError> {
        let is_settled = run
            .finished_at
            .is_some_and(|finished| self.now().since(finished) >= SETTLED);
        let is_of_no_execution = run.execution_arn.is_none();
        if !needs_settling(run) || !(is_settled || is_of_no_execution) {
            return Ok(());
        }
        self.check_time()?;
        let ended = self.end_abandoned_spans(run).await?;
        // Spans that end come in the stream by themselves.
        if run.totals.is_none() && ended == 0 {
            let announced = self
                .watcher
                .store
                .announce(&run.tenant, run.trace_id)
                .await?;
            self.report.announced += u64::from(announced);
        }
        Ok(())
    }

    /// Of one run that is over, or that no execution ends. Answers how many.
    pub(crate) async fn end_abandoned_spans(&mut self, run: &Run) -> Result<usize, WatchError> {
        let (ends_from, within) = match run.execution_arn {
            Some(_) => (EndsFrom::History, SETTLED),
            None => (EndsFrom::Nobody, LONGER_THAN_ANY_FUNCTION),
        };
        let gone_before = self.now().minus(within);
        let store = &self.watcher.store;
        let ending = store.end_abandoned_spans(&run.tenant, run.trace_id, gone_before, ends_from);
        match ending.await {
            Ok(done) => {
                self.report.abandoned += done.ended as u64;
                Ok(done.ended)
            }
            // It will be so next time too, and must not hold up the others.
            Err(error) if error.is_of_what_is_stored() => {
                let error: &dyn Error = &error;
                let (tenant, trace_id) = (&run.tenant, run.trace_id);
                tracing::error!(%tenant, %trace_id, error, "the open spans of a trace cannot be ended");
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }
}
