//! The web service of the examples: a customer file, a status page, and end points that are
//! flaky, missing or slow on purpose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// How often each caller's key has been refused so far.
type Refusals = Arc<Mutex<HashMap<String, u32>>>;

/// Keys remembered at most; the oldest callers no longer matter then.
const MOST_KEYS: usize = 10_000;

pub(super) fn router() -> Router {
    Router::new()
        .route("/customers", get(customers))
        .route("/status", get(status))
        .route("/flaky-profile", get(flaky_profile))
        .route("/geocode", get(geocode))
        .route("/companies/{company}", get(company))
        .route("/slow-score", post(slow_score))
        .with_state(Refusals::default())
}

#[derive(Deserialize)]
struct CustomerQuery {
    email: String,
}

async fn customers(Query(query): Query<CustomerQuery>) -> Response {
    if !query.email.ends_with("@example.com") {
        return missing("no customer with this address");
    }
    Json(json!({
        "customer": "C-2207",
        "plan": "Team",
        // Text: engines differ in whether a number that JSONata passed on keeps its cents.
        "open_invoices": [{"number": "2026-11-0042", "amount_usd": "49.00", "payments": 2}],
    }))
    .into_response()
}

async fn status() -> Json<Value> {
    Json(json!({"status": "operational", "incidents": []}))
}

#[derive(Deserialize)]
struct FlakyQuery {
    key: String,
    failures: u32,
}

/// Answers 503 to the first `failures` calls with a key, then works.
async fn flaky_profile(
    State(refusals): State<Refusals>,
    Query(query): Query<FlakyQuery>,
) -> Response {
    let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
    if refusals.len() >= MOST_KEYS {
        refusals.clear();
    }
    let refused = refusals.entry(query.key).or_default();
    if *refused < query.failures {
        *refused += 1;
        let body = json!({"error": "the profile service is starting"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    Json(json!({"profile": {"industry": "tools", "employees": 120, "calls_refused": *refused}}))
        .into_response()
}

#[derive(Deserialize)]
struct GeocodeQuery {
    city: String,
}

/// Slow enough that the branch beside it fails first.
async fn geocode(Query(query): Query<GeocodeQuery>) -> Json<Value> {
    tokio::time::sleep(Duration::from_millis(700)).await;
    Json(json!({"city": query.city, "latitude": 38.72, "longitude": -9.14}))
}

async fn company(Path(company): Path<String>) -> Response {
    missing(&format!("no record of {company:?}"))
}

/// Slower than the example waits.
async fn slow_score() -> Json<Value> {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    Json(json!({"score": 71}))
}

fn missing(reason: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": reason}))).into_response()
}
