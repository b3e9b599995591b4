//! Spans that the store refuses, in a queue until it takes them.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use lambda_process::{AwsClients, Config};
use redaction::RedactedSpan;
use tokio::sync::Mutex;
use trace_model::{TenantId, TraceId};

use crate::StoreError;
use crate::queued_spans::{LARGEST_MESSAGE, LargeTexts, Message, Packed, pack};
use crate::service::{failed, retrying};

const OPERATION: &str = "SendMessageBatch";
const WHAT: &str = "span message";

/// SQS takes ten messages in a request.
const MESSAGES_A_BATCH: usize = 10;

/// Takes masked spans while the store does not. `restore-spans` reads it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SpanQueue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

/// What became of the spans. Those that are queued are durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueReceipt {
    pub spans: usize,
    pub messages: usize,
    /// Texts that no message holds; the span has a notice in their place.
    pub texts_lost: usize,
    /// Spans that no message holds, even without their texts.
    pub spans_lost: usize,
}

impl SpanQueue {
    pub fn new(sqs: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        let url = url.into();
        Self { sqs, url }
    }

    /// The queue of a process, if its settings name one.
    pub fn of_process(config: &Config, clients: &AwsClients) -> Option<Self> {
        let url = config.span_queue_url.as_ref()?;
        Some(Self::new(clients.sqs()?.clone(), url.as_str()))
    }

    /// Queues spans of one trace. Safe to repeat, and beside a write that was taken after all:
    /// what comes back is stored once.
    pub async fn send_spans(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        spans: &[RedactedSpan],
        large_texts: LargeTexts,
    ) -> Result<QueueReceipt, StoreError> {
        let Packed {
            messages,
            spans_too_large,
        } = pack(tenant, trace_id, spans)?;
        let receipt = QueueReceipt {
            spans: messages.iter().map(|message| message.spans).sum(),
            messages: messages.len(),
            texts_lost: messages.iter().map(|message| message.texts_lost).sum(),
            spans_lost: spans_too_large,
        };
        if large_texts == LargeTexts::Refused && receipt.texts_lost + receipt.spans_lost > 0 {
            return Err(StoreError::TooLargeForQueue);
        }
        for batch in batches(messages) {
            self.send(batch).await?;
        }
        Ok(receipt)
    }

    async fn send(&self, bodies: Vec<String>) -> Result<(), StoreError> {
        let entries = bodies.into_iter().enumerate();
        let entries = entries.map(|(number, body)| {
            SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body(body)
                .build()
                .expect("id and body are set")
        });
        let left = Mutex::new(entries.collect::<Vec<_>>());
        retrying(|| async {
            let mut left = left.lock().await;
            let answer = self
                .sqs
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(left.clone()))
                .send()
                .await
                .map_err(failed(OPERATION, WHAT))?;
            left.retain(|entry| {
                answer
                    .failed()
                    .iter()
                    .any(|failed| failed.id() == entry.id())
            });
            match answer.failed().iter().find(|failed| failed.sender_fault()) {
                Some(refused) => Err(StoreError::QueueRefused {
                    code: refused.code().to_owned(),
                }),
                None if left.is_empty() => Ok(()),
                None => Err(StoreError::Unprocessed {
                    operation: OPERATION,
                    what: WHAT,
                    count: left.len(),
                }),
            }
        })
        .await
    }
}

/// As many messages in each as a request takes.
fn batches(messages: Vec<Message>) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for Message { body, .. } in messages {
        match batches.last_mut() {
            Some(batch)
                if batch.len() < MESSAGES_A_BATCH && bytes + body.len() <= LARGEST_MESSAGE =>
            {
                bytes += body.len();
                batch.push(body);
            }
            _ => {
                bytes = body.len();
                batches.push(vec![body]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sizes: &[usize], expected: &[usize]) {
        let messages = sizes.iter().map(|size| Message {
            body: "x".repeat(*size),
            spans: 1,
            texts_lost: 0,
        });
        let batches = batches(messages.collect());
        let counts: Vec<_> = batches.iter().map(Vec::len).collect();
        assert_eq!(counts, expected);
    }

    #[test]
    fn a_request_holds_ten_messages_and_a_mebibyte() {
        check(&[], &[]);
        check(&[1; 23], &[10, 10, 3]);
        check(&[LARGEST_MESSAGE, 1], &[1, 1]);
        check(&[LARGEST_MESSAGE - 1, 1, 1], &[2, 1]);
        check(&[LARGEST_MESSAGE / 4; 9], &[4, 4, 1]);
    }
}
