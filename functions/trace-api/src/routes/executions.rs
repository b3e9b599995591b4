use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use trace_model::{Cost, ExecutionArn, Run, RunStatus, TenantId, Timestamp};
use trace_store::{RunCursor, RunFilter};
use utoipa::IntoParams;

use crate::ApiState;
use crate::caller::{Authorized, TracesRead};
use crate::cursor::CursorScope;
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemKind};
use crate::state::NamedExecution;
use crate::wire::{Execution, ExecutionPage, PageInfo};

const DEFAULT_LIMIT: usize = 50;
const LARGEST_LIMIT: usize = 1_000;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExecutionsQuery {
    /// Runs of this workflow only.
    workflow: Option<String>,
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `ABORTED` or `PENDING_REDRIVE`.
    #[param(value_type = Option<String>)]
    status: Option<RunStatus>,
    /// RFC 3339, inclusive.
    #[param(value_type = Option<String>)]
    started_after: Option<Timestamp>,
    /// RFC 3339, exclusive.
    #[param(value_type = Option<String>)]
    started_before: Option<Timestamp>,
    /// Runs that called this model, by the name in `totals.models`.
    model: Option<String>,
    /// Runs that failed with this error name.
    error: Option<String>,
    /// Runs that are over and took this long at least, in milliseconds.
    #[param(value_type = Option<u64>)]
    min_duration_ms: Option<u64>,
    /// Runs that are over and took this long at most, in milliseconds.
    #[param(value_type = Option<u64>)]
    max_duration_ms: Option<u64>,
    /// Runs with this many input and output tokens together, or more.
    #[param(value_type = Option<u64>)]
    min_tokens: Option<u64>,
    /// Runs whose model calls cost this many US dollars or more, such as 0.25.
    #[param(value_type = Option<f64>, minimum = 0)]
    min_cost_usd: Option<Cost>,
    /// 1 to 1000; 50 when it is missing.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 50)]
    limit: usize,
    /// From the page before.
    cursor: Option<String>,
}

impl ExecutionsQuery {
    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let statuses = RunStatus::ALL.map(RunStatus::as_str);
        Ok(Self {
            workflow: parameters.text("workflow").map(str::to_owned),
            status: parameters.one_of("status", RunStatus::parse, statuses)?,
            started_after: parameters.time("started_after")?,
            started_before: parameters.time("started_before")?,
            model: parameters.text("model").map(str::to_owned),
            error: parameters.text("error").map(str::to_owned),
            min_duration_ms: parameters.count("min_duration_ms")?,
            max_duration_ms: parameters.count("max_duration_ms")?,
            min_tokens: parameters.count("min_tokens")?,
            min_cost_usd: parameters.cost("min_cost_usd")?,
            limit: parameters.limit(DEFAULT_LIMIT, LARGEST_LIMIT)?,
            cursor: parameters.text("cursor").map(str::to_owned),
        })
    }
}

