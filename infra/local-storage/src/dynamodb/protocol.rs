//! AWS JSON 1.0 on both doors: the SDK's connector in this process, and `POST /` for others.

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use axum::routing::any;
use http_body_util::BodyExt;

use super::EmbeddedDynamoDb;
use super::dispatch::{self, Answer, Effect};
use crate::LocalStorageError;
use crate::in_process::in_process_client;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const TARGET_PREFIX: &str = "DynamoDB_20120810.";
/// DynamoDB's own limit of a request, in bytes.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

pub(super) fn http_client(database: EmbeddedDynamoDb) -> SharedHttpClient {
    in_process_client("dynamodb", move |request| {
        let database = database.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let answer = answer(&database, &parts.headers, body).await?;
            Ok(response(answer)?.map(SdkBody::from))
        })
    })
}

/// `access_key_id` is the one that requests must be signed for. The signature itself is not
/// verified: this door is for loopback, and the key only tells a stray program from ours.
pub(super) fn router(database: EmbeddedDynamoDb, access_key_id: &str) -> Router {
    let door = Door {
        database,
        credential: format!("Credential={access_key_id}/"),
    };
    Router::new()
        .route("/", any(serve))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(door)
}

#[derive(Clone)]
struct Door {
    database: EmbeddedDynamoDb,
    credential: String,
}

async fn serve(
    State(door): State<Door>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response<String> {
    let answered = if method != Method::POST {
        Ok(failure(
            StatusCode::NOT_FOUND,
            "UnknownOperationException",
            "send DynamoDB's requests with POST",
        ))
    } else if !authorization(&headers).contains(&door.credential) {
        Ok(failure(
            StatusCode::BAD_REQUEST,
            "UnrecognizedClientException",
            "the request is not signed with the access key of this local cloud",
        ))
    } else {
        answer(&door.database, &headers, body).await
    };
    answered
        .or_else(|error| {
            tracing::error!(%error, "the embedded DynamoDB cannot answer");
            Ok(failure(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
                &error.to_string(),
            ))
        })
        .and_then(response)
        .unwrap_or_else(|_: http::Error| Response::new(String::new()))
}

fn authorization(headers: &HeaderMap) -> &str {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

async fn answer(
    database: &EmbeddedDynamoDb,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Answer, LocalStorageError> {
    let operation = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.strip_prefix(TARGET_PREFIX))
        .filter(|operation| dispatch::is_known(operation));
    let Some(operation) = operation.map(str::to_owned) else {
        return Ok(dispatch::unknown_operation());
    };
    let answer = database
        .run(move |tables| dispatch::answer(tables, &operation, &body))
        .await?;
    if answer.effect == Effect::MayHaveWritten {
        database.announce_write();
    }
    Ok(answer)
}

fn failure(status: StatusCode, kind: &str, message: &str) -> Answer {
    let body = serde_json::json!({ "__type": format!("com.amazon.coral.service#{kind}"), "message": message });
    Answer {
        status: status.as_u16(),
        body: body.to_string(),
        effect: Effect::ReadOnly,
    }
}

fn response(answer: Answer) -> Result<Response<String>, http::Error> {
    Response::builder()
        .status(answer.status)
        .header(header::CONTENT_TYPE, CONTENT_TYPE)
        .header("x-amzn-requestid", uuid::Uuid::new_v4().to_string())
        .body(answer.body)
}
