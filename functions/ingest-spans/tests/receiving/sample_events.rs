//! `events/ingest-spans/`, for `sam local invoke`: as the gateway sends them, through what
//! `lambda_http` makes of them.

use axum::body::Body;
use http::{Request, StatusCode};
use identity::Scope;

use crate::support::{Answer, Cloud, trace_id};

/// With a key that is valid now in place of the sample's.
async fn answer(cloud: &Cloud, event: &str) -> Answer {
    let request = lambda_http::request::from_str(event).unwrap();
    let (mut parts, body) = request.into_parts();
    let (key, _) = cloud.api_key("acme", Scope::TracesWrite).await;
    parts.headers.insert("x-api-key", key.parse().unwrap());
    let body = Body::from(body.to_vec());
    cloud.send(Request::from_parts(parts, body)).await
}

#[tokio::test]
async fn one_model_call_in_json() {
    let cloud = Cloud::start().await;
    let event = include_str!("../../../../events/ingest-spans/model-call.json");
    let answer = answer(&cloud, event).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), serde_json::json!({}));
    let run = cloud.summarised_run("acme", trace_id()).await.unwrap();
    assert_eq!(run.totals.unwrap().input_tokens, 412);
}

#[tokio::test]
async fn packed_protobuf() {
    let cloud = Cloud::start().await;
    let event = include_str!("../../../../events/ingest-spans/packed-protobuf.json");
    answer(&cloud, event).await.assert_all_stored();
    let structure = cloud.structure("acme", trace_id()).await;
    assert_eq!(structure.spans[0].span().name, "fetch the order");
}

#[tokio::test]
async fn a_key_that_nobody_knows() {
    let cloud = Cloud::start().await;
    let event = include_str!("../../../../events/ingest-spans/model-call.json");
    let request = lambda_http::request::from_str(event).unwrap();
    let (parts, body) = request.into_parts();
    let body = Body::from(body.to_vec());
    let answer = cloud.send(Request::from_parts(parts, body)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.json()["code"], 16);
}
