use std::time::Duration;

use aws_sdk_sfn::error::ProvideErrorMetadata as _;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use http::HeaderMap;
use identity::{Caller, Scope};
use redaction::Policy;
use serde_json::{Value, json};
use trace_model::{Run, SpanId};

use super::control::{execution_of, gone};
use super::executions::{NoQuery, find_run};
use crate::ApiState;
use crate::body::read_body;
use crate::callback::{CallbackTask, CallbackTasks, Standing, TaskKind};
use crate::caller::{Authorized, TracesRead, WorkflowsRun};
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemKind};
use crate::step_functions::{of_step_functions, told};
use crate::wire::{ApprovalList, Decided, Decision, WaitingTask};

/// The most that `GetExecutionHistory` answers with at once, from its API reference.
const MOST_EVENTS: i32 = 1_000;

/// A history has 25,000 events at most; its pages may be shorter than asked for.
const MOST_PAGES: usize = 200;

/// In characters.
const LONGEST_COMMENT: usize = 4_096;
const LONGEST_QUESTION: usize = 1_000;

/// A task's output in bytes, from Step Functions' quotas.
const LARGEST_OUTPUT: usize = 262_144;

/// How far above the span that was named the attempt may be.
const MOST_LEVELS: usize = 32;

/// List what waits for a person
///
/// The tasks of the execution that are answered with their token, and have not been: approvals,
/// and callbacks of other functions. Oldest first.
#[utoipa::path(
    get,
    path = "/executions/{id}/approvals",
    tag = "executions",
    params(("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id")),
    responses((status = OK, body = ApprovalList)),
    security(("bearer" = ["traces:read", "content:read"])),
)]
pub(crate) async fn list_approvals(
    authorized: Authorized<TracesRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<ApprovalList>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let caller = &authorized.caller;
    let run = find_run(&state, &caller.tenant, &id).await?;
    let waits = |task: &&CallbackTask| task.standing == Standing::Waits;
    let mut approvals = Vec::new();
    if run.execution_arn.is_some() {
        // What the history says and not the run's item: a redrive may be newer than that.
        let still_waiting = |tasks: &CallbackTasks| {
            if tasks.reached_an_end() {
                Look::Enough
            } else {
                Look::Further
            }
        };
        match read_tasks(&state, &run, still_waiting).await {
            Ok(tasks) => {
                let waiting = tasks.found().iter().rev().filter(waits);
                approvals.extend(waiting.map(|task| approval(task, &run, caller)));
            }
            // Only its trace is left.
            Err(problem) if problem.kind() == ProblemKind::NotRunning => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(Json(ApprovalList { approvals }))
}

/// Answer a task that waits for a person
///
/// `span_id` is the attempt's, as `approvals` lists it, or that of any span below it. An approval
/// takes `approved` and goes on either way: the state machine decides what a rejection means. What
/// the task answers with then holds `approved`, `by` (the token's subject), `comment` and `at`. Any
/// other task may be given an `output` instead. The same decision again by the same caller answers
/// what was recorded.
#[utoipa::path(
    post,
    path = "/executions/{id}/approvals/{span_id}",
    tag = "executions",
    params(
        ("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id"),
        ("span_id" = String, Path, description = "16 hex digits"),
    ),
    request_body = Decision,
    responses((status = OK, body = Decided)),
    security(("bearer" = ["workflows:run"])),
)]
pub(crate) async fn decide(
    authorized: Authorized<WorkflowsRun>,
    State(state): State<ApiState>,
    Path((id, span_id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Decided>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let caller = &authorized.caller;
    let run = find_run(&state, &caller.tenant, &id).await?;
    execution_of(&run)?;
    let answer = Answer::read(read_body(&headers, body)?)?;
    let span_id: SpanId = span_id.parse().map_err(|_| Problem::not_found("span"))?;
    let (tasks, index) = find_task(&state, &run, span_id).await?;
    let task = &tasks.found()[index];
    let decided = |output: Value| {
        Json(Decided {
            execution_id: run.execution_id.to_string(),
            span_id: task.span_id.to_string(),
            output,
        })
    };
    match &task.standing {
        Standing::Waits => {}
        Standing::Answered(output) => {
            return answer.repeats(output, caller).map(decided);
        }
        Standing::Ended { how } => return Err(no_longer_waits(how)),
    }
    let output = answer.output(task, caller, &state)?;
    let token = task.token.as_ref().ok_or_else(|| {
        Problem::new(
            ProblemKind::Refused,
            "the task's payload has no member named task_token: only whoever was sent its token \
             can answer; pass it as \"task_token\": \"{% $states.context.Task.Token %}\"",
        )
    })?;
    let sent = state
        .step_functions
        .send_task_success()
        .task_token(token.reveal())
        .output(output.to_string())
        .send()
        .await;
    match sent {
        Ok(_) => {}
        Err(error) => match error.code() {
            Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken") => {
                return too_late(&state, &run, task.span_id, &answer, caller)
                    .await
                    .map(decided);
            }
            Some("InvalidOutput" | "ValidationException") => {
                return Err(Problem::new(ProblemKind::Refused, told(&error)));
            }
            _ => return Err(of_step_functions("answer a task", &error)),
        },
    }
    tracing::info!(
        tenant = caller.tenant.as_str(),
        subject = caller.subject,
        trace_id = %run.trace_id,
        span_id = %task.span_id,
        approved = answer.approved(),
        "a task was answered"
    );
    Ok(decided(output))
}

/// What a request's body asks for.
enum Answer {
    Approval {
        approved: bool,
        comment: Option<String>,
    },
    Output(Value),
}

impl Answer {
    fn read(decision: Decision) -> Result<Self, Problem> {
        let invalid = |detail: &str| Err(Problem::new(ProblemKind::InvalidBody, detail));
        match (decision.approved, decision.output) {
            (Some(_), Some(_)) => invalid("give either approved or output, not both"),
            (None, None) => invalid("approved is missing: expected true or false"),
            (None, Some(_)) if decision.comment.is_some() => {
                invalid("comment goes with approved; put it into output")
            }
            (None, Some(output)) => Ok(Self::Output(output)),
            (Some(approved), None) => {
                let comment = decision.comment;
                let length = comment.as_ref().map_or(0, |text| text.chars().count());
                if length > LONGEST_COMMENT {
                    let detail = format!(
                        "comment has {length} characters; expected {LONGEST_COMMENT} at most"
                    );
                    return invalid(&detail);
                }
                Ok(Self::Approval { approved, comment })
            }
        }
    }

    const fn approved(&self) -> Option<bool> {
        match self {
            Self::Approval { approved, .. } => Some(*approved),
            Self::Output(_) => None,
        }
    }

    /// The task's result.
    fn output(
        &self,
        task: &CallbackTask,
        caller: &Caller,
        state: &ApiState,
    ) -> Result<Value, Problem> {
        let refused = |detail: String| Err(Problem::new(ProblemKind::Refused, detail));
        match self {
            Self::Approval { approved, comment } => Ok(json!({
                "approved": approved,
                "by": caller.subject,
                "comment": comment,
                "at": state.clock.now().to_rfc3339(),
            })),
            // Who decided is part of what an approval says.
            Self::Output(_) if task.node == TaskKind::Approval => refused(
                "this task is an approval: answer it with approved, true or false".to_owned(),
            ),
            Self::Output(output) => match output.to_string().len() {
                bytes if bytes > LARGEST_OUTPUT => refused(format!(
                    "output has {bytes} bytes; Step Functions takes {LARGEST_OUTPUT}: put what is \
                     large where the workflow can read it, and pass its address"
                )),
                _ => Ok(output.clone()),
            },
        }
    }

    /// The recorded answer when this one asks for the same again, as after a lost response.
    fn repeats(&self, recorded: &Value, caller: &Caller) -> Result<Value, Problem> {
        let said = |member: &str| recorded.get(member).and_then(Value::as_str);
        let is_same = match self {
            Self::Approval { approved, .. } => {
                recorded.get("approved") == Some(&Value::Bool(*approved))
                    && said("by") == Some(&caller.subject)
            }
            Self::Output(output) => output == recorded,
        };
        if is_same {
            return Ok(recorded.clone());
        }
        let how = match recorded.get("approved").and_then(Value::as_bool) {
            Some(true) => "approved",
            Some(false) => "rejected",
            None => "answered",
        };
        let by = said("by").map_or_else(String::new, |by| format!(" by {by}"));
        let at = said("at").map_or_else(String::new, |at| format!(" at {at}"));
        Err(Problem::new(
            ProblemKind::AlreadyDecided,
            format!("it was {how} before{by}{at}"),
        ))
    }
}

/// The token was no longer good: somebody was faster, or time has run out.
async fn too_late(
    state: &ApiState,
    run: &Run,
    span_id: SpanId,
    answer: &Answer,
    caller: &Caller,
) -> Result<Value, Problem> {
    let (tasks, index) = find_task(state, run, span_id).await?;
    match &tasks.found()[index].standing {
        Standing::Answered(output) => answer.repeats(output, caller),
        Standing::Ended { how } => Err(no_longer_waits(how)),
        Standing::Waits => Err(no_longer_waits("its token has expired")),
    }
}

fn no_longer_waits(how: &str) -> Problem {
    Problem::new(
        ProblemKind::TokenExpired,
        format!("the task no longer waits: {how}"),
    )
}

/// The callback task of a span: the attempt itself, or what is below it.
async fn find_task(
    state: &ApiState,
    run: &Run,
    span_id: SpanId,
) -> Result<(CallbackTasks, usize), Problem> {
    let is_it = |task: &CallbackTask| task.span_id == span_id;
    let stop_there = |tasks: &CallbackTasks| match tasks.found().last() {
        Some(task) if is_it(task) => Look::Enough,
        _ => Look::Further,
    };
    let tasks = read_tasks(state, run, stop_there).await?;
    if let Some(index) = tasks.found().iter().position(is_it) {
        return Ok((tasks, index));
    }
    for ancestor in ancestors(state, run, span_id).await? {
        let found = tasks.found().iter();
        if let Some(index) = found.map(|task| task.span_id).position(|id| id == ancestor) {
            return Ok((tasks, index));
        }
    }
    Err(Problem::new(
        ProblemKind::NothingWaits,
        "this span belongs to no task that is answered with its token: GET \
         /executions/{id}/approvals lists what waits",
    ))
}

/// The spans above a span, nearest first.
async fn ancestors(state: &ApiState, run: &Run, span_id: SpanId) -> Result<Vec<SpanId>, Problem> {
    let structure = state
        .stores
        .of(&run.tenant)
        .read_structure(&run.tenant, run.trace_id)
        .await
        .map_err(|error| Problem::of_store("read a trace", &error))?;
    let parents: std::collections::HashMap<SpanId, Option<SpanId>> = structure
        .spans
        .iter()
        .map(|span| (span.span().span_id, span.span().parent_span_id))
        .collect();
    let named = parents
        .get(&span_id)
        .ok_or_else(|| Problem::not_found("span"))?;
    let above = std::iter::successors(*named, |id| parents.get(id).copied().flatten());
    Ok(above.take(MOST_LEVELS).collect())
}

/// Whether the older part of a history is worth reading.
enum Look {
    Further,
    Enough,
}

/// Reads the history, newest first, until there is enough or it ends.
async fn read_tasks(
    state: &ApiState,
    run: &Run,
    look: impl Fn(&CallbackTasks) -> Look,
) -> Result<CallbackTasks, Problem> {
    let arn = execution_of(run)?;
    let mut tasks = CallbackTasks::new(arn.clone());
    let mut pages = state
        .step_functions
        .get_execution_history()
        .execution_arn(arn.as_str())
        .include_execution_data(true)
        .reverse_order(true)
        .max_results(MOST_EVENTS)
        .into_paginator()
        .send();
    for _ in 0..MOST_PAGES {
        let Some(page) = pages.next().await else {
            break;
        };
        let page = page.map_err(|error| match error.code() {
            Some("ExecutionDoesNotExist") => gone(),
            _ => of_step_functions("read an execution's history", &error),
        })?;
        for event in &page.events {
            tasks.take(event);
            if matches!(look(&tasks), Look::Enough) {
                return Ok(tasks);
            }
        }
    }
    Ok(tasks)
}

fn approval(task: &CallbackTask, run: &Run, caller: &Caller) -> WaitingTask {
    let may_read_content = caller.scopes.contains(Scope::ContentRead);
    let masked = |text: &String| {
        let masked = Policy::standard().redact_text(text);
        match masked.beginning(LONGEST_QUESTION) {
            Some(beginning) => format!("{beginning}…"),
            None => masked.into_string(),
        }
    };
    let deadline = task
        .timeout_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(|seconds| task.scheduled_at.plus(Duration::from_secs(seconds)));
    WaitingTask {
        execution_id: run.execution_id.to_string(),
        span_id: task.span_id.to_string(),
        state: task.state.clone(),
        question: task
            .question
            .as_ref()
            .filter(|_| may_read_content)
            .map(masked),
        since: task.scheduled_at.to_rfc3339(),
        deadline: deadline.map(trace_model::Timestamp::to_rfc3339),
        heartbeat_seconds: task.heartbeat_seconds,
        is_approval: task.node == TaskKind::Approval,
        can_be_answered: task.token.is_some(),
    }
}
