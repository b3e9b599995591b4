use aws_sdk_sfn::error::ProvideErrorMetadata;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use trace_model::{ExecutionArn, SpanId, TenantId, Timestamp, TraceId};
use utoipa::IntoParams;
use uuid::Uuid;

use super::executions::{NoQuery, aws_time};
use crate::ApiState;
use crate::body::read_body;
use crate::caller::{Authorized, WorkflowsRead, WorkflowsRun};
use crate::cursor::CursorScope;
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemKind};
use crate::step_functions::{ServiceError, of_step_functions, told};
use crate::wire::{
    PageInfo, StartExecution, StartedExecution, Workflow, WorkflowDetail, WorkflowPage,
};

const DEFAULT_LIMIT: usize = 100;
/// `ListStateMachines` answers with no more, from its API reference.
const LARGEST_LIMIT: usize = 1_000;

/// An execution's input in bytes, from Step Functions' quotas.
const LARGEST_INPUT: usize = 262_144;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WorkflowsQuery {
    /// 1 to 1000; 100 when it is missing.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: usize,
    /// From the page before.
    cursor: Option<String>,
}

/// List workflows
///
/// The state machines of this account and region, which all tenants share.
#[utoipa::path(
    get,
    path = "/workflows",
    tag = "workflows",
    params(WorkflowsQuery),
    responses((status = OK, body = WorkflowPage)),
    security(("bearer" = ["workflows:read"])),
)]
pub(crate) async fn list_workflows(
    authorized: Authorized<WorkflowsRead>,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<WorkflowPage>, Problem> {
    let parameters = Parameters::read::<WorkflowsQuery>(query.as_deref())?;
    let query = WorkflowsQuery {
        limit: parameters.limit(DEFAULT_LIMIT, LARGEST_LIMIT)?,
        cursor: parameters.text("cursor").map(str::to_owned),
    };
    let scope = CursorScope {
        tenant: authorized.caller.tenant.as_str(),
        list: "workflows",
        query: parameters.fingerprint(),
    };
    let key = &state.config.cursor_key;
    let token = query
        .cursor
        .map(|cursor| key.open(&scope, &cursor))
        .transpose()?;
    let limit = i32::try_from(query.limit).unwrap_or(i32::MAX);
    let page = state
        .step_functions
        .list_state_machines()
        .max_results(limit)
        .set_next_token(token)
        .send()
        .await
        .map_err(|error| match error.code() {
            Some("InvalidToken") => Problem::invalid_cursor(),
            _ => of_step_functions("list workflows", &error),
        })?;
    let cursor = page.next_token.map(|token| key.seal(&scope, &token));
    let workflows = page.state_machines.into_iter().map(|machine| Workflow {
        name: machine.name,
        machine_type: machine.r#type.as_str().to_owned(),
        created_at: aws_time(&machine.creation_date).to_rfc3339(),
    });
    Ok(Json(WorkflowPage {
        workflows: workflows.collect(),
        page_info: PageInfo {
            has_next_page: cursor.is_some(),
            cursor,
            revision: None,
        },
    }))
}

/// Read a workflow
///
/// Its Amazon States Language definition, as it is now.
#[utoipa::path(
    get,
    path = "/workflows/{name}",
    tag = "workflows",
    params(("name" = String, Path, description = "the state machine's name")),
    responses((status = OK, body = WorkflowDetail)),
    security(("bearer" = ["workflows:read"])),
)]
pub(crate) async fn get_workflow(
    _authorized: Authorized<WorkflowsRead>,
    State(state): State<ApiState>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<WorkflowDetail>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let arn = state.state_machine_arn(&name);
    let arn = arn.ok_or_else(|| Problem::not_found("workflow"))?;
    let machine = state
        .step_functions
        .describe_state_machine()
        .state_machine_arn(arn)
        .send()
        .await
        .map_err(|error| match error.code() {
            Some("StateMachineDoesNotExist") => Problem::not_found("workflow"),
            _ => of_step_functions("read a workflow", &error),
        })?;
    let definition = serde_json::from_str(&machine.definition)
        .map_err(|error| Problem::internal("read a workflow's definition", &error))?;
    Ok(Json(WorkflowDetail {
        name: machine.name,
        machine_type: machine.r#type.as_str().to_owned(),
        created_at: aws_time(&machine.creation_date).to_rfc3339(),
        description: machine.description,
        revision_id: machine.revision_id,
        definition,
    }))
}

