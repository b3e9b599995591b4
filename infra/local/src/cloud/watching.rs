//! What a schedule does on AWS: the watcher looks after the traces. Here it stands in for
//! nobody, for the recorder follows the engine itself; it ends what dead functions left open and
//! deletes what broken writes left in the bucket.

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use lambda_process::metrics::Metrics;
use record_execution::Recorder;
use trace_model::Clock;
use trace_store::TraceStore;
use watch_traces::{StatusChange, StatusQueue, WatchError, Watcher};

/// A status queue that is always empty: what is put into it is recorded before the call returns.
#[derive(Clone, Debug)]
pub(crate) struct RecordedAtOnce(Recorder);

/// The watcher of a local cloud.
pub(crate) fn watcher(
    step_functions: aws_sdk_sfn::Client,
    store: TraceStore,
    recorder: Recorder,
    clock: Clock,
) -> Watcher<RecordedAtOnce> {
    Watcher::new(step_functions, store, RecordedAtOnce(recorder), clock)
}

impl StatusQueue for RecordedAtOnce {
    async fn send(&self, changes: &[StatusChange]) -> Result<(), WatchError> {
        let mut event = SqsEvent::default();
        event.records = changes.iter().map(message).collect();
        let mut metrics = Metrics::off().batch();
        let answer = record_execution::handle(&self.0, event, &mut metrics).await;
        match answer.batch_item_failures.len() {
            0 => Ok(()),
            failed => {
                let words = format!("{failed} executions could not be recorded: the log says why");
                Err(WatchError::Queue(words.into()))
            }
        }
    }

    async fn waiting(&self) -> Result<u64, WatchError> {
        Ok(0)
    }
}

fn message(change: &StatusChange) -> SqsMessage {
    let mut message = SqsMessage::default();
    message.message_id = Some(change.execution_arn.clone());
    message.body = Some(change.to_message());
    message
}
