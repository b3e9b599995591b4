//! The `llm` node against servers on loopback that speak the providers' protocols.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use run_node::{ModelSettings, NodeError};
use serde_json::{Value, json};
use support::{Nodes, serve};
use trace_model::{AttributeValue, Span, SpanKind, Status};

/// What a server was sent.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Option<(String, HeaderMap, Value)>>>);

impl Seen {
    fn body(&self) -> Value {
        self.0.lock().unwrap().as_ref().unwrap().2.clone()
    }

    fn path(&self) -> String {
        self.0.lock().unwrap().as_ref().unwrap().0.clone()
    }

    fn header(&self, name: &str) -> Option<String> {
        let seen = self.0.lock().unwrap();
        let value = seen.as_ref().unwrap().1.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }
}

struct Model {
    nodes: Nodes,
    base_url: String,
    seen: Seen,
}

impl Model {
    /// A server that answers everything in one way.
    async fn answering<R: IntoResponse>(
        answer: impl Fn() -> R + Clone + Send + Sync + 'static,
    ) -> Self {
        let seen = Seen::default();
        let log = seen.clone();
        let app = Router::new().fallback(any(move |request: Request| async move {
            let path = request.uri().to_string();
            let headers = request.headers().clone();
            let body = axum::body::to_bytes(request.into_body(), usize::MAX)
                .await
                .unwrap();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            *log.0.lock().unwrap() = Some((path, headers, body));
            answer().into_response()
        }));
        let base_url = format!("http://{}/v1/", serve(app).await);
        let nodes = Nodes::with_models(ModelSettings {
            model: Some("house-model".to_owned()),
            base_url: Some(base_url.parse().unwrap()),
            demo_url: None,
        })
        .await;
        Self {
            nodes,
            base_url,
            seen,
        }
    }

    async fn ask(&self, parameters: Value) -> Result<Value, NodeError> {
        let input = json!({"ticket": {"text": "printer on fire", "id": 7}});
        self.nodes.run("llm", parameters, input).await
    }

    async fn span(&self) -> Span {
        self.nodes.span(SpanKind::Model).await
    }

