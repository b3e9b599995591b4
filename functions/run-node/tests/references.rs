//! Values beyond a state's limit, by reference, as all nodes share it.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use axum::http::header;
use axum::routing::{get, post};
use axum::{Json, Router};
use run_node::{ModelSettings, NodeError};
use serde_json::{Value, json};
use support::{ARN, Nodes, payload, serve};
use trace_model::{ExecutionArn, SpanKind, TenantId, TraceId};

const STATE_LIMIT: usize = 262_144;

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn trace_id() -> TraceId {
    TraceId::of_execution(&ExecutionArn::parse(ARN).unwrap())
}

fn words(bytes: usize) -> String {
    "many words, ".repeat(bytes / 12 + 1)[..bytes].to_owned()
}

fn app() -> Router {
    let json = [(header::CONTENT_TYPE, "application/json")];
    Router::new()
        .route("/text/{bytes}", get(|axum::extract::Path(bytes): axum::extract::Path<usize>| async move { words(bytes) }))
        .route("/json", get(move || async move {
            (json, json!({"words": words(300_000), "next": 2}).to_string())
        }))
        .route("/bytes", get(|| async { vec![0xff_u8; 300_000] }))
        .route("/length", post(|body: String| async move { Json(json!({"length": body.len()})) }))
        .route(
            "/model/v1/chat/completions",
            post(|Json(request): Json<Value>| async move {
                let asked = request["messages"][0]["content"].as_str().unwrap().len();
                let text = if asked > 1000 { format!("read {asked}") } else { words(400_000) };
                Json(json!({
                    "id": "1", "object": "chat.completion", "model": "m",
                    "choices": [{"index": 0, "finish_reason": "stop",
                        "message": {"role": "assistant", "content": text}}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                }))
            }),
        )
}

struct Server {
    nodes: Nodes,
    base: String,
}

async fn server() -> Server {
    let address = serve(app()).await;
    let base = format!("http://{address}");
    let models = ModelSettings {
        base_url: Some(format!("{base}/model/v1/").parse().unwrap()),
        ..ModelSettings::default()
    };
    Server {
        nodes: Nodes::allowing_with(&[address], models).await,
        base,
    }
}

impl Server {
    async fn get(&self, path: &str) -> Value {
        let parameters = json!({"url": format!("{}{path}", self.base)});
        self.run("http", parameters, Value::Null).await.unwrap()
    }

    async fn run(&self, node: &str, parameters: Value, input: Value) -> Result<Value, NodeError> {
        let answer = self.nodes.handle(payload(node, parameters, input)).await;
        if let Ok(answer) = &answer {
            let bytes = answer.to_string().len();
            assert!(bytes + 8_192 < STATE_LIMIT, "{bytes} bytes");
        }
        answer
    }

    /// What a reference stands for, as the next node sees it.
    async fn resolved(&self, reference: &Value) -> Value {
        let parameters = json!({"name": "seen", "json": {"value": reference}});
        self.run("artifact", parameters, Value::Null).await.unwrap();
        let store = &self.nodes.store;
        let listed = store.list_artifacts(&acme(), trace_id()).await.unwrap();
        let last = listed.last().unwrap();
        let bytes = store.read_artifact(&acme(), trace_id(), last).await;
        let seen: Value = serde_json::from_slice(&bytes.unwrap().unwrap()).unwrap();
        seen["value"].clone()
    }
}

fn is_reference(value: &Value) -> bool {
    value["stepscope_reference"]["key"].is_string()
}

#[tokio::test]
async fn a_response_beyond_the_limit_is_answered_by_reference() {
    let server = server().await;
    let answer = server.get("/text/300000").await;
    assert_eq!(answer["status"], 200);
    assert_eq!(answer["headers"]["content-length"], "300000");
    let reference = &answer["body"]["stepscope_reference"];
    assert_eq!(reference["bytes"], 300_000);
    assert_eq!(reference["content_type"], "text/plain; charset=utf-8");
    assert_eq!(reference["bucket"], "stepscope");
    let folder = format!("payloads/acme/{}/", trace_id());
    let sha256 = reference["sha256"].as_str().unwrap();
    assert_eq!(reference["key"], format!("{folder}{sha256}"));
    let whole = server.resolved(&answer["body"]).await;
    assert!(whole == words(300_000).as_str());

    let answer = server.get("/json").await;
    assert_eq!(
        answer["body"]["stepscope_reference"]["content_type"],
        "application/json"
    );
    let whole = server.resolved(&answer["body"]).await;
    assert_eq!(whole["next"], 2);
    assert_eq!(whole["words"].as_str().map(str::len), Some(300_000));
    let answer = server.get("/bytes").await;
    let whole = server.resolved(&answer["body_base64"]).await;
    assert_eq!(whole.as_str().map(str::len), Some(400_000));
}

#[tokio::test]
async fn hard_case_17_around_the_limit_nothing_is_lost() {
    let server = server().await;
    for bytes in [240 * 1024 - 400, 240 * 1024, STATE_LIMIT, STATE_LIMIT + 1] {
        let answer = server.get(&format!("/text/{bytes}")).await;
        let whole = server.resolved(&answer["body"]).await;
        assert!(whole == words(bytes).as_str(), "{bytes}");
    }
    let answer = server.get("/text/100000").await;
    assert!(!is_reference(&answer["body"]), "it fits");
}

#[tokio::test]
async fn a_model_s_long_answer_and_long_input_go_by_reference() {
    let server = server().await;
    let parameters = json!({"user": "Write.", "stream": false, "model": "m"});
    let answer = server.run("llm", parameters, Value::Null).await.unwrap();
    assert!(is_reference(&answer["text"]), "{answer}");
    assert_eq!(answer["finish_reason"], "stop");
    let parameters =
        json!({"user": "{{ input.documents[1].text }}", "stream": false, "model": "m"});
    let input = json!({"documents": [{"text": "short"}, {"text": answer["text"]}]});
    let answer = server.run("llm", parameters, input).await.unwrap();
    assert_eq!(answer["text"], "read 400000");
    // The node's own input is what the state machine passed: the reference's facts.
    let span = server.nodes.span(SpanKind::Node).await;
    let input = span.content["workflow.input"].as_text().unwrap();
    assert!(
        input.contains("\"bytes\":400000") && input.len() < 2_000,
        "{input}"
    );
    let fetched = server.nodes.span(SpanKind::Storage).await;
    assert_eq!(fetched.name, "GetObject payloads");
    assert_eq!(fetched.int("stepscope.reference.bytes"), Some(400_000));
}

#[tokio::test]
async fn references_stand_anywhere_in_parameters_and_input() {
    let server = server().await;
    let body = server.get("/text/300000").await["body"].clone();
    let parameters =
        json!({"url": format!("{}/length", server.base), "method": "POST", "body": body});
    let answer = server.run("http", parameters, Value::Null).await.unwrap();
    assert_eq!(answer["body"]["length"], 300_000);
    let parameters = json!({"name": "a.txt", "text": body});
    let artifact = server.run("artifact", parameters, Value::Null).await;
    assert_eq!(artifact.unwrap()["artifact"]["bytes"], 300_000);
    // Twice the same, in a list.
    let parameters =
        json!({"name": "b.txt", "template": "{{ input | map('length') | list | tojson }}"});
    let input = json!([body, body, "abc"]);
    let answer = server.run("artifact", parameters, input).await.unwrap();
    assert_eq!(answer["artifact"]["bytes"], "[300000, 300000, 3]".len());
}

#[tokio::test]
async fn a_task_may_ask_for_a_smaller_answer() {
    let server = server().await;
    let parameters = json!({"url": format!("{}/text/5000", server.base)});
    let mut call = payload("http", parameters, Value::Null);
    call["max_output_bytes"] = json!(2_000);
    let answer = server.nodes.handle(call.clone()).await.unwrap();
    assert!(is_reference(&answer["body"]), "{answer}");
    for wrong in [
        json!(0),
        json!(1023),
        json!(245_761),
        json!("1 KB"),
        json!(null),
    ] {
        call["max_output_bytes"] = wrong;
        let error = server.nodes.handle(call.clone()).await.unwrap_err();
        assert_eq!(error.name(), "Node.InvalidPayload");
        assert!(error.to_string().contains("max_output_bytes"), "{error}");
    }
}

/// Hard case 5: a reference is somebody's word.
#[tokio::test]
async fn hard_case_5_a_forged_reference_is_a_clear_error() {
    let server = server().await;
    let body = server.get("/text/300000").await["body"].clone();
    let with = |field: &str, value: Value| {
        let mut forged = body.clone();
        forged["stepscope_reference"][field] = value;
        forged
    };
    let key = body["stepscope_reference"]["key"].as_str().unwrap();
    let invalid = "Reference.Invalid";
    let mut beside = body.clone();
    beside["more"] = json!(1);
    for (forged, name, wanted) in [
        (
            with("key", json!(key.replace("acme", "globex"))),
            invalid,
            "this tenant's",
        ),
        (
            with("key", json!(key.replace("acme/", "acme/../globex/"))),
            invalid,
            "trace id",
        ),
        (with("key", json!("t/acme/x")), invalid, "this tenant's"),
        (with("bucket", json!("another")), invalid, "another bucket"),
        (with("sha256", json!("0".repeat(64))), invalid, "SHA-256"),
        (with("bytes", json!(-1)), invalid, "bytes"),
        (with("bytes", json!(299_999)), "Reference.Altered", "size"),
        (
            with("bytes", json!(70_000_000)),
            "Reference.TooLarge",
            "67108864",
        ),
        (
            with("content_type", json!("application/json")),
            invalid,
            "no JSON",
        ),
        (with("extra", json!(1)), invalid, "extra"),
        (
            json!({"stepscope_reference": "x"}),
            invalid,
            "found a string",
        ),
        (beside, invalid, "\"more\" stands beside it"),
    ] {
        let parameters = json!({"name": "a", "text": "x"});
        let input = json!({"deep": [{"value": forged}]});
        let error = server.run("artifact", parameters, input).await.unwrap_err();
        assert_eq!(error.name(), name, "{forged}: {error}");
        assert!(error.to_string().contains(wanted), "{forged}: {error}");
        if name != "Reference.TooLarge" {
            assert!(error.to_string().contains("input.deep[0].value"), "{error}");
        }
    }
    let object = server.nodes.s3.delete_object().bucket("stepscope").key(key);
    object.send().await.unwrap();
    let parameters = json!({"name": "a", "text": body});
    let error = server.run("artifact", parameters, Value::Null).await;
    let error = error.unwrap_err();
    assert_eq!(error.name(), "Reference.Gone");
    assert!(error.to_string().contains("parameters.text"), "{error}");
}

/// Another tenant's task with this tenant's reference, word for word.
#[tokio::test]
async fn hard_case_5_a_reference_is_its_tenant_s_alone() {
    let server = server().await;
    let body = server.get("/text/300000").await["body"].clone();
    let mut call = payload("artifact", json!({"name": "a", "text": body}), Value::Null);
    call["stepscope"]["tenant"] = json!("globex");
    let error = server.nodes.handle(call).await.unwrap_err();
    assert_eq!(error.name(), "Reference.Invalid");
}

#[tokio::test]
async fn too_much_by_reference_is_refused_before_it_is_fetched() {
    let server = server().await;
    let body = server.get("/text/900000").await["body"].clone();
    let input = Value::Array(vec![body; 75]);
    let parameters = json!({"name": "a", "text": "x"});
    let before = server.nodes.spans().await.len();
    let error = server.run("artifact", parameters, input).await.unwrap_err();
    assert_eq!(error.name(), "Reference.TooLarge");
    assert!(error.to_string().contains("67500000 bytes"), "{error}");
    assert_eq!(server.nodes.spans().await.len(), before + 1);
}

/// A value in a reference is text, though it looks like a reference.
#[tokio::test]
async fn a_reference_in_what_was_fetched_is_not_followed() {
    let server = server().await;
    let body = server.get("/text/300000").await["body"].clone();
    let trap = json!({"value": body, "filler": "x"})
        .to_string()
        .into_bytes();
    let store = &server.nodes.store;
    let written = store
        .write_payload(&acme(), trace_id(), "application/json", trap)
        .await
        .unwrap();
    let reference = json!({"stepscope_reference": {
        "bucket": written.bucket, "key": written.key, "bytes": written.bytes,
        "sha256": written.sha256, "content_type": written.content_type,
    }});
    let seen = server.resolved(&reference).await;
    assert_eq!(seen["value"], body);
}
