use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::ExecutionStatus;
use lambda_process::metrics::{Metric, MetricBatch, Metrics};
use redaction::Policy;
use trace_model::{EndsFrom, ExecutionArn, TenantId, Timestamp, TraceId};
use trace_store::TraceStore;

use crate::{LiveRecording, MapRun, Progress, RecordError, RecorderOptions, Telling};

/// The most that `GetExecutionHistory` answers with at once, from its API reference.
const MOST_EVENTS: i32 = 1_000;

/// A page while an execution is followed: more than a few states in a row make.
const FEW_EVENTS: i32 = 100;

/// Records executions from their whole history: what a function does with each status change.
#[derive(Clone, Debug)]
pub struct Recorder {
    pub(crate) step_functions: Client,
    pub(crate) store: TraceStore,
    policy: Policy,
    default_tenant: TenantId,
}

/// What must be known of an execution before its history is read.
pub(crate) struct Described {
    pub status: ExecutionStatus,
    pub state_machine_arn: String,
    pub map_run_arn: Option<String>,
}

impl Recorder {
    pub const fn new(
        step_functions: Client,
        store: TraceStore,
        policy: Policy,
        default_tenant: TenantId,
    ) -> Self {
        Self {
            step_functions,
            store,
            policy,
            default_tenant,
        }
    }

    /// Reads the execution's history and stores what it tells so far. Safe to repeat, and to
    /// do at the same time as another: the same history makes the same items.
    pub async fn record(&self, arn: &ExecutionArn) -> Result<Progress, RecordError> {
        self.record_after(arn, 0, &mut Metrics::off().batch()).await
    }

    /// [`record`](Self::record), where everything up to an event is stored already; and tells how
    /// much it read and wrote.
    pub async fn record_after(
        &self,
        arn: &ExecutionArn,
        last_event_id: i64,
        metrics: &mut MetricBatch,
    ) -> Result<Progress, RecordError> {
        let described = self.describe(arn).await?;
        let execution = Described {
            status: described.status,
            state_machine_arn: described.state_machine_arn,
            map_run_arn: described.map_run_arn,
        };
        self.record_described(arn, execution, last_event_id, metrics)
            .await
    }

    pub(crate) async fn record_described(
        &self,
        arn: &ExecutionArn,
        execution: Described,
        last_event_id: i64,
        metrics: &mut MetricBatch,
    ) -> Result<Progress, RecordError> {
        let is_over = !matches!(
            execution.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        );
        let telling = if is_over {
            Telling::Finished
        } else {
            Telling::AsItRuns
        };
        let map_run = match execution.map_run_arn {
            Some(map_run) => Some(self.map_run(map_run).await?),
            None => None,
        };
        let options = RecorderOptions {
            default_tenant: self.default_tenant.clone(),
            state_machine_arn: Some(execution.state_machine_arn),
            map_run,
        };
        let mut recording = self
            .recording(arn.clone(), options)
            .telling(telling)
            .after(last_event_id);
        let mut progress = Progress::TenantUnknown;
        let mut pages = self
            .step_functions
            .get_execution_history()
            .execution_arn(arn.as_str())
            .include_execution_data(true)
            .max_results(MOST_EVENTS)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| RecordError::of_execution("GetExecutionHistory", arn, error))?;
            metrics.add(Metric::HistoryPages, 1_u64);
            progress = recording.advance(&page.events).await?;
        }
        if is_over && progress == Progress::TenantUnknown {
            progress = recording.finish().await?;
        }
        recording.written().report(metrics);
        if let Some(tenant) = recording.recorder().tenant().filter(|_| !is_over) {
            let up_to = u64::try_from(recording.last_event_id()).unwrap_or_default();
            let noted = self
                .store
                .note_recorded(tenant, TraceId::of_execution(arn), up_to);
            noted.await.map_err(|source| RecordError::Store {
                arn: arn.clone(),
                source,
            })?;
        }
        Ok(progress)
    }

    /// A recording that is to be fed events as they come.
    pub fn live(&self, arn: ExecutionArn, state_machine_arn: Option<String>) -> LiveRecording {
        let options = RecorderOptions {
            default_tenant: self.default_tenant.clone(),
            state_machine_arn,
            map_run: None,
        };
        self.recording(arn, options)
    }

    fn recording(&self, arn: ExecutionArn, options: RecorderOptions) -> LiveRecording {
        LiveRecording::new(self.store.clone(), self.policy.clone(), arn, options)
    }

    /// Reads what has come since the recording last looked, newest first until it is known,
    /// and stores it. Costs one call while the history grows by less than a page.
    pub async fn follow(&self, recording: &mut LiveRecording) -> Result<Progress, RecordError> {
        let arn = recording.recorder().execution_arn().clone();
        let known = recording.last_event_id();
        let mut pages = self
            .step_functions
            .get_execution_history()
            .execution_arn(arn.as_str())
            .include_execution_data(true)
            .reverse_order(true)
            .max_results(if known == 0 { MOST_EVENTS } else { FEW_EVENTS })
            .into_paginator()
            .send();
        let mut fresh = Vec::new();
        while let Some(page) = pages.next().await {
            let events = page
                .map_err(|error| RecordError::of_execution("GetExecutionHistory", &arn, error))?
                .events;
            let reached = events.iter().any(|event| event.id <= known + 1);
            fresh.extend(events.into_iter().filter(|event| event.id > known));
            if reached {
                break;
            }
        }
        recording.advance(&fresh).await
    }

    /// Ends as abandoned what functions that began before `gone_before` left open in the parts
    /// of the execution that the recording knows to be over. Answers how many spans are open
    /// where it goes on.
    pub async fn end_abandoned_spans(
        &self,
        recording: &LiveRecording,
        gone_before: Timestamp,
    ) -> Result<usize, RecordError> {
        let recorder = recording.recorder();
        let Some(tenant) = recorder.tenant() else {
            return Ok(0);
        };
        self.store
            .end_abandoned_spans(tenant, recorder.trace_id(), gone_before, EndsFrom::History)
            .await
            .map(|done| done.undecided)
            .map_err(|source| RecordError::Store {
                arn: recorder.execution_arn().clone(),
                source,
            })
    }

    /// Whose Map it is. A trace without that link is better than none.
    async fn map_run(&self, arn: String) -> Result<MapRun, RecordError> {
        let described = self
            .step_functions
            .describe_map_run()
            .map_run_arn(&arn)
            .send()
            .await
            .map_err(|error| RecordError::of_map_run(&arn, error));
        let parent = match described {
            Ok(described) => ExecutionArn::parse(&described.execution_arn).ok(),
            Err(error) if error.is_throttled() => return Err(error),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, map_run = arn, "a child of a Map has no link to it");
                None
            }
        };
        Ok(MapRun { arn, parent })
    }

    async fn describe(&self, arn: &ExecutionArn) -> Result<DescribeExecutionOutput, RecordError> {
        self.step_functions
            .describe_execution()
            .execution_arn(arn.as_str())
            .send()
            .await
            .map_err(|error| RecordError::of_execution("DescribeExecution", arn, error))
    }
}