    async fn check_error(&self, parameters: Value, name: &str, wanted: &str) {
        let error = self.ask(parameters).await.unwrap_err();
        assert_eq!(error.name(), name, "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
        let span = self.span().await;
        assert_eq!(span.text("error.type"), Some(name));
        assert!(matches!(span.status, Status::Error { .. }));
    }
}

fn sse(events: &[&str]) -> Response {
    let body = events.join("\n\n") + "\n\n";
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn openai_stream() -> Response {
    sse(&[
        r#"data: {"id":"chatcmpl-9","model":"house-model-2026","choices":[{"index":0,"delta":{"role":"assistant","content":"It is "}}]}"#,
        r#"data: {"id":"chatcmpl-9","model":"house-model-2026","choices":[{"index":0,"delta":{"content":"a bug."}}]}"#,
        r#"data: {"id":"chatcmpl-9","model":"house-model-2026","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"data: {"id":"chatcmpl-9","model":"house-model-2026","choices":[],"usage":{"prompt_tokens":40,"completion_tokens":4,"total_tokens":44,"prompt_tokens_details":{"cached_tokens":32},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
        "data: [DONE]",
    ])
}

fn openai_whole(content: &str) -> axum::Json<Value> {
    axum::Json(json!({
        "id": "chatcmpl-8", "object": "chat.completion", "model": "house-model-2026",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }))
}

#[tokio::test]
async fn a_streamed_answer_is_put_together_and_traced() {
    let model = Model::answering(openai_stream).await;
    let answer = model
        .ask(json!({
            "system": "Ticket {{ input.ticket.id }}", "temperature": 0.25, "max_tokens": 50,
            "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes?"}],
            "user": "Classify: {{ input.ticket.text }}",
        }))
        .await
        .unwrap();
    assert_eq!(
        answer,
        json!({
            "text": "It is a bug.", "model": "house-model-2026",
            "usage": {"input_tokens": 40, "output_tokens": 4, "cached_tokens": 32, "reasoning_tokens": 1},
            "finish_reason": "stop",
        })
    );
    let sent = model.seen.body();
    assert_eq!(model.seen.path(), "/v1/chat/completions");
    assert_eq!(sent["model"], "house-model");
    assert_eq!(sent["stream"], true);
    assert_eq!(sent["temperature"], 0.25);
    let said: Vec<_> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| {
            (
                message["role"].as_str().unwrap(),
                message["content"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("system", "Ticket 7"),
            ("user", "hello"),
            ("assistant", "yes?"),
            ("user", "Classify: printer on fire")
        ]
    );

    let span = model.span().await;
    assert_eq!(span.name, "chat house-model");
    for (key, value) in [
        ("gen_ai.request.model", "house-model"),
        ("gen_ai.response.model", "house-model-2026"),
        ("gen_ai.response.id", "chatcmpl-9"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.output.type", "text"),
        ("server.address", "127.0.0.1"),
    ] {
        assert_eq!(span.text(key), Some(value), "{key}");
    }
    assert_eq!(span.int("gen_ai.usage.cache_read.input_tokens"), Some(32));
    assert_eq!(
        span.attributes["gen_ai.response.finish_reasons"],
        vec!["stop".to_owned()].into()
    );
    assert_eq!(
        span.attributes["gen_ai.request.stream"],
        AttributeValue::Bool(true)
    );
    assert!(
        span.attributes
            .contains_key("gen_ai.response.time_to_first_chunk")
    );
    assert_eq!(
        span.attributes["stepscope.cost.unknown"],
        AttributeValue::Bool(true),
        "unknown, not 0"
    );
    let said = span.content["gen_ai.output.messages"].as_text().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(said).unwrap(),
        json!([{"role": "assistant", "parts": [{"type": "text", "content": "It is a bug."}], "finish_reason": "stop"}])
    );
    let system = span.content["gen_ai.system_instructions"]
        .as_text()
        .unwrap();
    assert!(system.contains("Ticket 7"));
}

#[tokio::test]
async fn a_whole_answer_says_the_same() {
    let model = Model::answering(|| openai_whole("yes")).await;
    let answer = model
        .ask(json!({"user": "?", "stream": false}))
        .await
        .unwrap();
    assert_eq!(
        answer,
        json!({
            "text": "yes", "model": "house-model-2026",
            "usage": {"input_tokens": 12, "output_tokens": 3}, "finish_reason": "stop",
        })
    );
    let span = model.span().await;
    assert_eq!(span.text("gen_ai.response.id"), Some("chatcmpl-8"));
    assert!(
        !span
            .attributes
            .contains_key("gen_ai.response.time_to_first_chunk")
    );
}

#[tokio::test]
async fn tool_calls_are_kept() {
    let stream = || {
        sse(&[
            r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look_up","arguments":"{\"or"}}]}}]}"#,
            r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"der\":5}"}}]}}]}"#,
            r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            "data: [DONE]",
        ])
    };
    let model = Model::answering(stream).await;
    let tools = json!([{"name": "look_up", "parameters": {"type": "object"}}]);
    let answer = model
        .ask(json!({"user": "?", "tools": tools}))
        .await
        .unwrap();
    assert_eq!(
        answer["tool_calls"],
        json!([{"id": "call_1", "name": "look_up", "arguments": {"order": 5}}])
    );
    assert_eq!(answer["finish_reason"], "tool_calls");
    assert_eq!(
        answer["usage"],
        json!({}),
        "no usage was given, and none is made up"
    );
    assert_eq!(model.seen.body()["tools"][0]["function"]["name"], "look_up");
    let said = model.span().await.content["gen_ai.output.messages"]
        .as_text()
        .unwrap()
        .to_owned();
    assert!(said.contains("tool_call"), "{said}");
}

