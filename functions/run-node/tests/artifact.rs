//! The `artifact` node on the embedded store.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use serde_json::{Value, json};
use support::{ARN, Nodes, payload};
use trace_model::{ExecutionArn, SpanKind, TenantId, TraceId};

async fn nodes() -> Nodes {
    Nodes::allowing(&[]).await
}

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn trace_id() -> TraceId {
    TraceId::of_execution(&ExecutionArn::parse(ARN).unwrap())
}

async fn make(nodes: &Nodes, parameters: Value) -> Value {
    let input = json!({"ticket": {"id": "T-7", "body": "5 < 6 & {{ input }}"}});
    let answer = nodes.handle(payload("artifact", parameters, input)).await;
    answer.unwrap()["artifact"].clone()
}

/// Makes an artifact of `parameters`, with its content type and bytes as the store has them.
async fn check(parameters: Value, content_type: &str, bytes: &[u8]) {
    let nodes = nodes().await;
    let artifact = make(&nodes, parameters.clone()).await;
    assert_eq!(artifact["content_type"], content_type, "{parameters}");
    assert_eq!(artifact["bytes"], bytes.len(), "{parameters}");
    let listed = nodes.store.list_artifacts(&acme(), trace_id()).await;
    let listed = listed.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(artifact["id"], listed[0].id);
    assert_eq!(artifact["sha256"], listed[0].sha256);
    let read = nodes
        .store
        .read_artifact(&acme(), trace_id(), &listed[0])
        .await;
    assert_eq!(read.unwrap().unwrap(), bytes, "{parameters}");
}

#[tokio::test]
async fn a_template_is_filled_in_and_escaped_where_it_is_markup() {
    let template = "<p>{{ input.ticket.body }}</p>";
    check(
        json!({"name": "reply.html", "template": template}),
        "text/html; charset=utf-8",
        b"<p>5 &lt; 6 &amp; {{ input }}</p>",
    )
    .await;
    check(
        json!({"name": "drawing.svg", "template": template}),
        "image/svg+xml",
        b"<p>5 &lt; 6 &amp; {{ input }}</p>",
    )
    .await;
    check(
        json!({"name": "reply.md", "template": template}),
        "text/markdown; charset=utf-8",
        b"<p>5 < 6 & {{ input }}</p>",
    )
    .await;
}

#[tokio::test]
async fn text_json_and_bytes_are_stored_as_they_are() {
    check(
        json!({"name": "note", "text": "{{ input.ticket.id }}"}),
        "text/plain; charset=utf-8",
        b"{{ input.ticket.id }}",
    )
    .await;
    check(
        json!({"name": "ticket-{{ input.ticket.id }}", "json": {"b": 1, "a": [true]}}),
        "application/json",
        br#"{"b":1,"a":[true]}"#,
    )
    .await;
    check(
        json!({"name": "raw", "base64": "/wAB"}),
        "application/octet-stream",
        &[0xff, 0, 1],
    )
    .await;
    check(
        json!({"name": "x.md", "content_type": "application/pdf", "base64": ""}),
        "application/pdf",
        &[],
    )
    .await;
}

#[tokio::test]
async fn the_node_s_span_says_what_was_made_and_not_its_bytes() {
    let nodes = nodes().await;
    let parameters = json!({"name": "for ann@example.com now.txt", "template": "Dear {{ input.ticket.id }}: AKIAIOSFODNN7EXAMPLE"});
    let artifact = make(&nodes, parameters).await;
    assert_eq!(artifact["name"], "for ann@example.com now.txt");
    let span = nodes.span(SpanKind::Node).await;
    assert_eq!(span.text("stepscope.artifact.id"), artifact["id"].as_str());
    assert_eq!(
        span.text("stepscope.artifact.sha256"),
        artifact["sha256"].as_str()
    );
    assert_eq!(
        span.int("stepscope.artifact.bytes"),
        artifact["bytes"].as_i64()
    );
    assert_eq!(
        span.text("stepscope.artifact.name"),
        Some("for [REDACTED:email] now.txt")
    );
    let listed = nodes.store.list_artifacts(&acme(), trace_id()).await;
    let listed = listed.unwrap();
    assert_eq!(listed[0].name, "for [REDACTED:email] now.txt");
    assert_eq!(listed[0].span_id, span.span_id);
    for span in nodes.spans().await {
        let shown = format!("{span:?}");
        assert!(!shown.contains("Dear T-7"), "{shown}");
        assert!(!shown.contains("AKIAIOSF"), "{shown}");
    }
    // The workflow's own product is not masked.
    let read = nodes
        .store
        .read_artifact(&acme(), trace_id(), &listed[0])
        .await;
    assert_eq!(read.unwrap().unwrap(), b"Dear T-7: AKIAIOSFODNN7EXAMPLE");
}

