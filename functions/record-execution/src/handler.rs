use std::collections::BTreeMap;
use std::error::Error;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use serde::Deserialize;
use trace_model::ExecutionArn;

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
    #[serde(rename = "stopDate")]
    _stop_date: Option<i64>,
}

/// Records each execution that a batch of status changes names, once. Answers with the
/// messages that are to come again.
pub async fn handle(recorder: &Recorder, event: SqsEvent) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let mut messages: BTreeMap<ExecutionArn, Vec<String>> = BTreeMap::new();
    for message in event.records {
        let id = message.message_id.unwrap_or_default();
        match execution_of(message.body.as_deref().unwrap_or_default()) {
            Ok(arn) => messages.entry(arn).or_default().push(id),
            Err(error) => {
                warn(&error, &id);
                response.add_failure(id);
            }
        }
    }
    for (arn, ids) in messages {
        match recorder.record(&arn).await {
            Ok(progress) => tracing::info!(%arn, ?progress, "recorded an execution"),
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

fn execution_of(body: &str) -> Result<ExecutionArn, RecordError> {
    let change: StatusChange = serde_json::from_str(body).map_err(|error| {
        // The parser's own message may show what it read.
        let problem = format!("{:?} at line {}", error.classify(), error.line());
        RecordError::Message { problem }
    })?;
    ExecutionArn::parse(&change.execution_arn).map_err(RecordError::MessageArn)
}

fn warn(error: &RecordError, message_id: &str) {
    let error: &dyn Error = error;
    tracing::warn!(error, message_id, "a status change was not recorded");
}