/// List executions
///
/// Newest first. A page may be shorter than its limit and still have a next one.
#[utoipa::path(
    get,
    path = "/executions",
    tag = "executions",
    params(ExecutionsQuery),
    responses((status = OK, body = ExecutionPage)),
    security(("bearer" = ["traces:read"])),
)]
pub(crate) async fn list_executions(
    authorized: Authorized<TracesRead>,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<ExecutionPage>, Problem> {
    let tenant = &authorized.caller.tenant;
    let parameters = Parameters::read::<ExecutionsQuery>(query.as_deref())?;
    let query = ExecutionsQuery::read(&parameters)?;
    let scope = CursorScope {
        tenant: tenant.as_str(),
        list: "executions",
        query: parameters.fingerprint(),
    };
    let key = &state.config.cursor_key;
    let cursor = query.cursor.as_deref();
    let cursor = cursor
        .map(|cursor| key.open(&scope, cursor))
        .transpose()?
        .map(RunCursor::from_text);
    let filter = RunFilter {
        workflow: query.workflow,
        status: query.status,
        started_after: query.started_after,
        started_before: query.started_before,
        model: query.model,
        error: query.error,
        min_duration: query.min_duration_ms.map(Duration::from_millis),
        max_duration: query.max_duration_ms.map(Duration::from_millis),
        min_tokens: query.min_tokens,
        min_cost: query.min_cost_usd,
    };
    let page = state
        .stores
        .of(tenant)
        .list_runs(tenant, &filter, query.limit, cursor.as_ref())
        .await
        .map_err(|error| Problem::of_store("list executions", &error))?;
    let cursor = page.next.map(|next| key.seal(&scope, next.as_str()));
    Ok(Json(ExecutionPage {
        executions: page.runs.iter().map(Execution::from).collect(),
        page_info: PageInfo {
            has_next_page: cursor.is_some(),
            cursor,
            revision: None,
        },
    }))
}

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct NoQuery {}

/// Read an execution
///
/// The run and its exact totals.
#[utoipa::path(
    get,
    path = "/executions/{id}",
    tag = "executions",
    params(("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id")),
    responses((status = OK, body = Execution)),
    security(("bearer" = ["traces:read"])),
)]
pub(crate) async fn get_execution(
    authorized: Authorized<TracesRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Execution>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let run = find_run(&state, &authorized.caller.tenant, &id).await?;
    Ok(Json(Execution::from(&run)))
}

/// The caller's run of that id, or the answer that says why it is not there.
pub(crate) async fn find_run(
    state: &ApiState,
    tenant: &TenantId,
    id: &str,
) -> Result<Run, Problem> {
    let execution = state.execution(id)?;
    let run = state
        .stores
        .of(tenant)
        .run(tenant, execution.trace_id)
        .await
        .map_err(|error| Problem::of_store("read an execution", &error))?;
    match run {
        Some(run) => Ok(run),
        None => Err(why_missing(state, tenant, &execution).await),
    }
}

/// Step Functions may know more than the store. Only a run that is the caller's own beyond
/// doubt is spoken of: everything else is what never existed.
async fn why_missing(state: &ApiState, tenant: &TenantId, execution: &NamedExecution) -> Problem {
    let not_found = Problem::not_found("execution");
    let Some(arn) = &execution.arn else {
        return not_found;
    };
    let Some(known) = own_execution(state, tenant, arn).await else {
        return not_found;
    };
    match known {
        Known::Recent => Problem::not_recorded_yet(),
        Known::Old => Problem::new(
            ProblemKind::Expired,
            "the execution ran, and its trace has expired or was deleted: traces are kept for a \
             limited time",
        ),
    }
}

enum Known {
    /// It runs, or ended so lately that its trace may be on its way.
    Recent,
    Old,
}

/// The recorder needs seconds; what is older than this was recorded once.
const RECORDED_WITHIN: std::time::Duration = std::time::Duration::from_mins(15);

async fn own_execution(state: &ApiState, tenant: &TenantId, arn: &ExecutionArn) -> Option<Known> {
    let described = state
        .step_functions
        .describe_execution()
        .execution_arn(arn.as_str())
        .send()
        .await
        .ok()?;
    let input: serde_json::Value = serde_json::from_str(described.input.as_deref()?).ok()?;
    if input.pointer("/stepscope/tenant")?.as_str()? != tenant.as_str() {
        return None;
    }
    let stopped = described.stop_date.as_ref().map(aws_time);
    let is_recent = described.status == ExecutionStatus::Running
        || stopped.is_none_or(|stopped| state.clock.now().since(stopped) < RECORDED_WITHIN);
    Some(if is_recent { Known::Recent } else { Known::Old })
}

pub(crate) fn aws_time(time: &aws_sdk_sfn::primitives::DateTime) -> Timestamp {
    Timestamp::from_unix_nanos(u64::try_from(time.as_nanos()).unwrap_or(0))
}
