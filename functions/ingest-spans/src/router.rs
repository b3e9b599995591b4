use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::{HeaderName, HeaderValue, StatusCode};
use identity::Caller;
use lambda_process::metrics::{Metric, Route, StatusClass};
use tower_http::catch_panic::CatchPanicLayer;
use trace_model::otlp::Form;
use trace_store::WriteReceipt;
use uuid::Uuid;

use crate::error::IngestError;
use crate::ingest::{Received, receive, store_all};
use crate::{IngestState, answer, body, caller, headers};

/// OTLP's own path.
pub const ROUTE: &str = "/v1/traces";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub fn app(state: IngestState) -> Router {
    Router::new()
        .route(ROUTE, post(take).fallback(take))
        .layer(CatchPanicLayer::custom(answer_panic))
        .with_state(state)
}

/// What a request came to, for the log and the metrics.
#[derive(Default)]
struct Outcome {
    caller: Option<Caller>,
    bytes: usize,
    received: Received,
}

async fn take(State(state): State<IngestState>, request: Request) -> Response {
    let started = state.clock.now();
    let request_id = Uuid::new_v4().to_string();
    let form = headers::form(request.headers());
    // Who sends neither is best told in what people read.
    let answered_in = form.unwrap_or(Form::Json);
    let mut outcome = Outcome::default();
    let ingested = ingest(&state, request, form, &mut outcome).await;
    let mut response = match &ingested {
        Ok(_) => answer::stored(answered_in, &outcome.received.rejected),
        Err(error) => answer::refused(answered_in, error, &request_id),
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let stored = if ingested.is_ok() {
        outcome.received.spans()
    } else {
        0
    };
    let rejected = outcome.received.rejected.len();
    let duration = state.clock.now().since(started);
    let status = response.status();
    let caller = outcome.caller.as_ref();
    tracing::info!(
        request_id,
        route = ROUTE,
        status = status.as_u16(),
        duration_ms = duration.as_millis(),
        tenant = caller.map(|caller| caller.tenant.as_str()),
        subject = caller.map(|caller| caller.subject.as_str()),
        bytes = outcome.bytes,
        spans = stored,
        rejected,
        "answered"
    );
    let mut metrics = state.metrics.batch();
    metrics.add(Metric::RequestDuration(Route(ROUTE)), duration);
    let class = StatusClass::of(status.as_u16());
    metrics.add(Metric::Responses(class), 1_u64);
    match &ingested {
        Ok(receipt) => {
            metrics.add(Metric::SpansReceived, stored);
            metrics.add(Metric::SpansRejected, rejected);
            receipt.report(&mut metrics);
        }
        Err(error) => log_failure(error, &request_id),
    }
    response
}

async fn ingest(
    state: &IngestState,
    request: Request,
    form: Option<Form>,
    outcome: &mut Outcome,
) -> Result<WriteReceipt, IngestError> {
    let (parts, body) = request.into_parts();
    if parts.method != http::Method::POST {
        return Err(IngestError::WrongMethod);
    }
    let caller = caller::authorize(state, &parts.headers, state.clock.now()).await?;
    let tenant = caller.tenant.clone();
    outcome.caller = Some(caller);
    let form = form.ok_or(IngestError::WrongMediaType)?;
    let codings = headers::codings(&parts.headers)?;
    let body = body::read(body).await?;
    outcome.bytes = body.len();
    let policy = state.policy.clone();
    let received = tokio::task::spawn_blocking(move || receive(body, &codings, form, &policy));
    // The panic hook has logged it.
    let received = received.await.map_err(|_| IngestError::Internal)?;
    outcome.received = received?;
    store_all(&state.store, &tenant, &outcome.received).await
}

/// What is this side's fault. The sender's own is in its answer, and in no log.
fn log_failure(error: &IngestError, request_id: &str) {
    let source = std::error::Error::source(error);
    match error.status() {
        StatusCode::SERVICE_UNAVAILABLE => {
            tracing::warn!(request_id, %error, source, "spans were not taken for the moment");
        }
        status if status.is_server_error() => {
            tracing::error!(request_id, %error, source, "spans were not taken");
        }
        _ => {}
    }
}

fn answer_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    answer::refused(Form::Json, &IngestError::Internal, "unknown")
}
