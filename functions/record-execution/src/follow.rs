use aws_sdk_sfn::types::HistoryEvent;

use crate::record::{MOST_EVENTS, failed};
use crate::{LiveRecording, Progress, RecordError, Recorder};

/// Once something is known of an execution, what came since is mostly little.
const FEW_EVENTS: i32 = 100;

impl Recorder {
    /// Reads on from the last event the recording knows, and takes what has come since.
    ///
    /// `GetExecutionHistory` gives no position behind its last event, so the history is read
    /// from its end back to what is known: its cost is what is new, not what is there.
    pub async fn advance(&self, recording: &mut LiveRecording) -> Result<Progress, RecordError> {
        let known = recording.last_event_id();
        let arn = recording.recorder().execution_arn().clone();
        let mut newer: Vec<HistoryEvent> = Vec::new();
        let mut pages = self
            .step_functions
            .get_execution_history()
            .execution_arn(arn.as_str())
            .include_execution_data(true)
            .reverse_order(true)
            .max_results(if known == 0 { MOST_EVENTS } else { FEW_EVENTS })
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("GetExecutionHistory", &arn, error))?;
            let met = page.events.iter().any(|event| event.id <= known);
            newer.extend(page.events.into_iter().filter(|event| event.id > known));
            if met {
                break;
            }
        }
        newer.reverse();
        recording.advance(&newer).await
    }
}
