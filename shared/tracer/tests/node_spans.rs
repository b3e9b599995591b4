//! What a node's spans say, and whose children they are.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{ATTEMPT, Failure, Written, invocation, payload};
use trace_model::{AttributeValue, OtelKind, Span, SpanKind, Status, Traceparent, Usage};
use tracer::{Invocation, http_call, message, model_call, span, storage_call, tool_call};

fn content<'a>(span: &'a Span, field: &str) -> &'a str {
    let content = span.content.get(field);
    content
        .unwrap_or_else(|| panic!("no {field}"))
        .as_text()
        .unwrap()
}

fn error(span: &Span) -> (&str, &str) {
    match &span.status {
        Status::Error { message } => (span.text("error.type").unwrap(), message),
        other => panic!("{}: {other:?}", span.name),
    }
}

#[tokio::test]
async fn a_node_s_span_stands_under_its_attempt() {
    let written = Written::default();
    let tracer = written.tracer();
    let invocation = Invocation {
        name: "llm".to_owned(),
        node_kind: Some("llm".to_owned()),
        request_id: Some("c0ffee".to_owned()),
        deadline: None,
    };
    let work = async { Ok::<_, Failure>(json!({"text": "hi"})) };
    tracer
        .trace_node(&payload(), &invocation, work)
        .await
        .unwrap();
    tracer.flush().await;

    let node = written.finished("llm");
    assert_eq!(written.tenants(), ["acme"]);
    assert_eq!(
        (node.kind, node.otel_kind),
        (SpanKind::Node, OtelKind::Server)
    );
    assert_eq!(node.parent_span_id.unwrap().to_string(), ATTEMPT);
    for (key, value) in [
        (
            "aws.step_functions.execution.arn",
            "arn:aws:states:us-east-1:000000000000:execution:a:b",
        ),
        ("workflow.name", "a"),
        ("workflow.state.name", "Classify"),
        ("workflow.node.kind", "llm"),
        ("faas.invocation_id", "c0ffee"),
    ] {
        assert_eq!(node.text(key), Some(value), "{key}");
    }
    assert_eq!(
        content(&node, "workflow.input"),
        r#"{"node":"llm","input":{"ticket":7}}"#
    );
    assert_eq!(content(&node, "workflow.output"), r#"{"text":"hi"}"#);
    assert_eq!(node.int("workflow.attempt"), Some(1));
    assert_eq!(node.resource["service.name"], "test".into());
    assert_eq!(node.scope.0, "tracer");
    assert_eq!(node.status, Status::Unset);
}

#[tokio::test]
async fn a_node_whose_payload_names_no_tenant_is_of_the_process_s() {
    let written = Written::default();
    let tenant = trace_model::TenantId::parse("ours").unwrap();
    let tracer = written.tracer().with_default_tenant(tenant);
    let mut payload = payload();
    payload["stepscope"]["tenant"] = Value::Null;
    let work = async { Ok::<_, Failure>(()) };
    tracer
        .trace_node(&payload, &invocation("llm"), work)
        .await
        .unwrap();
    tracer.flush().await;
    assert_eq!(written.tenants(), ["ours"]);
}

#[tokio::test]
async fn calls_inside_a_node_are_its_children_and_scopes_nest() {
    let written = Written::default();
    let tracer = written.tracer();
    let work = async {
        let tool = tool_call("look_up");
        tool.arguments(&json!({"order": 5}));
        tool.scope(async {
            let storage = storage_call("aws.dynamodb", "GetItem", "orders");
            tokio::task::yield_now().await;
            storage.finish();
        })
        .await;
        tool.result(&json!(null));
        tool.finish();
        let outer = span("outer");
        outer.in_scope(|| span("inner").finish());
        outer.finish();
        Ok::<_, Failure>(())
    };
    tracer
        .trace_node(&payload(), &invocation("node"), work)
        .await
        .unwrap();
    tracer.flush().await;
    for (child, parent, kind) in [
        ("execute_tool look_up", "node", SpanKind::Tool),
        ("GetItem orders", "execute_tool look_up", SpanKind::Storage),
        ("outer", "node", SpanKind::Internal),
        ("inner", "outer", SpanKind::Internal),
    ] {
        assert_eq!(written.parent(child), parent);
        assert_eq!(written.kind(child), kind, "{child}");
    }
}

#[tokio::test]
async fn a_model_call_says_what_was_asked_answered_and_used() {
    let written = Written::default();
    let tracer = written.tracer();
    let work = async {
        let mut call = model_call("chat", "openai", "gpt-4o-mini");
        call.temperature(0.5);
        call.system_instructions("be brief");
        call.input_messages(&json!([message("user", "hello")]));
        call.chunk();
        call.chunk();
        call.response_id("chatcmpl-1");
        call.finish_reason("stop");
        call.usage(&Usage {
            input_tokens: Some(1000),
            output_tokens: Some(10),
            cached_tokens: Some(0),
            ..Usage::default()
        });
        call.finish();
        Ok::<_, Failure>(())
    };
    tracer
        .trace_node(&payload(), &invocation("node"), work)
        .await
        .unwrap();
    tracer.flush().await;
    let call = written.finished("chat gpt-4o-mini");
    assert_eq!(
        (call.kind, call.otel_kind),
        (SpanKind::Model, OtelKind::Client)
    );
    assert_eq!(call.text("gen_ai.provider.name"), Some("openai"));
    assert_eq!(call.int("gen_ai.usage.input_tokens"), Some(1000));
    assert_eq!(call.int("gen_ai.usage.cache_read.input_tokens"), Some(0));
    assert_eq!(
        call.int("gen_ai.usage.reasoning.output_tokens"),
        None,
        "unknown is not zero"
    );
    assert_eq!(call.int("stepscope.response.chunks"), Some(2));
    assert!(
        matches!(call.attributes["gen_ai.response.time_to_first_chunk"], AttributeValue::Double(seconds) if seconds >= 0.0)
    );
    let messages: Value = serde_json::from_str(content(&call, "gen_ai.input.messages")).unwrap();
    assert_eq!(
        messages,
        json!([{"role": "user", "parts": [{"type": "text", "content": "hello"}]}])
    );
    // gpt-4o-mini is in every price table: 1,000 tokens in and 10 out cost something.
    assert!(call.int("stepscope.cost.pico_usd").unwrap() > 0);
}

#[tokio::test]
async fn an_http_call_never_shows_a_password() {
    let written = Written::default();
    let tracer = written.tracer();
    let work = async {
        let url = "https://user:hunter2@example.com/path?q=1".parse().unwrap();
        let call = http_call("GET", &url);
        assert_eq!(
            call.traceparent().unwrap().trace_id,
            tracer::current_traceparent().unwrap().trace_id
        );
        call.request_header("Accept", "a");
        call.request_header("accept", "b");
        call.status(404);
        call.finish();
        Ok::<_, Failure>(())
    };
    tracer
        .trace_node(&payload(), &invocation("node"), work)
        .await
        .unwrap();
    tracer.flush().await;
    let call = written.finished("GET example.com");
    assert_eq!(call.text("url.full"), Some("https://example.com/path?q=1"));
    assert_eq!(call.text("server.address"), Some("example.com"));
    assert_eq!(call.int("server.port"), Some(443));
    assert_eq!(call.int("http.response.status_code"), Some(404));
    assert_eq!(
        call.attributes["http.request.header.accept"],
        vec!["a".to_owned(), "b".to_owned()].into()
    );
    assert_eq!(error(&call).0, "404");
}

#[tokio::test]
async fn a_failed_node_says_why_and_ends_its_dropped_handles() {
    let written = Written::default();
    let tracer = written.tracer();
    let work = async {
        let _dropped = span("left early");
        Err::<(), _>(Failure("no such order"))
    };
    let failure = tracer
        .trace_node(&payload(), &invocation("node"), work)
        .await;
    assert_eq!(failure, Err(Failure("no such order")));
    tracer.flush().await;
    assert_eq!(
        error(&written.finished("node")),
        ("Test.Failed", "no such order")
    );
    assert_eq!(error(&written.finished("left early")).0, "cancelled");
}

#[tokio::test]
async fn hard_case_18_a_panic_ends_the_node_as_an_error_and_goes_on() {
    let written = Written::default();
    let tracer = written.tracer();
    let running = {
        let tracer = tracer.clone();
        tokio::spawn(async move {
            let work = async {
                let _inside = span("inside");
                tokio::task::yield_now().await;
                let outside = tracer::current_traceparent().is_none();
                assert!(outside, "index out of bounds");
                Ok::<(), Failure>(())
            };
            tracer
                .trace_node(&payload(), &invocation("node"), work)
                .await
        })
    };
    assert!(running.await.unwrap_err().is_panic());
    tracer.flush().await;
    assert_eq!(
        error(&written.finished("node")),
        ("panic", "index out of bounds")
    );
    assert_eq!(error(&written.finished("inside")).0, "panic");
}

#[tokio::test(start_paused = true)]
async fn work_that_is_cut_off_at_its_deadline_is_a_timeout_and_before_it_a_cancellation() {
    for (patience, expected) in [(5, "timeout"), (1, "cancelled")] {
        let written = Written::default();
        let tracer = written.tracer();
        let invocation = Invocation {
            deadline: Some(support::until(Duration::from_secs(4))),
            ..invocation("node")
        };
        let endless = std::future::pending::<Result<(), Failure>>();
        let payload = payload();
        let node = tracer.trace_node(&payload, &invocation, endless);
        assert!(
            tokio::time::timeout(Duration::from_secs(patience), node)
                .await
                .is_err()
        );
        tracer.flush().await;
        assert_eq!(error(&written.finished("node")).0, expected);
    }
}

#[tokio::test]
async fn work_without_a_context_has_a_trace_of_its_own_that_says_why() {
    let written = Written::default();
    let tracer = written.tracer();
    let work = async { Ok::<_, Failure>(1) };
    let answer = tracer
        .trace_node(&json!({"input": 1}), &invocation("alone"), work)
        .await;
    assert_eq!(answer, Ok(1));
    tracer.flush().await;
    let node = written.finished("alone");
    assert_eq!(node.parent_span_id, None);
    assert!(
        node.text("stepscope.context.problem")
            .unwrap()
            .contains("headers.traceparent")
    );
}

#[tokio::test]
async fn a_caller_s_trace_is_a_link() {
    let written = Written::default();
    let tracer = written.tracer();
    let caller = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    let mut payload = payload();
    payload["headers"]["traceparent"] = caller.into();
    let work = async { Ok::<_, Failure>(()) };
    tracer
        .trace_node(&payload, &invocation("node"), work)
        .await
        .unwrap();
    tracer.flush().await;
    let node = written.finished("node");
    let caller = Traceparent::parse(caller).unwrap();
    assert_eq!(node.links[0].trace_id, caller.trace_id);
    assert_eq!(node.links[0].span_id, caller.span_id);
}

#[tokio::test]
async fn outside_of_a_node_nothing_is_recorded() {
    let call = model_call("chat", "openai", "gpt-4o");
    assert!(!call.is_recording());
    assert_eq!(call.traceparent(), None);
    call.finish();
    assert_eq!(span("x").scope(async { 5 }).await, 5);
    assert_eq!(tracer::current_traceparent(), None);
}

#[tokio::test]
async fn nodes_that_share_a_thread_do_not_see_each_other() {
    let written = Written::default();
    let tracer = written.tracer();
    let node = |name: &'static str, child: &'static str| {
        let tracer = tracer.clone();
        async move {
            let work = async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                span(child).finish();
                Ok::<_, Failure>(())
            };
            let mut payload = payload();
            payload["stepscope"]["tenant"] = name.into();
            tracer.trace_node(&payload, &invocation(name), work).await
        }
    };
    let (one, two) = tokio::join!(node("acme", "a"), node("globex", "b"));
    one.unwrap();
    two.unwrap();
    tracer.flush().await;
    assert_eq!(written.parent("a"), "acme");
    assert_eq!(written.parent("b"), "globex");
    let mut tenants = written.tenants();
    tenants.sort();
    assert_eq!(tenants, ["acme", "globex"]);
}

#[tokio::test]
async fn content_is_whole_whatever_its_size() {
    let written = Written::default();
    let tracer = written.tracer();
    let text = "ä".repeat(10_000_000);
    let large = text.clone();
    let work = async move {
        model_call("chat", "openai", "m").input_messages(&large.into());
        Ok::<_, Failure>(())
    };
    tracer
        .trace_node(&payload(), &invocation("node"), work)
        .await
        .unwrap();
    tracer.flush().await;
    let call = written.finished("chat m");
    assert_eq!(
        content(&call, "gen_ai.input.messages"),
        format!("\"{text}\"")
    );
}
