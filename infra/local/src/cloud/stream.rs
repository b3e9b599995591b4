//! What an event source mapping does on AWS: hands the table's changes to a function, in
//! order, and moves on only past what the function took.

use std::future::Future;
use std::time::Duration;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use local_storage::{ChangeRecord, Consumer, LocalStorageError};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// How a consumer reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    /// How long the first record of a batch waits for company.
    pub window: Duration,
    pub most_records: usize,
}

/// The wait after a failure, doubled each time up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What is there when the stop comes may still go out for this long.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// Runs until stopped, and then on until nothing is left, something fails or the last moments
/// are over. A batch the handler could not take stays and is offered again, if need be by the
/// next process.
pub(super) async fn drive<Handler, Handled>(
    mut consumer: Consumer,
    mapping: Mapping,
    stop: CancellationToken,
    handler: Handler,
) where
    Handler: Fn(Event) -> Handled,
    Handled: Future<Output = DynamoDbEventResponse>,
{
    let run = async {
        let mut wait = FIRST_WAIT;
        loop {
            let pause = match take_batch(&mut consumer, mapping, &stop, &handler).await {
                Ok(Taken::Nothing) if stop.is_cancelled() => return,
                Ok(Taken::Nothing | Taken::All) => {
                    wait = FIRST_WAIT;
                    continue;
                }
                Ok(Taken::UpToAFailure) => {
                    let pause = wait;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    pause
                }
                Err(failure) => {
                    error!(consumer = consumer.name(), %failure, "cannot read the table's stream");
                    LONGEST_WAIT
                }
            };
            let paused = stop.run_until_cancelled(tokio::time::sleep(pause));
            if paused.await.is_none() {
                return;
            }
        }
    };
    let over = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_MOMENTS).await;
    };
    tokio::select! {
        () = run => {}
        () = over => {}
    }
}

enum Taken {
    Nothing,
    All,
    UpToAFailure,
}

async fn take_batch<Handler, Handled>(
    consumer: &mut Consumer,
    mapping: Mapping,
    stop: &CancellationToken,
    handler: &Handler,
) -> Result<Taken, LocalStorageError>
where
    Handler: Fn(Event) -> Handled,
    Handled: Future<Output = DynamoDbEventResponse>,
{
    // A stop cuts the waiting short, and nothing else.
    let first = consumer.next_batch(1, Duration::from_hours(1));
    if let Some(first) = stop.run_until_cancelled(first).await
        && first?.is_empty()
    {
        return Ok(Taken::Nothing);
    }
    stop.run_until_cancelled(tokio::time::sleep(mapping.window))
        .await;
    let records = consumer
        .next_batch(mapping.most_records, Duration::ZERO)
        .await?;
    let Some(last) = records.last().map(|record| record.sequence) else {
        return Ok(Taken::Nothing);
    };
    let sequences = sequences(&records);
    let response = handler(ChangeRecord::into_event(records)).await;
    let failed = response.batch_item_failures.iter().filter_map(|failure| {
        let number = failure.item_identifier.as_deref()?;
        let found = sequences.iter().find(|(known, _)| known == number)?;
        Some(found.1)
    });
    match failed.min() {
        None if response.batch_item_failures.is_empty() => {
            consumer.commit(last).await?;
            Ok(Taken::All)
        }
        // An identifier we did not send means the whole batch, as on AWS.
        None => Ok(Taken::UpToAFailure),
        Some(first_failed) => {
            warn!(
                consumer = consumer.name(),
                failures = response.batch_item_failures.len(),
                "records of the table's stream are offered again"
            );
            if let Some(before) = sequences.iter().rev().find(|(_, s)| *s < first_failed) {
                consumer.commit(before.1).await?;
            }
            Ok(Taken::UpToAFailure)
        }
    }
}

/// Each record's sequence number as the event spells it, and as the cursor takes it.
fn sequences(records: &[ChangeRecord]) -> Vec<(String, u64)> {
    records
        .iter()
        .map(|record| {
            let number = record.event.change.sequence_number.clone();
            (number.unwrap_or_default(), record.sequence)
        })
        .collect()
}
