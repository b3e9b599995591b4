use aws_sdk_sfn::error::ProvideErrorMetadata as _;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::{ExecutionRedriveStatus, ExecutionStatus};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use http::HeaderMap;
use sha2::{Digest, Sha256};
use trace_model::{ExecutionArn, Run, RunStatus};

use super::executions::{NoQuery, aws_time, find_run};
use crate::ApiState;
use crate::body::read_body;
use crate::caller::{Authorized, WorkflowsRun};
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemKind};
use crate::step_functions::{of_step_functions, told};
use crate::wire::{RedrivenExecution, StopExecution, StoppedExecution};

/// In characters, from `StopExecution`'s API reference.
const LONGEST_ERROR: usize = 256;
const LONGEST_CAUSE: usize = 32_768;

/// Stop an execution
///
/// It ends as `ABORTED`, with everything that runs in it. Stopping one that was stopped already
/// answers the same again.
#[utoipa::path(
    post,
    path = "/executions/{id}/stop",
    tag = "executions",
    params(("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id")),
    request_body = StopExecution,
    responses((status = OK, body = StoppedExecution)),
    security(("bearer" = ["workflows:run"])),
)]
pub(crate) async fn stop_execution(
    authorized: Authorized<WorkflowsRun>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<StoppedExecution>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let caller = &authorized.caller;
    let run = find_run(&state, &caller.tenant, &id).await?;
    let request: StopExecution = read_body(&headers, body)?;
    check_length("error", request.error.as_deref(), LONGEST_ERROR)?;
    check_length("cause", request.cause.as_deref(), LONGEST_CAUSE)?;
    let arn = execution_of(&run)?;
    let described = describe(&state, arn).await?;
    let stopped_at = match described.status {
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive => {
            let cause = match (&request.error, request.cause) {
                (None, None) => Some(format!("stopped by {}", caller.subject)),
                (_, cause) => cause,
            };
            let stopped = state
                .step_functions
                .stop_execution()
                .execution_arn(arn.as_str())
                .set_error(request.error)
                .set_cause(cause)
                .send()
                .await
                .map_err(|error| match error.code() {
                    Some("StateMachineTypeNotSupported" | "ValidationException") => {
                        Problem::new(ProblemKind::Refused, told(&error))
                    }
                    _ => of_step_functions("stop an execution", &error),
                })?;
            // It may have ended by itself in between.
            let described = describe(&state, arn).await?;
            match described.status {
                ExecutionStatus::Aborted | ExecutionStatus::Running => stopped.stop_date,
                status => return Err(ended(&status)),
            }
        }
        ExecutionStatus::Aborted => described.stop_date.unwrap_or(described.start_date),
        status => return Err(ended(&status)),
    };
    tracing::info!(
        tenant = caller.tenant.as_str(),
        subject = caller.subject,
        trace_id = %run.trace_id,
        "an execution was stopped"
    );
    Ok(Json(StoppedExecution {
        id: run.execution_id.to_string(),
        status: RunStatus::Aborted.as_str(),
        stopped_at: aws_time(&stopped_at).to_rfc3339(),
    }))
}

/// Redrive an execution
///
/// One that failed, timed out or was stopped goes on from the states that did not succeed, with
/// their input; it stays the same execution and the same trace. Asking again while it runs
/// answers the same again.
#[utoipa::path(
    post,
    path = "/executions/{id}/redrive",
    tag = "executions",
    params(("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id")),
    responses((status = OK, body = RedrivenExecution)),
    security(("bearer" = ["workflows:run"])),
)]
pub(crate) async fn redrive_execution(
    authorized: Authorized<WorkflowsRun>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<RedrivenExecution>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let caller = &authorized.caller;
    let run = find_run(&state, &caller.tenant, &id).await?;
    let arn = execution_of(&run)?;
    let before = describe(&state, arn).await?;
    if let Some(redriven) = redriven(&run, arn, &before) {
        return Ok(Json(redriven));
    }
    if before.redrive_status == Some(ExecutionRedriveStatus::NotRedrivable) {
        return Err(not_redrivable(before.redrive_status_reason.as_deref()));
    }
    let asked = state
        .step_functions
        .redrive_execution()
        .execution_arn(arn.as_str())
        .client_token(client_token(arn, before.redrive_count))
        .send()
        .await;
    let after = describe(&state, arn).await?;
    match asked {
        Ok(_) => {}
        // Another request was faster, and this one's wish is fulfilled.
        Err(_) if after.redrive_count > before.redrive_count => {}
        Err(error) => {
            return Err(match error.code() {
                Some("ExecutionNotRedrivable") => not_redrivable(error.message()),
                Some("ExecutionLimitExceeded" | "ValidationException") => {
                    Problem::new(ProblemKind::Refused, told(&error))
                }
                _ => of_step_functions("redrive an execution", &error),
            });
        }
    }
    tracing::info!(
        tenant = caller.tenant.as_str(),
        subject = caller.subject,
        trace_id = %run.trace_id,
        "an execution was redriven"
    );
    Ok(Json(told_redriven(&run, arn, &after)))
}