#[tokio::test]
async fn structured_output_is_asked_for_read_and_checked() {
    let schema = json!({"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["bug", "billing"]}}});
    let model = Model::answering(|| openai_whole(r#"{"kind": "bug"}"#)).await;
    let parameters = json!({"user": "?", "stream": false, "schema": schema});
    let answer = model.ask(parameters.clone()).await.unwrap();
    assert_eq!(answer["json"], json!({"kind": "bug"}));
    assert_eq!(model.seen.body()["response_format"]["type"], "json_schema");
    assert_eq!(model.span().await.text("gen_ai.output.type"), Some("json"));

    let model = Model::answering(|| openai_whole(r#"{"kind": "praise"}"#)).await;
    model
        .check_error(parameters.clone(), "Llm.InvalidOutput", "at /kind")
        .await;
    // It was generated, so it is paid for and can be read.
    let span = model.span().await;
    assert_eq!(span.int("gen_ai.usage.output_tokens"), Some(3));
    assert!(
        span.content["gen_ai.output.messages"]
            .as_text()
            .unwrap()
            .contains("praise")
    );
    let model = Model::answering(|| openai_whole("It is a bug")).await;
    model
        .check_error(parameters, "Llm.InvalidOutput", "not JSON")
        .await;
}

#[tokio::test]
async fn anthropic_s_cached_tokens_count_once() {
    let stream = || {
        sse(&[
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-sonnet-4-5-20250929\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":5,\"output_tokens\":1}}}",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}",
        ])
    };
    let whole = || {
        axum::Json(json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 5, "output_tokens": 7},
        }))
    };
    let streamed = Model::answering(stream).await;
    let at_once = Model::answering(whole).await;
    for (model, stream) in [(streamed, true), (at_once, false)] {
        let parameters = json!({
            "model": "anthropic::claude-sonnet-4-5", "base_url": model.base_url, "user": "?", "stream": stream,
        });
        let answer = model.ask(parameters).await.unwrap();
        assert_eq!(answer["text"], "Hi");
        assert_eq!(answer["finish_reason"], "stop");
        assert_eq!(
            answer["usage"],
            json!({
                "input_tokens": 115, "output_tokens": 7, "cached_tokens": 100, "cache_write_tokens": 5,
            })
        );
        assert_eq!(model.seen.path(), "/v1/messages");
        let span = model.span().await;
        assert_eq!(span.text("gen_ai.provider.name"), Some("anthropic"));
        assert_eq!(span.text("gen_ai.response.id"), Some("msg_1"));
        // 10 at $3, 100 at $0.30, 5 at $3.75, 7 at $15 per million tokens.
        assert_eq!(
            span.int("stepscope.cost.pico_usd"),
            Some(10 * 3_000_000 + 100 * 300_000 + 5 * 3_750_000 + 7 * 15_000_000)
        );
    }
}

#[tokio::test]
async fn gemini_s_thoughts_count_as_output() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":20,"candidatesTokenCount":2,"thoughtsTokenCount":30,"cachedContentTokenCount":8,"totalTokenCount":52},"modelVersion":"gemini-2.5-flash","responseId":"r-1"}"#;
    let streamed = Model::answering(move || sse(&[&format!("data: {body}")])).await;
    let at_once =
        Model::answering(move || ([(header::CONTENT_TYPE, "application/json")], body)).await;
    for (model, stream) in [(streamed, true), (at_once, false)] {
        let parameters = json!({
            "model": "gemini::gemini-2.5-flash", "base_url": model.base_url, "user": "?", "stream": stream,
        });
        let answer = model.ask(parameters).await.unwrap();
        assert_eq!(answer["text"], "Hi");
        assert_eq!(
            answer["usage"],
            json!({
                "input_tokens": 20, "output_tokens": 32, "cached_tokens": 8, "reasoning_tokens": 30,
            })
        );
        let span = model.span().await;
        assert_eq!(span.text("gen_ai.provider.name"), Some("gcp.gemini"));
        assert_eq!(span.text("gen_ai.response.id"), Some("r-1"));
        assert!(span.int("stepscope.cost.pico_usd").unwrap() > 0);
    }
}

#[tokio::test]
async fn every_failure_of_a_provider_has_its_name() {
    let error = |status: u16, message: &'static str| {
        move || {
            (
                StatusCode::from_u16(status).unwrap(),
                [(header::RETRY_AFTER, "7")],
                axum::Json(json!({"error": {"message": message}})),
            )
        }
    };
    for stream in [true, false] {
        let parameters = json!({"user": "?", "stream": stream});
        for (status, name, wanted) in [
            (429, "Llm.RateLimited", "retry after 7): slow down"),
            (500, "Llm.Unavailable", "slow down"),
            (503, "Llm.Unavailable", "503"),
            (529, "Llm.Unavailable", "529"),
            (401, "Llm.Unauthorized", "401"),
            (403, "Llm.Unauthorized", "403"),
            (400, "Llm.ProviderError", "400"),
            (404, "Llm.ProviderError", "404"),
            (302, "Llm.ProviderError", "302"),
        ] {
            let model = Model::answering(error(status, "slow down")).await;
            model.check_error(parameters.clone(), name, wanted).await;
        }
    }
}

