use axum::Json;
use axum::extract::{Path, RawQuery, State};
use identity::Scope;
use trace_model::SpanId;
use trace_store::StoreError;

use super::LARGEST_PAGE;
use super::executions::{NoQuery, find_run};
use crate::ApiState;
use crate::caller::{Authorized, TracesRead};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::wire::{Omitted, SpanDetail};

/// Read a span
///
/// All attributes, events and links. Bodies (prompts, responses, inputs, outputs) are there
/// for a token that has `content:read` too.
#[utoipa::path(
    get,
    path = "/executions/{id}/trace/spans/{span_id}",
    tag = "executions",
    params(
        ("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id"),
        ("span_id" = String, Path, description = "16 hex digits"),
    ),
    responses((status = OK, body = SpanDetail)),
    security(("bearer" = ["traces:read", "content:read"])),
)]
pub(crate) async fn get_span(
    authorized: Authorized<TracesRead>,
    State(state): State<ApiState>,
    Path((id, span_id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<SpanDetail>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let caller = &authorized.caller;
    let run = find_run(&state, &caller.tenant, &id).await?;
    let span_id: SpanId = span_id.parse().map_err(|_| Problem::not_found("span"))?;
    let store = state.stores.of(&caller.tenant);
    let span = store
        .read_span(&caller.tenant, run.trace_id, span_id)
        .await
        .map_err(|error| Problem::of_store("read a span", &error))?
        .ok_or_else(|| Problem::not_found("span"))?;
    let mut detail = SpanDetail::new(span.span(), &run);
    let may_read_content = caller.scopes.contains(Scope::ContentRead);
    let mut bytes: u64 = 0;
    for (field, content) in &mut detail.content {
        if !may_read_content {
            content.omitted = Some(Omitted::MissingScope);
            continue;
        }
        // Escapes make JSON of a text longer: half of what Lambda carries is left for them.
        if bytes + content.bytes() > LARGEST_PAGE as u64 / 2 {
            content.omitted = Some(Omitted::TooLarge);
            continue;
        }
        bytes += content.bytes();
        let read = store
            .read_content(&caller.tenant, run.trace_id, &span, field)
            .await;
        match read {
            Ok(text) => content.body = Some(text),
            Err(StoreError::ContentGone { .. } | StoreError::NoSuchField { .. }) => {
                content.omitted = Some(Omitted::Gone);
            }
            Err(error) => return Err(Problem::of_store("read a span's content", &error)),
        }
    }
    if may_read_content {
        tracing::info!(
            tenant = caller.tenant.as_str(),
            subject = caller.subject,
            trace_id = %run.trace_id,
            %span_id,
            "content was read"
        );
    }
    Ok(Json(detail))
}