/// What an execution that runs after a redrive answers; `None` for one that may be redriven, or
/// must not.
fn redriven(
    run: &Run,
    arn: &ExecutionArn,
    described: &DescribeExecutionOutput,
) -> Option<RedrivenExecution> {
    let runs = described.status == ExecutionStatus::Running;
    let was_redriven = described.redrive_count.is_some_and(|count| count > 0);
    (runs && was_redriven).then(|| told_redriven(run, arn, described))
}

fn told_redriven(
    run: &Run,
    arn: &ExecutionArn,
    described: &DescribeExecutionOutput,
) -> RedrivenExecution {
    let count = described.redrive_count.unwrap_or_default();
    let at = described.redrive_date.unwrap_or(described.start_date);
    let status = RunStatus::parse(described.status.as_str());
    RedrivenExecution {
        id: run.execution_id.to_string(),
        status: status.unwrap_or(RunStatus::Running).as_str(),
        execution_arn: arn.to_string(),
        redrives: u32::try_from(count).unwrap_or_default(),
        redriven_at: aws_time(&at).to_rfc3339(),
    }
}

fn not_redrivable(reason: Option<&str>) -> Problem {
    let reason = reason.unwrap_or("Step Functions gave no reason");
    Problem::new(ProblemKind::NotRedrivable, reason)
}

/// The same for all who ask for the same redrive: Step Functions then does it once.
fn client_token(arn: &ExecutionArn, redrives_before: Option<i32>) -> String {
    let asked = format!("{arn}#{}", redrives_before.unwrap_or_default());
    hex::encode(Sha256::digest(asked.as_bytes()))
}

/// Spans that came without an execution are nobody's to steer.
pub(crate) fn execution_of(run: &Run) -> Result<&ExecutionArn, Problem> {
    run.execution_arn.as_ref().ok_or_else(|| {
        Problem::new(
            ProblemKind::Refused,
            "these spans came without a Step Functions execution: there is nothing to steer",
        )
    })
}

async fn describe(
    state: &ApiState,
    arn: &ExecutionArn,
) -> Result<DescribeExecutionOutput, Problem> {
    let described = state
        .step_functions
        .describe_execution()
        .execution_arn(arn.as_str())
        .send()
        .await;
    described.map_err(|error| match error.code() {
        Some("ExecutionDoesNotExist") => gone(),
        _ => of_step_functions("read an execution", &error),
    })
}

/// The trace is kept longer than the execution.
pub(crate) fn gone() -> Problem {
    Problem::new(
        ProblemKind::NotRunning,
        "Step Functions no longer knows this execution: it ended long ago, and only its trace is \
         left",
    )
}

fn ended(status: &ExecutionStatus) -> Problem {
    Problem::new(
        ProblemKind::NotRunning,
        format!("the execution has ended already: it is {}", status.as_str()),
    )
}

fn check_length(field: &str, text: Option<&str>, most: usize) -> Result<(), Problem> {
    let length = text.map_or(0, |text| text.chars().count());
    if length <= most {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::InvalidBody,
        format!("{field} has {length} characters; expected {most} at most"),
    ))
}
