//! The calls of Step Functions, at a pace that leaves its quotas to others.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::http::HttpResponse;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::types::{ExecutionRedriveFilter, ExecutionStatus, StateMachineType};
use trace_model::{ExecutionArn, Timestamp};

use crate::WatchError;
use crate::execution::Execution;

/// Calls of one visit that go out at once. An account's smallest bucket for these calls holds
/// 100: <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
const BURST: u32 = 50;

/// Between the calls that follow; the bucket of `ListExecutions` fills up by two to five a
/// second.
const PAUSE: Duration = Duration::from_millis(500);

/// The most that these calls answer with at once.
const PAGE: i32 = 1_000;

pub(crate) struct StepFunctions {
    client: Client,
    calls: AtomicU32,
}

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub arn: String,
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Running,
    Redriven,
}

/// Newest start first.
pub(crate) enum Listed {
    Page {
        executions: Vec<Execution>,
        next: Option<String>,
    },
    /// The token was of an earlier visit, and is no longer taken.
    TokenExpired,
    /// The state machine has been deleted.
    NoMachine,
}

impl StepFunctions {
    pub(crate) const fn new(client: Client) -> Self {
        Self {
            client,
            calls: AtomicU32::new(0),
        }
    }

    /// Standard ones whose names begin so: of Express executions nothing is listed.
    pub(crate) async fn machines(&self, prefix: &str) -> Result<Vec<Machine>, WatchError> {
        const OPERATION: &str = "ListStateMachines";
        let mut machines = Vec::new();
        let mut token = None;
        loop {
            self.pace().await;
            let page = self
                .client
                .list_state_machines()
                .max_results(PAGE)
                .set_next_token(token.take())
                .send()
                .await
                .map_err(|error| failed(OPERATION, error))?;
            let standard = page.state_machines.into_iter().filter(|machine| {
                machine.r#type == StateMachineType::Standard && machine.name.starts_with(prefix)
            });
            machines.extend(standard.map(|machine| Machine {
                created_at: Timestamp::from_unix_nanos(
                    u64::try_from(machine.creation_date.as_nanos()).unwrap_or_default(),
                ),
                arn: machine.state_machine_arn,
                name: machine.name,
            }));
            token = page.next_token;
            if token.is_none() {
                return Ok(machines);
            }
        }
    }

    pub(crate) async fn executions(
        &self,
        machine_arn: &str,
        which: Which,
        token: Option<String>,
    ) -> Result<Listed, WatchError> {
        const OPERATION: &str = "ListExecutions";
        self.pace().await;
        let list = self
            .client
            .list_executions()
            .state_machine_arn(machine_arn)
            .max_results(PAGE)
            .set_next_token(token);
        let list = match which {
            Which::All => list,
            Which::Running => list.status_filter(ExecutionStatus::Running),
            Which::Redriven => list.redrive_filter(ExecutionRedriveFilter::Redriven),
        };
        match list.send().await {
            Ok(page) => Ok(Listed::Page {
                executions: page
                    .executions
                    .iter()
                    .filter_map(Execution::listed)
                    .collect(),
                next: page.next_token,
            }),
            Err(error) => match error.code() {
                Some("InvalidToken") => Ok(Listed::TokenExpired),
                Some("StateMachineDoesNotExist") => Ok(Listed::NoMachine),
                _ => Err(failed(OPERATION, error)),
            },
        }
    }

    /// `None` when Step Functions has forgotten it, 90 days after its end.
    pub(crate) async fn execution(
        &self,
        arn: &ExecutionArn,
    ) -> Result<Option<Execution>, WatchError> {
        self.pace().await;
        let describe = self.client.describe_execution().execution_arn(arn.as_str());
        match describe.send().await {
            Ok(described) => Ok(Execution::described(&described)),
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => Ok(None),
            Err(error) => Err(failed("DescribeExecution", error)),
        }
    }

    async fn pace(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed) >= BURST {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn failed<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> WatchError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error.code() {
        Some("ThrottlingException" | "Throttling" | "TooManyRequestsException") => {
            WatchError::Throttled { operation }
        }
        _ => WatchError::StepFunctions {
            operation,
            source: Box::new(error),
        },
    }
}
