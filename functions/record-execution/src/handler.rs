use std::collections::BTreeMap;
use std::error::Error;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use lambda_process::metrics::{Metric, MetricBatch};
use serde::Deserialize;
use trace_model::{ExecutionArn, Timestamp};

use crate::{RecordError, Recorder};

/// What `EventBridge`'s input transformer leaves of Step Functions' status change: no input and
/// no output, for events wait in queues unmasked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StatusChange {
    execution_arn: String,
    /// As Step Functions spells it. The history says it too, and later: it is what counts.
    #[serde(rename = "status")]
    _status: String,
    /// Milliseconds since the Unix epoch.
    #[serde(rename = "startDate")]
    _start_date: Option<i64>,
    stop_date: Option<i64>,
    /// From the API, while somebody looks at the run: the rest is stored already.
    #[serde(default)]
    after_event: i64,
}

/// What a batch says of one execution.
#[derive(Default)]
struct Messages {
    ids: Vec<String>,
    stopped_at: Option<Timestamp>,
    /// `None` before the first message.
    after_event: Option<i64>,
}

/// Records each execution that a batch of status changes names, once. Answers with the
/// messages that are to come again.
pub async fn handle(
    recorder: &Recorder,
    event: SqsEvent,
    metrics: &mut MetricBatch,
) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let mut messages: BTreeMap<ExecutionArn, Messages> = BTreeMap::new();
    for message in event.records {
        let id = message.message_id.unwrap_or_default();
        match execution_of(message.body.as_deref().unwrap_or_default()) {
            Ok((arn, change)) => messages.entry(arn).or_default().add(id, &change),
            Err(error) => {
                warn(&error, &id);
                response.add_failure(id);
            }
        }
    }
    for (arn, messages) in messages {
        let after = messages.after_event.unwrap_or_default();
        match recorder.record_after(&arn, after, metrics).await {
            Ok(progress) => {
                tracing::info!(%arn, ?progress, "recorded an execution");
                metrics.add(Metric::ExecutionsRecorded, 1_u64);
                if let Some(stopped_at) = messages.stopped_at {
                    metrics.add_lag(Metric::RecordLag, stopped_at);
                }
            }
            Err(error) => {
                for id in messages.ids {
                    warn(&error, &id);
                    response.add_failure(id);
                }
            }
        }
    }
    response
}

impl Messages {
    fn add(&mut self, id: String, change: &StatusChange) {
        self.ids.push(id);
        let stopped_at = change
            .stop_date
            .and_then(|millis| u64::try_from(millis).ok())
            .map(Timestamp::from_unix_millis);
        self.stopped_at = self.stopped_at.max(stopped_at);
        // What one message takes for granted another may not.
        let known = self.after_event.unwrap_or(change.after_event);
        self.after_event = Some(known.min(change.after_event));
    }
}

fn execution_of(body: &str) -> Result<(ExecutionArn, StatusChange), RecordError> {
    let change: StatusChange = serde_json::from_str(body).map_err(|error| {
        // The parser's own message may show what it read.
        let problem = format!("{:?} at line {}", error.classify(), error.line());
        RecordError::Message { problem }
    })?;
    let arn = ExecutionArn::parse(&change.execution_arn).map_err(RecordError::MessageArn)?;
    Ok((arn, change))
}

fn warn(error: &RecordError, message_id: &str) {
    let error: &dyn Error = error;
    tracing::warn!(error, message_id, "a status change was not recorded");
}
