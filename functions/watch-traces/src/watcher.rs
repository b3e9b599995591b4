use std::error::Error;

use aws_sdk_sfn::Client;
use lambda_process::metrics::Metrics;
use trace_model::{Clock, Timestamp};
use trace_store::TraceStore;

use crate::visit::Visit;
use crate::{Interruption, Report, StatusQueue, WatchError};

/// Looks after the traces of an account and region.
#[derive(Clone, Debug)]
pub struct Watcher<Queue> {
    pub(crate) step_functions: Client,
    pub(crate) store: TraceStore,
    pub(crate) queue: Queue,
    pub(crate) clock: Clock,
    pub(crate) prefix: String,
    metrics: Metrics,
}

impl<Queue: StatusQueue> Watcher<Queue> {
    pub const fn new(
        step_functions: Client,
        store: TraceStore,
        queue: Queue,
        clock: Clock,
    ) -> Self {
        Self {
            step_functions,
            store,
            queue,
            clock,
            prefix: String::new(),
            metrics: Metrics::off(),
        }
    }

    /// Only those whose names begin so.
    #[must_use]
    pub fn of_state_machines(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// One look at everything, or as far as it comes before `deadline`. After an error, too,
    /// what was done is done, measured and remembered.
    pub async fn visit(&self, deadline: Timestamp) -> Result<Report, WatchError> {
        let mut visit = Visit::begin(self, deadline).await?;
        let outcome = look_at_everything(&mut visit).await;
        let mut report = visit.report;
        report.measure(&self.metrics);
        report.interrupted = report.interrupted.or(match outcome {
            Ok(()) => None,
            Err(error) => Some(interruption(error)?),
        });
        tracing::info!(?report, "looked after the traces");
        Ok(report)
    }
}

async fn look_at_everything<Queue: StatusQueue>(
    visit: &mut Visit<'_, Queue>,
) -> Result<(), WatchError> {
    match look_at_executions(visit).await {
        // The store has no part in that.
        Err(error @ WatchError::Throttled { .. }) => {
            let told: &dyn Error = &error;
            tracing::warn!(error = told, "executions are looked at again next time");
            visit.report.interrupted = Some(Interruption::Throttled);
        }
        looked => looked?,
    }
    visit.review().await?;
    visit.sweep().await
}

async fn look_at_executions<Queue: StatusQueue>(
    visit: &mut Visit<'_, Queue>,
) -> Result<(), WatchError> {
    let machines = visit.machines().await?;
    let outstanding = visit.all_outstanding();
    visit.look_at_machines(&machines).await?;
    visit.follow_up(outstanding, &machines).await?;
    visit.look_at_redrives(&machines).await
}

fn interruption(error: WatchError) -> Result<Interruption, WatchError> {
    match error {
        WatchError::OutOfTime => Ok(Interruption::OutOfTime),
        WatchError::Throttled { .. } => Ok(Interruption::Throttled),
        WatchError::Overtaken => Ok(Interruption::Overtaken),
        error => Err(error),
    }
}
