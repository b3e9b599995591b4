//! The recorder's queue, from the side of who puts something in.

use std::future::Future;

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use lambda_process::{AwsClients, Config, ConfigError};
use serde::Serialize;

use crate::WatchError;
use crate::execution::Execution;

/// `SendMessageBatch` takes no more.
const MESSAGES_A_BATCH: usize = 10;

/// What the rules for Step Functions' status events put into the queue: never input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusChange {
    pub execution_arn: String,
    /// As Step Functions spells it.
    pub status: String,
    /// Milliseconds since the Unix epoch.
    pub start_date: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_date: Option<u64>,
}

/// Where status changes wait for the recorder: on AWS a queue; in the local cloud, which has
/// none, the recorder itself.
pub trait StatusQueue: Send + Sync {
    fn send(&self, changes: &[StatusChange])
    -> impl Future<Output = Result<(), WatchError>> + Send;

    /// About how many status changes wait or are being recorded.
    fn waiting(&self) -> impl Future<Output = Result<u64, WatchError>> + Send;
}

/// The queue of a deployed stack.
#[derive(Clone, Debug)]
pub struct SqsStatusQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl StatusChange {
    pub(crate) fn of(execution: &Execution) -> Self {
        Self {
            execution_arn: execution.arn.as_str().to_owned(),
            status: execution.status.as_str().to_owned(),
            start_date: execution.started_at.as_unix_millis(),
            stop_date: execution
                .stopped_at
                .map(trace_model::Timestamp::as_unix_millis),
        }
    }

    /// The message's text.
    pub fn to_message(&self) -> String {
        serde_json::to_string(self).expect("text and numbers are JSON")
    }
}

impl SqsStatusQueue {
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    pub fn of_process(config: &Config, clients: &AwsClients) -> Result<Self, ConfigError> {
        let url = config.status_queue_url()?;
        let client = clients.sqs().expect("clients of the environment have one");
        Ok(Self::new(client.clone(), url))
    }

    async fn send_batch(&self, changes: &[StatusChange]) -> Result<(), WatchError> {
        let entries = changes.iter().enumerate().map(|(number, change)| {
            SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body(change.to_message())
                .build()
                .expect("id and body are set")
        });
        let sent = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .map_err(|error| WatchError::Queue(Box::new(error.into_service_error())))?;
        match sent.failed.first() {
            None => Ok(()),
            Some(failed) => {
                let words = format!("{}: {}", failed.code, failed.message().unwrap_or_default());
                Err(WatchError::Queue(words.into()))
            }
        }
    }
}

impl StatusQueue for SqsStatusQueue {
    async fn send(&self, changes: &[StatusChange]) -> Result<(), WatchError> {
        for batch in changes.chunks(MESSAGES_A_BATCH) {
            self.send_batch(batch).await?;
        }
        Ok(())
    }

    async fn waiting(&self) -> Result<u64, WatchError> {
        const COUNTED: [QueueAttributeName; 2] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(COUNTED.to_vec()))
            .send()
            .await
            .map_err(|error| WatchError::Queue(Box::new(error.into_service_error())))?;
        let counts = answer.attributes.unwrap_or_default();
        let count = |name: &QueueAttributeName| counts.get(name)?.parse::<u64>().ok();
        Ok(COUNTED.iter().filter_map(count).sum())
    }
}
