//! The `http` node against servers of its own on loopback.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures::stream;
use run_node::NodeError;
use serde_json::{Value, json};
use support::{Nodes, serve};
use trace_model::SpanKind;

fn app() -> Router {
    Router::new()
        .route("/json", get(|| async { Json(json!({"order": 5})) }))
        .route("/text", get(|| async { "plain" }))
        .route("/bytes", get(|| async { vec![0xff_u8, 0x00] }))
        .route(
            "/echo",
            any(
                |headers: HeaderMap, uri: axum::http::Uri, body: Bytes| async move {
                    let headers: Value = headers
                        .iter()
                        .map(|(name, value)| {
                            (name.to_string(), value.to_str().unwrap_or("").into())
                        })
                        .collect::<serde_json::Map<_, _>>()
                        .into();
                    let body = String::from_utf8_lossy(&body).into_owned();
                    Json(json!({"headers": headers, "query": uri.query(), "body": body}))
                },
            ),
        )
        .route(
            "/missing",
            get(|| async { (StatusCode::NOT_FOUND, "no such order") }),
        )
        .route(
            "/redirect",
            get(|| async {
                (
                    StatusCode::FOUND,
                    [(header::LOCATION, "http://127.0.0.1:1/")],
                )
            }),
        )
        .route(
            "/endless",
            get(|| async {
                let chunks =
                    stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 4096])));
                Body::from_stream(chunks)
            }),
        )
        .route(
            "/drip",
            get(|| async {
                let drops = stream::unfold((), |()| async {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
                });
                Body::from_stream(drops)
            }),
        )
        .route(
            "/silent",
            get(|| async { std::future::pending::<()>().await }),
        )
        .route("/form", post(|body: String| async move { body }))
        .route(
            "/deep",
            get(|| async {
                (
                    [(header::CONTENT_TYPE, "application/json")],
                    "[".repeat(10_000),
                )
            }),
        )
}

struct Server {
    nodes: Nodes,
    base: String,
}

async fn server() -> Server {
    let address = serve(app()).await;
    Server {
        nodes: Nodes::allowing(&[address]).await,
        base: format!("http://{address}"),
    }
}

impl Server {
    async fn request(&self, path: &str, mut parameters: Value) -> Result<Value, NodeError> {
        parameters["url"] = format!("{}{path}", self.base).into();
        self.nodes.run("http", parameters, Value::Null).await
    }

