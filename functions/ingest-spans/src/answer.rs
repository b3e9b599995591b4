//! Answers in OTLP's words: the response's type is the request's.

use std::fmt::Write as _;

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use prost::Message as _;
use serde_json::json;
use trace_model::otlp::{
    ExportTracePartialSuccess, ExportTraceServiceResponse, Form, Rejected, RejectedReason,
};

use crate::error::IngestError;

/// Longer than a throttled table needs; senders wait longer each time by themselves.
const SECONDS_TO_WAIT: u16 = 5;

/// `google.rpc.Status`, as far as OTLP uses it.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// All that was not rejected is stored. Without a rejected span nothing is said, as the protocol
/// wants it.
pub(crate) fn stored(form: Form, rejected: &[Rejected]) -> Response {
    let partial_success = (!rejected.is_empty()).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(rejected.len()).unwrap_or(i64::MAX),
        error_message: reasons(rejected),
    });
    let body = match form {
        Form::Protobuf => ExportTraceServiceResponse { partial_success }.encode_to_vec(),
        Form::Json => match partial_success {
            // Protobuf's JSON writes 64-bit integers as text.
            Some(partial) => json!({"partialSuccess": {
                "rejectedSpans": partial.rejected_spans.to_string(),
                "errorMessage": partial.error_message,
            }})
            .to_string()
            .into_bytes(),
            None => b"{}".to_vec(),
        },
    };
    answer(StatusCode::OK, form, body)
}

/// Only what may succeed later says when to try again.
pub(crate) fn refused(form: Form, error: &IngestError, request_id: &str) -> Response {
    let mut message = error.to_string();
    if error.status().is_server_error() {
        // Writing to a string does not fail.
        let _ = write!(message, " (request {request_id})");
    }
    let code = error.code();
    let body = match form {
        Form::Protobuf => Status { code, message }.encode_to_vec(),
        Form::Json => json!({"code": code, "message": message})
            .to_string()
            .into_bytes(),
    };
    let mut response = answer(error.status(), form, body);
    let headers = response.headers_mut();
    if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from(SECONDS_TO_WAIT));
    }
    match error {
        IngestError::Authentication(error) if !error.is_unavailable() => {
            let challenge = HeaderValue::from_static(error.challenge());
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        IngestError::MissingScope(missing) => {
            if let Ok(challenge) = HeaderValue::from_str(&missing.challenge()) {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
        }
        IngestError::WrongMethod => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    response
}

fn answer(status: StatusCode, form: Form, body: Vec<u8>) -> Response {
    let media_type = match form {
        Form::Protobuf => "application/x-protobuf",
        Form::Json => "application/json",
    };
    let media_type = HeaderValue::from_static(media_type);
    (status, [(CONTENT_TYPE, media_type)], body).into_response()
}

/// How many for which reason, and the first span of each. Ids only: nothing that a span says.
fn reasons(rejected: &[Rejected]) -> String {
    let of = |reason: RejectedReason| {
        let mut such = rejected.iter().filter(move |one| one.reason == reason);
        let first = such.next()?;
        let count = 1 + such.count();
        Some(format!(
            "{count} rejected because {reason} (the first: trace id {:?}, span id {:?})",
            first.trace_id, first.span_id
        ))
    };
    let reasons: Vec<_> = RejectedReason::ALL.into_iter().filter_map(of).collect();
    reasons.join("; ")
}