#[tokio::test]
async fn hard_case_18_a_second_delivery_makes_the_same_artifact() {
    let nodes = nodes().await;
    let parameters = json!({"name": "reply.txt", "text": "Hello"});
    let first = make(&nodes, parameters.clone()).await;
    let second = make(&nodes, parameters).await;
    assert_eq!(first, second);
    let listed = nodes.store.list_artifacts(&acme(), trace_id()).await;
    assert_eq!(listed.unwrap().len(), 1);
}

async fn check_error(parameters: Value, name: &str, wanted: &str) {
    let nodes = nodes().await;
    let call = payload("artifact", parameters.clone(), json!({"text": "x"}));
    let error = nodes.handle(call).await.unwrap_err();
    assert_eq!(error.name(), name, "{parameters}: {error}");
    assert!(error.to_string().contains(wanted), "{parameters}: {error}");
    let listed = nodes.store.list_artifacts(&acme(), trace_id()).await;
    assert_eq!(listed.unwrap(), []);
}

#[tokio::test]
async fn hard_case_27_a_name_is_a_file_s_name_and_nothing_else() {
    for (name, wanted) in [
        ("", "empty"),
        (" a", "begins or ends with a space"),
        ("a/b", "it is a path"),
        ("a\\b", "it is a path"),
        ("..", "it is a path"),
        ("a\r\nb", "control characters"),
        ("a\u{1b}[31m", "control characters"),
        ("exe.\u{202e}txt", "turn text around"),
        ("x\u{200b}", "turn text around"),
    ] {
        let parameters = json!({"name": name, "text": "x"});
        check_error(parameters, "Node.InvalidParameters", wanted).await;
    }
    let parameters = json!({"name": "x".repeat(201), "text": "x"});
    check_error(parameters, "Node.InvalidParameters", "200 characters").await;
    let parameters = json!({"name": "{{ input.none }}", "text": "x"});
    check_error(parameters, "Node.InvalidTemplate", "input.none").await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_told() {
    const PARAMETERS: &str = "Node.InvalidParameters";
    for (content_type, wanted) in [
        ("html", "no content type"),
        ("text/*", "wildcard"),
        ("text/html; boundary=x", "another parameter"),
        ("text/html\r\nx: y", "no content type"),
        ("text/AKIAIOSFODNN7EXAMPLE", "a secret"),
    ] {
        let parameters = json!({"name": "a", "text": "x", "content_type": content_type});
        check_error(parameters, PARAMETERS, wanted).await;
    }
    let one = "one of template, text, json and base64";
    check_error(json!({"name": "a"}), PARAMETERS, one).await;
    check_error(
        json!({"name": "a", "text": "x", "json": {}}),
        PARAMETERS,
        one,
    )
    .await;
    check_error(json!({"name": "a", "base64": "a-b_"}), PARAMETERS, "base64").await;
    check_error(
        json!({"name": "a", "txt": "x"}),
        PARAMETERS,
        "did you mean \"text\"",
    )
    .await;
    check_error(
        json!({"name": "a", "template": "{{ input.gone }}"}),
        "Node.InvalidTemplate",
        "parameters.template, line 1",
    )
    .await;
    let large = "x".repeat((20 << 20) + 1);
    check_error(
        json!({"name": "a", "text": large}),
        "Artifact.TooLarge",
        "has 20971521 bytes, and an artifact may have 20971520",
    )
    .await;
}

#[tokio::test]
async fn a_store_that_refuses_is_an_error_to_retry_or_catch() {
    let nodes = Nodes::without_bucket().await;
    let parameters = json!({"name": "reply.txt", "text": "Hello"});
    let call = payload("artifact", parameters, Value::Null);
    let error = nodes.handle(call).await.unwrap_err();
    assert_eq!(error.name(), "Node.StoreFailed", "{error}");
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
}
