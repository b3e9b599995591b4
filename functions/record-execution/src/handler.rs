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
}

/// What a batch says of one execution.
#[derive(Default)]
struct Messages {
    ids: Vec<String>,
    stopped_at: Option<Timestamp>,
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
            Ok((arn, stopped_at)) => {
                let messages = messages.entry(arn).or_default();
                messages.ids.push(id);
                messages.stopped_at = messages.stopped_at.max(stopped_at);
            }
            Err(error) => {
                warn(&error, &id);
                response.add_failure(id);
            }
        }
    }
    for (arn, Messages { ids, stopped_at }) in messages {
        match recorder.record_reporting(&arn, metrics).await {
            Ok(progress) => {
                tracing::info!(%arn, ?progress, "recorded an execution");
                metrics.add(Metric::ExecutionsRecorded, 1_u64);
                if let Some(stopped_at) = stopped_at {
                    metrics.add_lag(Metric::RecordLag, stopped_at);
                }
            }
            Err(error) => {
                for id in ids {
                    warn(&error, &id);
                    response.add_failure(id);
                }
            }
        }
    }
    response
}

/// And when it stopped, if it did.
fn execution_of(body: &str) -> Result<(ExecutionArn, Option<Timestamp>), RecordError> {
    let change: StatusChange = serde_json::from_str(body).map_err(|error| {
        // The parser's own message may show what it read.
        let problem = format!("{:?} at line {}", error.classify(), error.line());
        RecordError::Message { problem }
    })?;
    let arn = ExecutionArn::parse(&change.execution_arn).map_err(RecordError::MessageArn)?;
    let stopped_at = change
        .stop_date
        .and_then(|millis| u64::try_from(millis).ok());
    Ok((arn, stopped_at.map(Timestamp::from_unix_millis)))
}

fn warn(error: &RecordError, message_id: &str) {
    let error: &dyn Error = error;
    tracing::warn!(error, message_id, "a status change was not recorded");
}
