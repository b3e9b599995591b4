use axum::Json;
use axum::extract::{Path, RawQuery, State};
use trace_model::SpanId;
use trace_store::StoreError;
use utoipa::IntoParams;

use super::executions::find_run;
use crate::ApiState;
use crate::caller::{Authorized, ContentRead};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::wire::ContentPage;

/// Escapes make JSON of a text up to six times as long: a part stays below what Lambda carries.
const LARGEST_PART: usize = 500_000;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ContentQuery {
    /// Where the part begins, in bytes: 0, or the `next_offset` of the part before.
    #[param(value_type = Option<u64>, default = 0)]
    offset: u64,
    /// The most bytes of text: 4 to 500000.
    #[param(value_type = Option<u32>, minimum = 4, maximum = 500_000, default = 500_000)]
    limit: usize,
}

impl ContentQuery {
    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let limit = parameters.limit(LARGEST_PART, LARGEST_PART)?;
        // The longest character of UTF-8: less could never get past it.
        if limit < 4 {
            return Err(Problem::invalid_query(
                "limit is too small: give a whole number from 4 to 500000",
            ));
        }
        Ok(Self {
            offset: parameters.count("offset")?.unwrap_or_default(),
            limit,
        })
    }
}

/// Read a body
///
/// A prompt, response, input or output, a part at a time, masked. Who read it is logged.
#[utoipa::path(
    get,
    path = "/executions/{id}/trace/spans/{span_id}/content/{field}",
    tag = "executions",
    params(
        ("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id"),
        ("span_id" = String, Path, description = "16 hex digits"),
        ("field" = String, Path, description = "A name in the span's `content`, percent-encoded"),
        ContentQuery,
    ),
    responses((status = OK, body = ContentPage)),
    security(("bearer" = ["content:read"])),
)]
pub(crate) async fn get_content(
    authorized: Authorized<ContentRead>,
    State(state): State<ApiState>,
    Path((id, span_id, field)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<ContentPage>, Problem> {
    let caller = &authorized.caller;
    let parameters = Parameters::read::<ContentQuery>(query.as_deref())?;
    let query = ContentQuery::read(&parameters)?;
    let run = find_run(&state, &caller.tenant, &id).await?;
    let span_id: SpanId = span_id.parse().map_err(|_| Problem::not_found("span"))?;
    let store = state.stores.of(&caller.tenant);
    let span = store
        .read_span(&caller.tenant, run.trace_id, span_id)
        .await
        .map_err(|error| Problem::of_store("read a span", &error))?
        .ok_or_else(|| Problem::not_found("span"))?;
    let body = store.read_content(&caller.tenant, run.trace_id, &span, &field);
    let body = body.await.map_err(|error| match error {
        StoreError::ContentGone { .. } | StoreError::NoSuchField { .. } => {
            Problem::not_found("body")
        }
        error => Problem::of_store("read a span's content", &error),
    })?;
    let (part, next_offset) = part_of(&body, query.offset, query.limit).ok_or_else(|| {
        Problem::invalid_query(format!(
            "offset is not where a part of these {} bytes begins: take it from next_offset",
            body.len()
        ))
    })?;
    tracing::info!(
        tenant = caller.tenant.as_str(),
        subject = caller.subject,
        trace_id = %run.trace_id,
        %span_id,
        field,
        "content was read"
    );
    Ok(Json(ContentPage {
        span_id: span_id.to_string(),
        bytes: body.len() as u64,
        offset: query.offset,
        text: part.to_owned(),
        next_offset,
        field,
    }))
}

/// From the offset on as many whole characters as fit; and where the rest begins.
fn part_of(body: &str, offset: u64, limit: usize) -> Option<(&str, Option<u64>)> {
    let rest = body.get(usize::try_from(offset).ok()?..)?;
    let part = &rest[..rest.floor_char_boundary(limit)];
    let next = (part.len() < rest.len()).then_some(offset + part.len() as u64);
    Some((part, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(offset: u64, limit: usize, expected: Option<(&str, Option<u64>)>) {
        assert_eq!(part_of("aé🙂b", offset, limit), expected);
    }

    #[test]
    fn parts_are_cut_between_characters() {
        check(0, 100, Some(("aé🙂b", None)));
        check(0, 4, Some(("aé", Some(3))));
        check(3, 4, Some(("🙂", Some(7))));
        check(7, 4, Some(("b", None)));
        check(8, 4, Some(("", None)));
        check(2, 4, None);
        check(9, 4, None);
        check(u64::MAX, 4, None);
    }

    #[test]
    fn the_parts_are_the_whole() {
        for limit in 4..12 {
            let (mut whole, mut offset) = (String::new(), Some(0));
            while let Some(at) = offset {
                let (part, next) = part_of("aé🙂b, dört 漢字 🙂🙂", at, limit).unwrap();
                whole += part;
                offset = next;
            }
            assert_eq!(whole, "aé🙂b, dört 漢字 🙂🙂");
        }
    }
}
