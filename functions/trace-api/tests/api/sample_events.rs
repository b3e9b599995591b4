//! `events/trace-api/`, for `sam local invoke`: as the gateway sends them, through what
//! `lambda_http` makes of them.

use axum::body::Body;
use http::Request;

use crate::support::{Answer, Cloud};

/// With a token that is valid now in place of the sample's.
async fn answer(cloud: &Cloud, event: &str) -> Answer {
    let request = lambda_http::request::from_str(event).unwrap();
    let (mut parts, body) = request.into_parts();
    let token = cloud.full_token("acme").parse().unwrap();
    parts.headers.insert("authorization", token);
    let body = Body::from(body.to_vec());
    cloud.send(Request::from_parts(parts, body)).await
}

#[tokio::test]
async fn list_executions() {
    let cloud = Cloud::start().await;
    let event = include_str!("../../../../events/trace-api/list-executions.json");
    let page = answer(&cloud, event).await.json();
    assert_eq!(page["executions"], serde_json::json!([]));
}

#[tokio::test]
async fn start_execution() {
    let cloud = Cloud::start().await;
    cloud.create_machine("only").await;
    let event = include_str!("../../../../events/trace-api/start-execution.json");
    let started = answer(&cloud, event).await.json();
    assert_eq!(started["id"], "only:run-1");
}

#[tokio::test]
async fn no_such_route() {
    let cloud = Cloud::start().await;
    let event = include_str!("../../../../events/trace-api/no-such-route.json");
    answer(&cloud, event).await.problem(404, "no-such-route");
}