#[tokio::test]
async fn a_malformed_answer_is_the_provider_s_error() {
    let json_body =
        |body: &'static str| move || ([(header::CONTENT_TYPE, "application/json")], body);
    let whole = json!({"user": "?", "stream": false});
    let model = Model::answering(json_body("{nonsense")).await;
    model
        .check_error(whole.clone(), "Llm.ProviderError", "malformed")
        .await;
    let model = Model::answering(json_body("{}")).await;
    model
        .check_error(whole.clone(), "Llm.ProviderError", "no answer")
        .await;
    let model = Model::answering(|| "<html>").await;
    model
        .check_error(whole, "Llm.ProviderError", "expected JSON")
        .await;
    let model = Model::answering(|| sse(&["data: {nonsense"])).await;
    model
        .check_error(json!({"user": "?"}), "Llm.ProviderError", "malformed")
        .await;
}

#[tokio::test]
async fn an_error_in_the_midst_of_a_stream_is_named_too_and_what_came_is_kept() {
    let begun =
        r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"It is"}}]}"#;
    for (last, name) in [
        (
            r#"data: {"error":{"type":"rate_limit_error","message":"too fast"}}"#,
            "Llm.RateLimited",
        ),
        (
            r#"data: {"error":{"type":"overloaded_error","message":"busy"}}"#,
            "Llm.Unavailable",
        ),
        (
            r#"data: {"error":{"type":"invalid_request_error","message":"no"}}"#,
            "Llm.ProviderError",
        ),
        (": the connection ends without [DONE]", "Llm.Interrupted"),
    ] {
        let model = Model::answering(move || sse(&[begun, last])).await;
        model.check_error(json!({"user": "?"}), name, "").await;
        let said = model.span().await.content["gen_ai.output.messages"]
            .as_text()
            .unwrap()
            .to_owned();
        assert!(said.contains("It is"), "{said}");
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_timeout() {
    let app = Router::new().fallback(any(|| async {
        tokio::time::sleep(Duration::from_mins(1)).await;
    }));
    let base_url = format!("http://{}/v1", serve(app).await);
    let nodes = Nodes::with_models(ModelSettings {
        base_url: Some(base_url.parse().unwrap()),
        ..ModelSettings::default()
    })
    .await;
    let parameters = json!({"model": "m", "user": "?", "timeout_seconds": 0.1});
    let error = nodes.run("llm", parameters, Value::Null).await.unwrap_err();
    assert_eq!(error.name(), "Llm.Timeout");
    let parameters = json!({"model": "m", "user": "?"});
    let error = nodes
        .run_until(Duration::from_millis(300), "llm", parameters)
        .await
        .unwrap_err();
    assert_eq!(
        error.name(),
        "Llm.Timeout",
        "before the deadline, so that a Catch sees it"
    );
}

#[tokio::test]
async fn a_withheld_answer_says_so() {
    let filtered = || {
        axum::Json(json!({
            "id": "c", "model": "m",
            "choices": [{"index": 0, "finish_reason": "content_filter", "message": {"role": "assistant", "content": ""}}],
        }))
    };
    let model = Model::answering(filtered).await;
    model
        .check_error(
            json!({"user": "?", "stream": false}),
            "Llm.ContentFiltered",
            "withheld",
        )
        .await;
}

#[tokio::test]
async fn hard_case_28_a_base_url_reaches_no_private_address_but_the_configured() {
    let model = Model::answering(|| openai_whole("hi")).await;
    let other = Model::answering(|| openai_whole("hi")).await;
    let ask = |base_url: String| {
        model.ask(json!({"model": "m", "base_url": base_url, "user": "?", "stream": false}))
    };
    assert!(ask(model.base_url.clone()).await.is_ok());
    assert!(
        ask(model.base_url.trim_end_matches('/').to_owned())
            .await
            .is_ok()
    );
    for stream in [true, false] {
        for refused in [
            other.base_url.clone(),
            model.base_url.replace("127.0.0.1", "localhost"),
            "http://169.254.169.254/latest/".to_owned(),
            "http://2130706433/".to_owned(),
            "http://[::ffff:10.0.0.1]/v1".to_owned(),
        ] {
            let parameters =
                json!({"model": "m", "base_url": refused, "user": "?", "stream": stream});
            let error = model.ask(parameters).await.unwrap_err();
            assert_eq!(error.name(), "Llm.AddressRefused", "{refused}: {error}");
        }
    }
    for (wrong, wanted) in [
        ("file:///etc/passwd", "scheme"),
        ("v1", "not a URL"),
        ("http://u:p@example.com/", "credentials"),
    ] {
        let error = ask(wrong.to_owned()).await.unwrap_err();
        assert_eq!(error.name(), "Node.InvalidParameters", "{wrong}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn the_demo_model_is_where_the_settings_say_and_gets_no_key() {
    let seen = Model::answering(|| openai_whole("demo")).await;
    let nodes = Nodes::with_models(ModelSettings {
        demo_url: Some(seen.base_url.parse().unwrap()),
        ..ModelSettings::default()
    })
    .await;
    let parameters = json!({"user": "?", "stream": false});
    let answer = nodes
        .run("llm", parameters.clone(), Value::Null)
        .await
        .unwrap();
    assert_eq!(answer["text"], "demo");
    assert_eq!(seen.seen.header("authorization"), None);
    assert_eq!(
        nodes
            .span(SpanKind::Model)
            .await
            .text("gen_ai.provider.name"),
        Some("stepscope-demo")
    );

    let elsewhere = Nodes::with_models(ModelSettings {
        model: Some("stepscope-demo::demo-model".to_owned()),
        base_url: Some(seen.base_url.parse().unwrap()),
        ..ModelSettings::default()
    })
    .await;
    elsewhere
        .run("llm", parameters.clone(), Value::Null)
        .await
        .unwrap();
    let call = elsewhere.span(SpanKind::Model).await;
    assert_eq!(call.text("gen_ai.provider.name"), Some("stepscope-demo"));
    assert_eq!(call.text("gen_ai.request.model"), Some("demo-model"));

    let nowhere = Nodes::with_models(ModelSettings::default()).await;
    let error = nowhere
        .run("llm", parameters, Value::Null)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("STEPSCOPE_MODEL_BASE_URL"),
        "{error}"
    );
}

#[tokio::test]
async fn an_author_s_mistake_is_told_before_anything_is_sent() {
    let model = Model::answering(|| openai_whole("hi")).await;
    for (parameters, name, wanted) in [
        (json!({}), "Node.InvalidParameters", "nothing is asked"),
        (
            json!({"usr": "?"}),
            "Node.InvalidParameters",
            "did you mean \"user\"",
        ),
        (
            json!({"user": 5}),
            "Node.InvalidParameters",
            "parameters.user: invalid type: integer `5`, expected a string",
        ),
        (
            json!({"messages": [{"role": "robot", "content": ""}]}),
            "Node.InvalidParameters",
            "messages[0].role",
        ),
        (
            json!({"user": "?", "schema": {"type": "objekt"}}),
            "Node.InvalidParameters",
            "parameters.schema",
        ),
        (
            json!({"user": "?", "timeout_seconds": 0}),
            "Node.InvalidParameters",
            "timeout_seconds",
        ),
        (
            json!({"user": "a\n{{ input.tickt }}"}),
            "Node.InvalidTemplate",
            "parameters.user, line 2: `input.tickt` is undefined",
        ),
        (
            json!({"messages": [{"role": "user", "content": "{{ x }}"}]}),
            "Node.InvalidTemplate",
            "parameters.messages[0].content",
        ),
        (
            json!({"user": "?", "model": "anthropc::claude"}),
            "Node.InvalidParameters",
            "did you mean \"anthropic\"",
        ),
        (
            json!({"user": "?", "model": "ollama::llama3"}),
            "Node.InvalidParameters",
            "private address",
        ),
    ] {
        let error = model.ask(parameters.clone()).await.unwrap_err();
        assert_eq!(error.name(), name, "{parameters}: {error}");
        assert!(error.to_string().contains(wanted), "{parameters}: {error}");
    }
    assert!(model.seen.0.lock().unwrap().is_none());
    let nodes = Nodes::with_models(ModelSettings::default()).await;
    let error = nodes
        .run("llm", json!({"user": "?", "model": "llama3"}), Value::Null)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no provider is known for \"llama3\""),
        "{error}"
    );
}
