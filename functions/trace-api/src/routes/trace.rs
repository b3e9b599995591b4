use std::pin::pin;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use futures::TryStreamExt as _;
use trace_model::{Run, Span, SpanKind, TenantId, Timestamp, conventions};
use trace_store::SpanPosition;
use utoipa::IntoParams;

use super::LARGEST_PAGE;
use super::executions::find_run;
use crate::ApiState;
use crate::caller::{Authorized, TracesRead};
use crate::cursor::CursorScope;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::wire::{Execution, PageInfo, SpanSummary, TracePage, View};

const DEFAULT_LIMIT: usize = 1_000;
const LARGEST_LIMIT: usize = 5_000;

/// How many spans one request looks at when a filter drops nearly all of them.
const MOST_SPANS_READ: usize = 20_000;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TraceQuery {
    /// `structure`, or `full` for attributes, events and links too.
    #[param(value_type = Option<String>, default = "structure")]
    view: View,
    /// `run`, `state`, `iteration`, `attempt`, `node`, `model`, `embedding`, `retrieval`,
    /// `tool`, `agent`, `http`, `storage` or `internal`.
    #[param(value_type = Option<String>)]
    kind: Option<SpanKind>,
    /// Spans of this state of the workflow.
    state: Option<String>,
    /// `unset`, `ok` or `error`.
    status: Option<String>,
    /// Spans whose name has this text in it, in whatever case.
    name: Option<String>,
    /// 1 to 5000; 1000 when it is missing.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 5000, default = 1000)]
    limit: usize,
    /// From the page before.
    cursor: Option<String>,
}

impl TraceQuery {
    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let view = |text: &str| match text {
            "structure" => Some(View::Structure),
            "full" => Some(View::Full),
            _ => None,
        };
        let statuses = ["unset", "ok", "error"];
        let status = |text: &str| statuses.contains(&text).then(|| text.to_owned());
        let kinds = SpanKind::ALL.map(SpanKind::as_str);
        Ok(Self {
            view: parameters
                .one_of("view", view, ["structure", "full"])?
                .unwrap_or_default(),
            kind: parameters.one_of("kind", SpanKind::parse, kinds)?,
            state: parameters.text("state").map(str::to_owned),
            status: parameters.one_of("status", status, statuses)?,
            name: parameters.text("name").map(str::to_lowercase),
            limit: parameters.limit(DEFAULT_LIMIT, LARGEST_LIMIT)?,
            cursor: parameters.text("cursor").map(str::to_owned),
        })
    }

    fn selects(&self, span: &Span) -> bool {
        let status = match span.status {
            trace_model::Status::Unset => "unset",
            trace_model::Status::Ok => "ok",
            trace_model::Status::Error { .. } => "error",
        };
        self.kind.is_none_or(|kind| kind == span.kind)
            && self.status.as_ref().is_none_or(|wanted| wanted == status)
            && self
                .state
                .as_ref()
                .is_none_or(|state| span.text(conventions::WORKFLOW_STATE) == Some(state.as_str()))
            && self
                .name
                .as_ref()
                .is_none_or(|name| span.name.to_lowercase().contains(name))
    }
}

/// Read a trace
///
/// The spans of an execution in order of start and then span id, a page at a time. A page ends
/// early when it has grown large, or when a filter had to look at many spans.
#[utoipa::path(
    get,
    path = "/executions/{id}/trace",
    tag = "executions",
    params(
        ("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id"),
        TraceQuery,
    ),
    responses((status = OK, body = TracePage)),
    security(("bearer" = ["traces:read"])),
)]
pub(crate) async fn get_trace(
    authorized: Authorized<TracesRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<TracePage>, Problem> {
    let tenant = &authorized.caller.tenant;
    let parameters = Parameters::read::<TraceQuery>(query.as_deref())?;
    let query = TraceQuery::read(&parameters)?;
    let run = find_run(&state, tenant, &id).await?;
    let scope = CursorScope {
        tenant: tenant.as_str(),
        list: "trace",
        query: format!("{} {}", run.trace_id, parameters.fingerprint()),
    };
    let key = &state.config.cursor_key;
    let after = match &query.cursor {
        Some(cursor) => Some(position(&key.open(&scope, cursor)?)?),
        None => None,
    };
    let store = state.stores.of(tenant);
    let look = async {
        if let Some(recorder) = &state.recorder {
            recorder.look(&store, &run).await;
        }
    };
    let (page, ()) = tokio::join!(read_page(&state, tenant, &run, &query, after), look);
    let (spans, next) = page?;
    let cursor = next.map(|next| {
        let start = next.start.as_unix_nanos();
        key.seal(&scope, &format!("{start}.{}", next.span_id))
    });
    Ok(Json(TracePage {
        execution: Execution::from(&run),
        spans,
        page_info: PageInfo {
            has_next_page: cursor.is_some(),
            cursor,
            revision: Some(run.revision),
        },
    }))
}

/// A page's spans, and where the next one begins. One reader for the whole request: however few
/// spans a filter leaves, the chunks are read once.
async fn read_page(
    state: &ApiState,
    tenant: &TenantId,
    run: &Run,
    query: &TraceQuery,
    mut after: Option<SpanPosition>,
) -> Result<(Vec<SpanSummary>, Option<SpanPosition>), Problem> {
    let store = state.stores.of(tenant);
    let mut stored = pin!(store.stream_structure_after(tenant, run.trace_id, after));
    let mut spans = Vec::new();
    let mut bytes = 0;
    let mut read = 0;
    loop {
        let span = stored.try_next().await;
        let span = span.map_err(|error| Problem::of_store("read a trace", &error))?;
        let Some(span) = span else {
            return Ok((spans, None));
        };
        if spans.len() == query.limit || read == MOST_SPANS_READ {
            return Ok((spans, after));
        }
        if query.selects(span.span()) {
            let summary = SpanSummary::new(span.span(), run, query.view);
            bytes += size(&summary)?;
            if bytes > LARGEST_PAGE && !spans.is_empty() {
                return Ok((spans, after));
            }
            spans.push(summary);
        }
        after = Some(span.position());
        read += 1;
    }
}

fn size(summary: &SpanSummary) -> Result<usize, Problem> {
    let json = serde_json::to_vec(summary);
    let json = json.map_err(|error| Problem::internal("write a span", &error))?;
    Ok(json.len())
}

/// Sealed, so that only a fault of ours makes it unreadable.
fn position(text: &str) -> Result<SpanPosition, Problem> {
    let (start, span_id) = text.split_once('.').ok_or_else(Problem::invalid_cursor)?;
    let start = start.parse().map_err(|_| Problem::invalid_cursor())?;
    let span_id = span_id.parse().map_err(|_| Problem::invalid_cursor())?;
    Ok(SpanPosition {
        start: Timestamp::from_unix_nanos(start),
        span_id,
    })
}