    async fn check_error(&self, path: &str, parameters: Value, name: &str, wanted: &str) {
        let error = self.request(path, parameters).await.unwrap_err();
        assert_eq!(error.name(), name, "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn a_response_is_status_headers_and_body() {
    let server = server().await;
    let answer = server.request("/json", json!({})).await.unwrap();
    assert_eq!(answer["status"], 200);
    assert_eq!(answer["headers"]["content-type"], "application/json");
    assert_eq!(answer["body"], json!({"order": 5}));
    let answer = server.request("/text", json!({})).await.unwrap();
    assert_eq!(answer["body"], "plain");
    let answer = server.request("/bytes", json!({})).await.unwrap();
    assert_eq!(answer["body_base64"], "/wA=");
    assert!(answer.get("body").is_none());
    let answer = server.request("/deep", json!({})).await.unwrap();
    assert_eq!(
        answer["body"].as_str().unwrap().len(),
        10_000,
        "what is not JSON stays text"
    );
}

#[tokio::test]
async fn a_request_carries_method_headers_query_body_and_the_span_s_traceparent() {
    let server = server().await;
    let parameters = json!({
        "method": "put", "headers": {"X-Order": "5"}, "query": {"q": "a b", "n": [1, 2], "none": null},
        "body": {"a": 1},
    });
    let answer = server.request("/echo", parameters).await.unwrap();
    let seen = &answer["body"];
    assert_eq!(seen["query"], "n=1&n=2&q=a+b");
    assert_eq!(seen["body"], r#"{"a":1}"#);
    assert_eq!(seen["headers"]["x-order"], "5");
    assert_eq!(seen["headers"]["content-type"], "application/json");
    let spans = server.nodes.spans().await;
    let span = spans
        .iter()
        .find(|span| span.kind == SpanKind::Http)
        .unwrap();
    let sent = format!("00-{}-{}-01", span.trace_id, span.span_id);
    assert_eq!(seen["headers"]["traceparent"], sent);
    assert_eq!(span.name, "PUT 127.0.0.1");
    assert_eq!(span.int("http.response.status_code"), Some(200));
    assert_eq!(
        span.content["http.request.body"].as_text(),
        Some(r#"{"a":1}"#)
    );
    assert!(span.content.contains_key("http.response.body"));
    let node = spans
        .iter()
        .find(|span| span.kind == SpanKind::Node)
        .unwrap();
    assert_eq!(span.parent_span_id, Some(node.span_id));
    assert_eq!(node.text("workflow.node.kind"), Some("http"));
}

#[tokio::test]
async fn a_status_that_is_not_accepted_is_an_error_with_its_name() {
    let server = server().await;
    server
        .check_error("/missing", json!({}), "Http.Status404", "no such order")
        .await;
    server
        .check_error(
            "/redirect",
            json!({}),
            "Http.Status302",
            "redirect to http://127.0.0.1:1/",
        )
        .await;
    server
        .check_error(
            "/json",
            json!({"accept_status": [201]}),
            "Http.Status200",
            "200",
        )
        .await;
    let answer = server
        .request("/missing", json!({"accept_status": [404]}))
        .await
        .unwrap();
    assert_eq!(answer["status"], 404);
}

#[tokio::test]
async fn hard_case_28_a_response_is_bounded_in_size_and_time() {
    let server = server().await;
    server
        .check_error("/endless", json!({}), "Http.ResponseTooLarge", "1048576")
        .await;
    server
        .check_error(
            "/text",
            json!({"max_response_bytes": 4}),
            "Http.ResponseTooLarge",
            "4 bytes",
        )
        .await;
    let short = json!({"timeout_seconds": 0.15});
    server
        .check_error("/drip", short.clone(), "Http.Timeout", "/drip")
        .await;
    server
        .check_error("/silent", short, "Http.Timeout", "/silent")
        .await;
}

#[tokio::test]
async fn the_function_s_deadline_bounds_a_request_too() {
    let server = server().await;
    let parameters = json!({"url": format!("{}/silent", server.base)});
    let error = server
        .nodes
        .run_until(Duration::from_millis(300), "http", parameters)
        .await
        .unwrap_err();
    assert_eq!(error.name(), "Http.Timeout");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failed_connection() {
    let address = support::unused_address().await;
    let nodes = Nodes::allowing(&[address]).await;
    let parameters = json!({"url": format!("http://{address}/")});
    let error = nodes
        .run("http", parameters, Value::Null)
        .await
        .unwrap_err();
    assert_eq!(error.name(), "Http.ConnectionFailed", "{error}");
}

#[tokio::test]
async fn hard_case_28_no_spelling_of_a_private_address_is_reached() {
    let address = serve(app()).await;
    let nodes = Nodes::allowing(&[]).await;
    let port = address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "127.0.0.1.",
        "①②⑦.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "169.254.170.2",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let parameters = json!({"url": format!("http://{host}:{port}/json"), "timeout_seconds": 5});
        let error = nodes
            .run("http", parameters, Value::Null)
            .await
            .unwrap_err();
        assert_eq!(error.name(), "Http.AddressRefused", "{host}: {error}");
    }
}

#[tokio::test]
async fn hard_case_28_an_exception_is_exactly_one_host_and_port() {
    let (one, other) = (serve(app()).await, serve(app()).await);
    let nodes = Nodes::allowing(&[one]).await;
    let request = |host: String| {
        nodes.run(
            "http",
            json!({"url": format!("http://{host}/json")}),
            Value::Null,
        )
    };
    assert!(request(one.to_string()).await.is_ok());
    assert_eq!(
        request(other.to_string()).await.unwrap_err().name(),
        "Http.AddressRefused"
    );
    let by_name = request(format!("localhost:{}", one.port())).await;
    assert_eq!(by_name.unwrap_err().name(), "Http.AddressRefused");
}

#[tokio::test]
async fn hard_case_28_only_http_without_credentials_is_requested() {
    let nodes = Nodes::allowing(&[]).await;
    for (parameters, field) in [
        (json!({"url": "file:///etc/passwd"}), "parameters.url"),
        (
            json!({"url": "gopher://127.0.0.1:6379/_FLUSHALL"}),
            "parameters.url",
        ),
        (json!({"url": "ftp://example.com/"}), "parameters.url"),
        (
            json!({"url": "https://user:pass@example.com/"}),
            "parameters.url",
        ),
        (json!({"url": "/relative"}), "parameters.url"),
        (
            json!({"url": "http://example.com/", "method": "CONNECT"}),
            "parameters.method",
        ),
        (
            json!({"url": "http://example.com/", "method": "GET /x"}),
            "parameters.method",
        ),
        (
            json!({"url": "http://example.com/", "headers": {"Host": "127.0.0.1"}}),
            "parameters.headers.Host",
        ),
        (
            json!({"url": "http://example.com/", "headers": {"Transfer-Encoding": "chunked"}}),
            "parameters.headers.Transfer-Encoding",
        ),
        (
            json!({"url": "http://example.com/", "headers": {"X-A": "a\r\nX-B: b"}}),
            "parameters.headers.X-A",
        ),
        (
            json!({"url": "http://example.com/", "headers": {"a b": "c"}}),
            "parameters.headers.a b",
        ),
        (
            json!({"url": "http://example.com/", "timeout_seconds": -1}),
            "parameters.timeout_seconds",
        ),
        (
            json!({"url": "http://example.com/", "max_response_bytes": 1_000_000_000}),
            "parameters.max_response_bytes",
        ),
        (
            json!({"url": "http://example.com/", "query": {"a": {}}}),
            "parameters.query.a",
        ),
        (
            json!({"url": "http://example.com/", "querry": {}}),
            "did you mean \"query\"",
        ),
    ] {
        let error = nodes
            .run("http", parameters.clone(), Value::Null)
            .await
            .unwrap_err();
        assert_eq!(
            error.name(),
            "Node.InvalidParameters",
            "{parameters}: {error}"
        );
        assert!(error.to_string().contains(field), "{parameters}: {error}");
    }
}

#[tokio::test]
async fn what_is_no_node_says_what_there_is() {
    let nodes = Nodes::allowing(&[]).await;
    for (payload, name, wanted) in [
        (json!(null), "Node.InvalidPayload", "no field \"node\""),
        (
            json!({"parameters": {}}),
            "Node.InvalidPayload",
            "no field \"node\"",
        ),
        (json!({"node": 5}), "Node.InvalidPayload", "a number"),
        (
            json!({"node": "lmm"}),
            "Node.UnknownKind",
            "did you mean \"llm\"?; there are: llm, http",
        ),
        (
            json!({"node": "HTTP"}),
            "Node.UnknownKind",
            "did you mean \"http\"?",
        ),
        (
            json!({"node": "email"}),
            "Node.UnknownKind",
            "\"email\"; there are: llm, http",
        ),
        (
            json!({"node": "http"}),
            "Node.InvalidParameters",
            "expected an object, found nothing",
        ),
        (
            json!({"node": "http", "parameters": {}}),
            "Node.InvalidParameters",
            "missing field `url`",
        ),
    ] {
        let error = nodes.handle(payload.clone()).await.unwrap_err();
        assert_eq!(error.name(), name, "{payload}: {error}");
        assert!(error.to_string().contains(wanted), "{payload}: {error}");
    }
}