/// Start an execution
///
/// The run belongs to the caller's tenant. With a name it is idempotent: the same name and the
/// same input answer with the same execution.
#[utoipa::path(
    post,
    path = "/workflows/{name}/executions",
    tag = "workflows",
    params(("name" = String, Path, description = "the state machine's name")),
    request_body = StartExecution,
    responses(
        (status = CREATED, body = StartedExecution, description = "It runs"),
        (status = OK, body = StartedExecution, description = "It was started before"),
    ),
    security(("bearer" = ["workflows:run"])),
)]
pub(crate) async fn start_execution(
    authorized: Authorized<WorkflowsRun>,
    State(state): State<ApiState>,
    Path(workflow): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<
    (
        StatusCode,
        [(http::HeaderName, String); 1],
        Json<StartedExecution>,
    ),
    Problem,
> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let tenant = &authorized.caller.tenant;
    let request: StartExecution = read_body(&headers, body)?;
    let machine = state.state_machine_arn(&workflow);
    let machine = machine.ok_or_else(|| Problem::not_found("workflow"))?;
    let input = input_of(request.input, tenant)?.to_string();
    if input.len() > LARGEST_INPUT {
        let detail = format!(
            "the input has {} bytes; Step Functions takes {LARGEST_INPUT}: put what is large \
             where the workflow can read it, and pass its address",
            input.len()
        );
        return Err(Problem::new(ProblemKind::BodyTooLarge, detail));
    }
    let name = execution_name(request.name)?;
    let arn = machine.replacen(":stateMachine:", ":execution:", 1);
    let arn = ExecutionArn::parse(&format!("{arn}:{name}"))
        .map_err(|error| Problem::new(ProblemKind::InvalidBody, error.to_string()))?;
    let started = state
        .step_functions
        .start_execution()
        .state_machine_arn(machine)
        .name(&name)
        .input(&input)
        .send()
        .await;
    let (status, started_at) = match started {
        Ok(started) => (StatusCode::CREATED, aws_time(&started.start_date)),
        Err(error) if error.code() == Some("ExecutionAlreadyExists") => {
            (StatusCode::OK, same_execution(&state, &arn, &input).await?)
        }
        Err(error) => return Err(not_started(&error)),
    };
    let id = arn.execution_id();
    let encoded: String = url::form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect();
    let body = StartedExecution {
        id: id.to_string(),
        execution_arn: arn.to_string(),
        trace_id: TraceId::of_execution(&arn).to_string(),
        root_span_id: SpanId::of_execution(&arn).to_string(),
        started_at: started_at.to_rfc3339(),
    };
    let location = format!("/executions/{}", encoded.replace('+', "%20"));
    Ok((status, [(LOCATION, location)], Json(body)))
}

/// The caller's tenant, whatever the caller wrote there.
fn input_of(input: Option<Value>, tenant: &TenantId) -> Result<Value, Problem> {
    let mut input = input.unwrap_or_else(|| json!({}));
    let Value::Object(members) = &mut input else {
        return Err(Problem::new(
            ProblemKind::InvalidBody,
            "input must be a JSON object: the run's tenant is written into it, as \
             stepscope.tenant",
        ));
    };
    match members.get_mut("stepscope") {
        Some(Value::Object(stepscope)) => {
            stepscope.insert("tenant".to_owned(), json!(tenant.as_str()));
        }
        _ => {
            members.insert("stepscope".to_owned(), json!({"tenant": tenant.as_str()}));
        }
    }
    Ok(input)
}

fn execution_name(name: Option<String>) -> Result<String, Problem> {
    let Some(name) = name else {
        return Ok(Uuid::new_v4().to_string());
    };
    let fits = (1..=80).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if fits {
        return Ok(name);
    }
    let shown: String = name.chars().take(100).collect();
    Err(Problem::new(
        ProblemKind::InvalidBody,
        format!("name is {shown:?}; expected 1 to 80 letters, digits, '-' and '_'"),
    ))
}

/// When the execution of that name started, if it was started by the same request. The input
/// holds the tenant: another tenant's execution is never the same.
async fn same_execution(
    state: &ApiState,
    arn: &ExecutionArn,
    input: &str,
) -> Result<Timestamp, Problem> {
    let described = state
        .step_functions
        .describe_execution()
        .execution_arn(arn.as_str())
        .send()
        .await
        .map_err(|error| of_step_functions("read an execution", &error))?;
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let same = described.input.as_deref().and_then(parsed) == parsed(input);
    if same {
        return Ok(aws_time(&described.start_date));
    }
    Err(Problem::new(
        ProblemKind::NameTaken,
        "an execution of this workflow has this name and was started otherwise: choose another \
         name, or leave it out",
    ))
}

fn not_started<E>(error: &ServiceError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error.code() {
        Some("StateMachineDoesNotExist" | "StateMachineDeleting") => Problem::not_found("workflow"),
        Some("InvalidExecutionInput" | "InvalidName" | "ExecutionLimitExceeded") => {
            Problem::new(ProblemKind::Refused, told(error))
        }
        _ => of_step_functions("start an execution", error),
    }
}
