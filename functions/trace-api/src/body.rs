//! Request bodies, read strictly.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use crate::problem::{Problem, ProblemKind};

/// A JSON object; no body at all is an empty one.
pub(crate) fn read_body<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Problem> {
    let body = body.map_err(|_| {
        let detail = "the body is larger than this route takes: 1 MB";
        Problem::new(ProblemKind::BodyTooLarge, detail)
    })?;
    if body.is_empty() {
        return parse(b"{}");
    }
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_json = media_type
        .and_then(|media_type| media_type.split(';').next())
        .is_some_and(|essence| {
            let essence = essence.trim();
            essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
        });
    if !is_json {
        let detail = "send the body with content-type: application/json";
        return Err(Problem::new(ProblemKind::WrongMediaType, detail));
    }
    // Without this an array would pass for the object's fields in their order.
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        let detail = "the body is not what this route takes: expected a JSON object";
        return Err(Problem::new(ProblemKind::InvalidBody, detail));
    }
    parse(&body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body is not what this route takes: {error}");
        Problem::new(ProblemKind::InvalidBody, detail)
    })
}
