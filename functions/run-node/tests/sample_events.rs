//! `events/run-node/`, for `sam local invoke`, by the real handler.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use axum::extract::RawQuery;
use axum::routing::{get, post};
use axum::{Json, Router};
use run_node::ModelSettings;
use serde_json::{Value, json};
use support::{Nodes, serve};
use trace_model::SpanKind;

fn event(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/run-node");
    let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn llm_classify() {
    let chunks = [
        json!({"choices": [{"index": 0, "delta": {"content": "{\"category\":\"billing\"}"}}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}}),
    ];
    let chunks = chunks.map(|chunk| format!("data: {chunk}\n\n")).concat();
    let answer = async || {
        (
            [("content-type", "text/event-stream")],
            chunks + "data: [DONE]\n\n",
        )
    };
    let address = serve(Router::new().route("/v1/chat/completions", post(answer))).await;
    let nodes = Nodes::with_models(ModelSettings {
        base_url: Some(format!("http://{address}/v1/").parse().unwrap()),
        ..ModelSettings::default()
    })
    .await;
    let result = nodes.handle(event("llm-classify")).await.unwrap();
    assert_eq!(result["json"], json!({"category": "billing"}));
    let node = nodes.span(SpanKind::Node).await;
    assert_eq!(
        node.trace_id.to_string(),
        "4ecdd192b5a66cf85ab95b4de6ae7a71"
    );
}

/// With a server on loopback in place of the one that is named.
#[tokio::test]
async fn http_get() {
    let customers = async |RawQuery(query): RawQuery| Json(json!({"asked": query}));
    let address = serve(Router::new().route("/customers", get(customers))).await;
    let mut event = event("http-get");
    let url = event["parameters"]["url"].as_str().unwrap();
    let local = url.replace("https://api.example.com", &format!("http://{address}"));
    event["parameters"]["url"] = json!(local);
    let nodes = Nodes::allowing(&[address]).await;
    let result = nodes.handle(event).await.unwrap();
    assert_eq!(result["body"], json!({"asked": "email=dana%40example.com"}));
}

#[tokio::test]
async fn unknown_node() {
    let nodes = Nodes::allowing(&[]).await;
    let error = nodes.handle(event("unknown-node")).await.unwrap_err();
    assert_eq!(error.name(), "Node.UnknownKind");
}

#[test]
fn each_sample_has_its_test() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/run-node");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["http-get.json", "llm-classify.json", "unknown-node.json"]
    );
}
