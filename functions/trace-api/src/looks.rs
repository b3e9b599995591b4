//! While somebody looks at a run that goes on, the recorder looks too.

use std::time::Duration;

use serde_json::json;
use trace_model::Run;
use trace_store::TraceStore;

/// A run is recorded on at most once in so long, however many look at it.
const PACE: Duration = Duration::from_secs(3);

/// An answer waits no longer for it.
const PATIENCE: Duration = Duration::from_millis(500);

/// The recorder's queue. The local cloud has none: its recorder follows every run.
#[derive(Clone, Debug)]
pub struct RecorderQueue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl RecorderQueue {
    pub fn new(sqs: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self {
            sqs,
            url: url.into(),
        }
    }

    /// Has the run recorded on from where it is, unless somebody else just has. What goes wrong
    /// is logged: the answer is what the store has.
    pub(crate) async fn look(&self, store: &TraceStore, run: &Run) {
        if run.status.is_over() {
            return;
        }
        let looked = tokio::time::timeout(PATIENCE, self.ask(store, run)).await;
        let error = match looked {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(elapsed) => elapsed.into(),
        };
        let error: &dyn std::error::Error = &*error;
        tracing::warn!(error, trace_id = %run.trace_id, "a run that is looked at is not recorded on");
    }

    async fn ask(
        &self,
        store: &TraceStore,
        run: &Run,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Some(arn) = &run.execution_arn else {
            return Ok(());
        };
        let Some(after_event) = store.claim_look(&run.tenant, run.trace_id, PACE).await? else {
            return Ok(());
        };
        let message = json!({
            "executionArn": arn.as_str(),
            "status": run.status.as_str(),
            "startDate": run.started_at.as_unix_millis(),
            "afterEvent": after_event,
        });
        self.sqs
            .send_message()
            .queue_url(&self.url)
            .message_body(message.to_string())
            .send()
            .await?;
        Ok(())
    }
}
