//! Messages of the span queue in, spans written to the store.
//!
//! A message may come twice, late, or beside the same spans that the store took after all:
//! each is stored once. Deliberately absent: dropping a message. One that cannot be written
//! comes again, and ends in the dead letters, where it is kept.

use std::error::Error;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::{StreamExt as _, stream};
use lambda_process::metrics::{Metric, Metrics};
use trace_store::{QueuedSpans, StoreError, TraceStore, WriteReceipt};

/// Messages of one batch that are written at once. Few: the table has just been refusing.
const AT_ONCE: usize = 2;

/// Writes the spans of each message. Answers with the messages that are to come again.
pub async fn handle(store: &TraceStore, metrics: &Metrics, event: SqsEvent) -> SqsBatchResponse {
    let writes = event.records.into_iter().map(|message| async move {
        let written = write(store, &message).await;
        (message.message_id.unwrap_or_default(), written)
    });
    let writes: Vec<_> = writes.collect();
    let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
    let mut response = SqsBatchResponse::default();
    let mut batch = metrics.batch();
    while let Some((message_id, written)) = writes.next().await {
        match written {
            Ok(receipt) => batch.add(Metric::SpansRestored, receipt.spans),
            Err(error) => {
                warn(&error, &message_id);
                response.add_failure(message_id);
            }
        }
    }
    response
}

async fn write(store: &TraceStore, message: &SqsMessage) -> Result<WriteReceipt, StoreError> {
    let QueuedSpans {
        tenant,
        trace_id,
        spans,
    } = QueuedSpans::parse(message.body.as_deref().unwrap_or_default())?;
    let receipt = store.write_spans(&tenant, trace_id, spans).await?;
    tracing::info!(%tenant, %trace_id, spans = receipt.spans, "restored spans from the queue");
    Ok(receipt)
}

fn warn(error: &StoreError, message_id: &str) {
    let is_lasting = error.is_of_what_is_stored();
    let error: &dyn Error = error;
    if is_lasting {
        tracing::error!(error, message_id, "a message of spans can never be written");
    } else {
        tracing::warn!(error, message_id, "spans were not restored, and come again");
    }
}
