//! A batch of changes of the table in, the changed runs' totals stored.
//!
//! Totals are computed from the whole structure, so a batch that comes twice or out of order
//! changes nothing. Deliberately absent: waiting for a run to settle, which is the batch
//! window of whoever calls.

mod error;
mod summary;

use std::collections::BTreeMap;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures::{StreamExt as _, stream};
use lambda_process::metrics::{Metric, MetricBatch};
use trace_model::{TenantId, Timestamp, TraceId};
use trace_store::{ChunkKey, TraceStore, written_at};

pub use error::SummariseError;
pub use summary::summarise;

/// Traces of one batch that are read at once.
const AT_ONCE: usize = 4;

/// Writes the summaries of all traces with changed chunks. Answers with the records of those
/// that failed, so that only they come again: but not of a trace that nobody will be able to
/// read, which would hold up all others until the stream forgets it. That one is logged as an
/// error and has no new totals.
pub async fn handle(
    store: &TraceStore,
    event: Event,
    metrics: &mut MetricBatch,
) -> DynamoDbEventResponse {
    let mut records: BTreeMap<(TenantId, TraceId), Changes> = BTreeMap::new();
    for record in event.records {
        let Some(key) = changed_chunk(&record) else {
            continue;
        };
        let trace = (key.tenant().clone(), key.trace_id());
        let changes = records.entry(trace).or_default();
        let first = changes.written_at.into_iter();
        changes.written_at = first.chain(written_at(&record.change.new_image)).min();
        let sequence_number = record.change.sequence_number.unwrap_or_default();
        changes.sequence_numbers.push(sequence_number);
    }
    let summaries = records
        .into_iter()
        .map(|((tenant, trace_id), changes)| async move {
            (summarise_trace(store, &tenant, trace_id).await, changes)
        });
    let summaries: Vec<_> = summaries.collect();
    let mut summaries = stream::iter(summaries).buffer_unordered(AT_ONCE);
    let mut response = DynamoDbEventResponse::default();
    while let Some((outcome, changes)) = summaries.next().await {
        match outcome {
            Outcome::Summarised => {
                metrics.add(Metric::RunsSummarised, 1_u64);
                if let Some(written_at) = changes.written_at {
                    metrics.add_lag(Metric::SummaryLag, written_at);
                }
            }
            Outcome::GivenUp => metrics.add(Metric::SummaryFailures, 1_u64),
            Outcome::ComesAgain => {
                metrics.add(Metric::SummaryFailures, 1_u64);
                for sequence_number in changes.sequence_numbers {
                    let mut failure = DynamoDbBatchItemFailure::default();
                    failure.item_identifier = Some(sequence_number);
                    response.batch_item_failures.push(failure);
                }
            }
        }
    }
    response
}

/// What of one trace is in a batch.
#[derive(Default)]
struct Changes {
    sequence_numbers: Vec<String>,
    /// The first of them.
    written_at: Option<Timestamp>,
}

enum Outcome {
    Summarised,
    ComesAgain,
    GivenUp,
}

async fn summarise_trace(store: &TraceStore, tenant: &TenantId, trace_id: TraceId) -> Outcome {
    let Err(error) = write_summary(store, tenant, trace_id).await else {
        return Outcome::Summarised;
    };
    let is_lasting = error.is_lasting();
    let error: &dyn std::error::Error = &error;
    if is_lasting {
        tracing::error!(%tenant, %trace_id, error, "a run can never be summarised");
        return Outcome::GivenUp;
    }
    tracing::warn!(%tenant, %trace_id, error, "run not summarised");
    Outcome::ComesAgain
}

/// Reads the trace and stores its summary, unless a newer one is there.
pub async fn write_summary(
    store: &TraceStore,
    tenant: &TenantId,
    trace_id: TraceId,
) -> Result<(), SummariseError> {
    let structure = store.read_structure(tenant, trace_id).await;
    let structure = structure.map_err(SummariseError::Read)?;
    if structure.revision == 0 {
        return Ok(());
    }
    let summary = summarise(&structure);
    let written = store.write_summary(tenant, trace_id, &summary).await;
    written.map(drop).map_err(SummariseError::Write)
}

/// `None` for other items, and for chunks that were deleted: what expires changes no totals.
fn changed_chunk(record: &EventRecord) -> Option<ChunkKey> {
    if record.event_name == "REMOVE" {
        return None;
    }
    ChunkKey::from_keys(&record.change.keys)
}
