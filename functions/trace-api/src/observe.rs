//! Around every request: its id, its line in the log, its metrics, and the form of its errors.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use http::header::HeaderName;
use lambda_process::metrics::{Metric, Route, StatusClass};
use tracing::Instrument;
use uuid::Uuid;

use crate::ApiState;
use crate::caller::CallerSlot;
use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are replaced: the id is copied into logs and answers.
const LONGEST_REQUEST_ID: usize = 128;

pub(crate) async fn observe(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = state.clock.now();
    let request_id = request_id(&request);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let slot = CallerSlot::default();
    request.extensions_mut().insert(slot.clone());
    let span = tracing::info_span!("request", request_id);
    let response = next.run(request).instrument(span).await;
    let mut response = Problem::finish(response, &request_id);
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let took = state.clock.now().since(started);
    let status = response.status().as_u16();
    let mut batch = state.metrics.batch();
    batch.add(Metric::RequestDuration(Route(&route)), took);
    batch.add(Metric::Responses(StatusClass::of(status)), 1_u64);
    let caller = slot.0.get();
    tracing::info!(
        request_id,
        method = method.as_str(),
        route,
        status,
        duration_ms = took.as_millis(),
        tenant = caller.map(|caller| caller.tenant.as_str()),
        subject = caller.map(|caller| caller.subject.as_str()),
        "answered"
    );
    response
}

/// The caller's own, when it is short and plain; else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID);
    given
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            !id.is_empty()
                && id.len() <= LONGEST_REQUEST_ID
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        })
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}
