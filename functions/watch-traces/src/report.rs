use lambda_process::metrics::{Metric, Metrics};
use serde::Serialize;

/// What a visit found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Executions that were looked for in the store, each once.
    pub executions: u64,
    /// Of these, those that had no trace, or an unfinished one, though they were over.
    pub missing: u64,
    /// Of earlier missing ones, those that have their trace now.
    pub repaired: u64,
    /// Spans ended as abandoned.
    pub abandoned: u64,
    /// Runs without totals that were put before those who compute them again.
    pub announced: u64,
    /// Objects that nothing pointed to, deleted.
    pub orphans: u64,
    /// Why the visit left something to the next one.
    pub interrupted: Option<Interruption>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interruption {
    OutOfTime,
    Throttled,
    /// Another visit is at work.
    Overtaken,
}

impl Report {
    pub(crate) fn measure(&self, metrics: &Metrics) {
        let mut batch = metrics.batch();
        batch.add(Metric::ExecutionsSeen, self.executions);
        batch.add(Metric::ExecutionsMissing, self.missing);
        batch.add(Metric::ExecutionsRepaired, self.repaired);
        batch.add(Metric::SpansAbandoned, self.abandoned);
        batch.add(Metric::SummariesRepaired, self.announced);
        batch.add(Metric::ObjectsOrphaned, self.orphans);
    }
}
