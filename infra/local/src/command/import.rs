use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use record_execution::{HISTORIES_LIVE, Import, PastExecutions, Recorder};
use redaction::Policy;
use serde_json::json;
use trace_model::{TenantId, Timestamp};

use crate::arguments::ImportArguments;
use crate::deployment::OpenDeployment;
use crate::moment::Moment;
use crate::terminal::{say, warn};
use crate::view::{duration, safe};

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// Failures are told one by one up to so many: what fails by the hundred fails for one reason.
const MOST_FAILURES_TOLD: usize = 10;

/// Half of what the quota of `GetExecutionHistory` refills in a second: the recorder of what
/// runs meanwhile needs it too.
pub(crate) const EXECUTIONS_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("it is not 0");

/// The exit status is 1 when an execution could not be imported, too.
pub(crate) async fn import(arguments: Box<ImportArguments>) -> anyhow::Result<ExitCode> {
    let deployment = OpenDeployment::open(&arguments.deployment, []).await?;
    let done = run(&deployment, &arguments).await;
    deployment.close().await?;
    let done = done?;
    say(&done.summary(&arguments));
    Ok(if done.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[derive(Default)]
struct Done {
    listed: usize,
    /// By the status that they ended in.
    recorded: BTreeMap<&'static str, usize>,
    already_there: usize,
    still_run: usize,
    failed: usize,
    took: Duration,
}

async fn run(deployment: &OpenDeployment, arguments: &ImportArguments) -> anyhow::Result<Done> {
    let begun = Instant::now();
    let OpenDeployment {
        clients,
        store,
        clock,
        ..
    } = deployment;
    let recorder = Recorder::new(
        clients.sfn().clone(),
        store.clone(),
        Policy::standard(),
        arguments.tenant.clone(),
    );
    let past = PastExecutions {
        state_machine_arn: recorder.find_state_machine(&arguments.machine).await?,
        since: since(&arguments.since, clock.now())?,
        until: match &arguments.until {
            Some(until) => until.parse::<Moment>()?.at(clock.now()),
            None => clock.now(),
        },
        status: arguments.status.as_deref().map(ExecutionStatus::from),
    };
    let executions = recorder.past_executions(&past).await?;
    let mut done = Done {
        listed: executions.len(),
        ..Done::default()
    };
    if !arguments.dry_run {
        let tenants = tenants(deployment, arguments).await?;
        let mut told = Instant::now();
        let tell = |execution: &ExecutionListItem, import| {
            done.count(execution, import);
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                warn(&format!("{} of {} so far", done.looked_at(), done.listed));
            }
        };
        recorder
            .import(&executions, &tenants, arguments.rate, tell)
            .await;
    }
    done.took = begun.elapsed();
    Ok(done)
}

/// Whose runs may be there already.
async fn tenants(
    deployment: &OpenDeployment,
    arguments: &ImportArguments,
) -> anyhow::Result<Vec<TenantId>> {
    let mut tenants = deployment.store.tenants().await?;
    tenants.retain(|tenant| *tenant != arguments.tenant);
    // First, because most are its.
    tenants.insert(0, arguments.tenant.clone());
    Ok(tenants)
}

fn since(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let since = text.parse::<Moment>()?.at(now);
    if now.since(since) > HISTORIES_LIVE {
        bail!(
            "--since {text} is too long ago: Step Functions deletes an execution's history 90 days \
             after its end; give 90d or less"
        );
    }
    Ok(since)
}

impl Done {
    fn count(&mut self, execution: &ExecutionListItem, import: Import) {
        match import {
            Import::Recorded { status } => *self.recorded.entry(status.as_str()).or_default() += 1,
            Import::AlreadyThere => self.already_there += 1,
            Import::StillRuns => self.still_run += 1,
            Import::Failed(error) => {
                self.failed += 1;
                if self.failed <= MOST_FAILURES_TOLD {
                    let name = safe(&execution.name);
                    warn(&format!("{name}: {:#}", anyhow::Error::from(error)));
                }
                if self.failed == MOST_FAILURES_TOLD {
                    warn("what fails from here on is only counted");
                }
            }
        }
    }

    fn recorded(&self) -> usize {
        self.recorded.values().sum()
    }

    fn looked_at(&self) -> usize {
        self.recorded() + self.already_there + self.still_run + self.failed
    }

    fn summary(&self, arguments: &ImportArguments) -> String {
        if arguments.json {
            let summary = json!({
                "listed": self.listed,
                "recorded": self.recorded(),
                "by_status": self.recorded,
                "already_there": self.already_there,
                "still_run": self.still_run,
                "failed": self.failed,
                "seconds": self.took.as_secs_f64(),
            });
            return summary.to_string();
        }
        let machine = safe(&arguments.machine);
        if arguments.dry_run {
            return format!(
                "{} executions of {machine} would be looked at; nothing was recorded",
                self.listed
            );
        }
        let mut parts = vec![format!(
            "imported {} of {} executions of {machine} in {}",
            self.recorded(),
            self.listed,
            duration(self.took)
        )];
        parts.extend(
            self.recorded
                .iter()
                .map(|(status, count)| format!("{count} {status}")),
        );
        for (count, what) in [
            (self.already_there, "were there already"),
            (self.still_run, "still run, and are recorded at their end"),
            (self.failed, "failed: the same command tries them again"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        parts.join(", ")
    }
}
