//! A batch of changes of the table in, finished spans sent on to an OTLP collector.
//!
//! The table's stream holds what the collector did not take: a batch that fails comes again.
//! So a span goes out at least once, under the same ids. Deliberately absent: a queue of its
//! own, open spans (a collector knows no revisions), and anything that was not masked.

mod content;
mod error;
mod exporter;
mod outbox;
mod pace;
mod patience;
mod replay;
mod request;
mod retry_after;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_process::metrics::{Metric, MetricBatch};
use trace_model::Timestamp;
use trace_store::{ChunkKey, TraceStore, written_at};

pub use error::{ExportError, Permanent};
pub use exporter::Exporter;
pub use replay::Replay;

use outbox::Outbox;

/// What became of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// That the collector took.
    pub spans: u64,
    /// Given up: the collector said that it will never take them.
    pub dropped: u64,
}

impl Exported {
    pub const fn add(&mut self, other: &Self) {
        self.spans += other.spans;
        self.dropped += other.dropped;
    }
}

/// Exports the finished spans of all changed chunks, in the stream's order. Answers with the
/// records from the first one on that has to come again: what is behind it waits too. `until` is
/// when the work is cut off: what is left by then comes again, and what went out does not.
pub async fn handle(
    store: &TraceStore,
    exporter: &Exporter,
    event: Event,
    until: Option<Timestamp>,
    metrics: &mut MetricBatch,
) -> (DynamoDbEventResponse, Exported) {
    let mut response = DynamoDbEventResponse::default();
    let mut outcome = Exported::default();
    for record in event.records {
        let sequence_number = record.change.sequence_number.clone();
        let written_at = written_at(&record.change.new_image);
        if response.batch_item_failures.is_empty() {
            match export_record(store, exporter, record, until, &mut outcome).await {
                Ok(()) => {
                    if let Some(written_at) = written_at {
                        metrics.add_lag(Metric::ExportLag, written_at);
                    }
                    continue;
                }
                Err(error) => {
                    metrics.add(Metric::ExportFailures, 1_u64);
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "spans wait for the collector");
                }
            }
        }
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = sequence_number;
        response.batch_item_failures.push(failure);
    }
    metrics.add(Metric::SpansExported, outcome.spans);
    metrics.add(Metric::SpansDropped, outcome.dropped);
    (response, outcome)
}

async fn export_record(
    store: &TraceStore,
    exporter: &Exporter,
    record: EventRecord,
    until: Option<Timestamp>,
    outcome: &mut Exported,
) -> Result<(), ExportError> {
    if record.event_name == "REMOVE" {
        return Ok(());
    }
    let Some(key) = ChunkKey::from_keys(&record.change.keys) else {
        return Ok(());
    };
    let image = record.change.new_image;
    let chunk = if image.is_empty() {
        store.read_chunk(&key).await
    } else {
        store.chunk_from_image(&key, image).await
    };
    let chunk = match chunk {
        Ok(Some(chunk)) => chunk,
        Ok(None) => return Ok(()),
        Err(error) if !error.is_of_what_is_stored() => return Err(ExportError::Store(error)),
        // It will be as unreadable next time, and what is behind it must not wait for ever.
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(tenant = %key.tenant(), trace_id = %key.trace_id(), error,
                "a chunk cannot be read and is not exported");
            return Ok(());
        }
    };
    let mut outbox = Outbox::new(store, exporter, until);
    for span in &chunk.spans {
        outbox.push(Some(&chunk), span).await?;
    }
    outcome.add(&outbox.finish().await?);
    Ok(())
}
