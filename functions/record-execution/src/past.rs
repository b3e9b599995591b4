//! Executions that ran before anybody recorded them.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus, StateMachineType};
use backon::{ExponentialBuilder, Retryable as _};
use futures::{StreamExt as _, stream};
use lambda_process::metrics::Metrics;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};
use trace_model::{ExecutionArn, RunStatus, TenantId, Timestamp, TraceId};

use crate::record::Described;
use crate::recorder::time_of;
use crate::{Progress, RecordError, Recorder};

/// Step Functions deletes a history so long after its execution has ended.
pub const HISTORIES_LIVE: Duration = Duration::from_hours(90 * 24);

/// Histories read side by side: enough to keep up any pace that the quotas allow.
const AT_ONCE: usize = 8;

/// What `ListExecutions` answers with at most.
const LARGEST_PAGE: i32 = 1_000;

/// Beyond the SDK's own attempts: a bucket of tokens that others empty too fills up in seconds.
const ATTEMPTS: usize = 8;
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(20);

/// By a history's and by a list's clock an execution starts at the same time, to the second.
const SAME_START: Duration = Duration::from_secs(1);

/// Which executions of a state machine are meant.
#[derive(Clone, Debug)]
pub struct PastExecutions {
    pub state_machine_arn: String,
    /// That started then or later.
    pub since: Timestamp,
    /// That started before.
    pub until: Timestamp,
    /// `None`: in any status.
    pub status: Option<ExecutionStatus>,
}

/// What became of one execution.
#[derive(Debug)]
pub enum Import {
    Recorded {
        status: RunStatus,
    },
    /// Recorded as far as it has come, if it says yet whose it is. Its end has a status event.
    StillRuns,
    /// Its trace is there and whole.
    AlreadyThere,
    /// Left out, for this reason; the others go on.
    Failed(RecordError),
}

impl Recorder {
    /// The state machine's ARN by its name or ARN. Refuses Express workflows.
    pub async fn find_state_machine(&self, named: &str) -> Result<String, RecordError> {
        let arn = if named.starts_with("arn:") {
            named.to_owned()
        } else {
            self.arn_of_name(named).await?
        };
        let described = self
            .step_functions
            .describe_state_machine()
            .state_machine_arn(&arn)
            .send()
            .await
            .map_err(|error| RecordError::of_state_machine("DescribeStateMachine", named, error))?;
        if described.r#type == StateMachineType::Express {
            return Err(RecordError::Express {
                state_machine: named.to_owned(),
            });
        }
        Ok(arn)
    }

    async fn arn_of_name(&self, name: &str) -> Result<String, RecordError> {
        let mut machines = self
            .step_functions
            .list_state_machines()
            .into_paginator()
            .items()
            .send();
        while let Some(machine) = machines.next().await {
            let machine = machine
                .map_err(|error| RecordError::of_state_machine("ListStateMachines", name, error))?;
            if machine.name == name {
                return Ok(machine.state_machine_arn);
            }
        }
        Err(RecordError::NoSuchStateMachine {
            state_machine: name.to_owned(),
        })
    }

    /// The executions, newest first.
    pub async fn past_executions(
        &self,
        past: &PastExecutions,
    ) -> Result<Vec<ExecutionListItem>, RecordError> {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let list = || async {
                self.step_functions
                    .list_executions()
                    .state_machine_arn(&past.state_machine_arn)
                    .set_status_filter(past.status.clone())
                    .max_results(LARGEST_PAGE)
                    .set_next_token(token.clone())
                    .send()
                    .await
                    .map_err(|error| {
                        let machine = &past.state_machine_arn;
                        RecordError::of_state_machine("ListExecutions", machine, error)
                    })
            };
            let page = patiently(list).await?;
            let before = page.executions.len();
            let started = |execution: &ExecutionListItem| time_of(&execution.start_date);
            // A redriven execution may stand before younger ones: the page is looked at whole.
            let reached = before > 0
                && page
                    .executions
                    .iter()
                    .all(|execution| started(execution) < past.since);
            found.extend(
                page.executions
                    .into_iter()
                    .filter(|execution| (past.since..past.until).contains(&started(execution))),
            );
            token = page.next_token;
            if token.is_none() || reached {
                return Ok(found);
            }
        }
    }

    /// Records each of the executions that has no whole trace yet, so many a second at most,
    /// and tells of each. Safe to break off and to repeat.
    pub async fn import(
        &self,
        executions: &[ExecutionListItem],
        tenants: &[TenantId],
        pace: NonZeroU32,
        mut tell: impl FnMut(&ExecutionListItem, Import),
    ) {
        let mut ticks = interval(Duration::from_secs(1) / pace.get());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ticks = Mutex::new(ticks);
        let imports = executions.iter().map(async |execution| {
            let done = self.import_one(execution, tenants, &ticks).await;
            (execution, done.unwrap_or_else(Import::Failed))
        });
        let mut imports = stream::iter(imports).buffer_unordered(AT_ONCE);
        while let Some((execution, done)) = imports.next().await {
            tell(execution, done);
        }
    }

    async fn import_one(
        &self,
        execution: &ExecutionListItem,
        tenants: &[TenantId],
        ticks: &Mutex<Interval>,
    ) -> Result<Import, RecordError> {
        let arn = ExecutionArn::parse(&execution.execution_arn).map_err(RecordError::MessageArn)?;
        if self.is_recorded(&arn, execution, tenants).await? {
            return Ok(Import::AlreadyThere);
        }
        let record = || async {
            ticks.lock().await.tick().await;
            // The list says it: a call less for each, of those that are bounded most.
            let described = Described {
                status: execution.status.clone(),
                state_machine_arn: execution.state_machine_arn.clone(),
                map_run_arn: execution.map_run_arn.clone(),
            };
            let metrics = &mut Metrics::off().batch();
            self.record_described(&arn, described, 0, metrics).await
        };
        Ok(match patiently(record).await? {
            Progress::Recorded(status) if status.is_over() => Import::Recorded { status },
            Progress::Recorded(_) | Progress::TenantUnknown => Import::StillRuns,
        })
    }

    /// A run is closed after its spans are written: one that is over has them all.
    async fn is_recorded(
        &self,
        arn: &ExecutionArn,
        execution: &ExecutionListItem,
        tenants: &[TenantId],
    ) -> Result<bool, RecordError> {
        for tenant in tenants {
            let run = self.store.run(tenant, TraceId::of_execution(arn)).await;
            let run = run.map_err(|source| RecordError::Store {
                arn: arn.clone(),
                source,
            })?;
            let is_whole = run.is_some_and(|run| {
                let listed = time_of(&execution.start_date);
                let apart = run
                    .started_at
                    .since(listed)
                    .max(listed.since(run.started_at));
                run.status.is_over()
                    && run.status.as_str() == execution.status.as_str()
                    && i64::from(run.redrives) == i64::from(execution.redrive_count.unwrap_or(0))
                    && apart < SAME_START
            });
            if is_whole {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Waits for as long as Step Functions says that there are too many requests.
async fn patiently<T, Call, Answer>(call: Call) -> Result<T, RecordError>
where
    Call: FnMut() -> Answer,
    Answer: Future<Output = Result<T, RecordError>>,
{
    let delays = ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(FIRST_DELAY)
        .with_max_delay(LONGEST_DELAY)
        .with_max_times(ATTEMPTS);
    call.retry(delays).when(RecordError::is_throttled).await
}
