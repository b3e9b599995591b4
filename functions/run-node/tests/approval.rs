//! The `approval` node.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use serde_json::{Value, json};
use support::{Nodes, payload};
use trace_model::SpanKind;

/// As Step Functions makes them.
const TOKEN: &str = "AQCEAAAAKgAAAAMAAAAAAAAAAW5vdCBhIHRva2VuIGJ1dCBhcyBsb25nIGFzIG9uZQ==";

fn call(parameters: Value) -> Value {
    let input = json!({"ticket": {"id": "T-7", "from": "ann@example.com"}});
    let mut payload = payload("approval", parameters, input);
    payload["task_token"] = json!(TOKEN);
    payload
}

#[tokio::test]
async fn a_question_is_asked_and_the_task_is_left_waiting() {
    let nodes = Nodes::allowing(&[]).await;
    let answer = nodes
        .handle(call(json!({
            "question": "Send this to {{ input.ticket.from }} for {{ input.ticket.id }}?",
            "details": {"draft": "Hello"},
        })))
        .await
        .unwrap();
    let question = "Send this to ann@example.com for T-7?";
    assert_eq!(answer, json!({"question": question}));
    let span = nodes.span(SpanKind::Node).await;
    assert_eq!(span.text("workflow.node.kind"), Some("approval"));
    assert_eq!(
        span.text("workflow.approval.question"),
        Some("Send this to [REDACTED:email] for T-7?")
    );
    let details = span.content["workflow.approval.details"].as_text();
    assert_eq!(details, Some(r#"{"draft":"Hello"}"#));
    assert!(span.end.is_some() && !span.is_error());
}

#[tokio::test]
async fn hard_case_25_the_task_token_is_told_to_nobody() {
    let nodes = Nodes::allowing(&[]).await;
    let answer = nodes.handle(call(json!({"question": "Go on?"}))).await;
    assert!(!answer.unwrap().to_string().contains(&TOKEN[..12]));
    let mut wrong = call(json!({"question": "Go on?", "more": 1}));
    let error = nodes.handle(wrong.clone()).await.unwrap_err();
    assert!(!error.to_string().contains(&TOKEN[..12]), "{error}");
    wrong["task_token"] = json!({"deep": TOKEN});
    let error = nodes.handle(wrong).await.unwrap_err();
    assert!(!error.to_string().contains(&TOKEN[..12]), "{error}");
    let spans = nodes.spans().await;
    assert_eq!(spans.len(), 3);
    for span in spans {
        let shown = format!("{span:?}");
        assert!(!shown.contains(&TOKEN[..12]), "{shown}");
    }
}

#[tokio::test]
async fn a_state_that_does_not_wait_is_told_what_to_do() {
    let nodes = Nodes::allowing(&[]).await;
    for token in [Value::Null, json!(7), json!("")] {
        let mut call = call(json!({"question": "Go on?"}));
        call["task_token"] = token;
        let error = nodes.handle(call).await.unwrap_err();
        assert_eq!(error.name(), "Approval.NoTaskToken");
        for wanted in [
            "lambda:invoke.waitForTaskToken",
            "{% $states.context.Task.Token %} must stand in its Payload as task_token",
        ] {
            assert!(error.to_string().contains(wanted), "{error}");
        }
        // What to do is no secret: the trace says it too.
        let span = nodes.span(SpanKind::Node).await;
        let shown = format!("{:?}", span.status);
        assert!(shown.contains("$states.context.Task.Token"), "{shown}");
    }
}

#[tokio::test]
async fn a_question_is_short_and_there() {
    let nodes = Nodes::allowing(&[]).await;
    for (question, name, wanted) in [
        (" ".to_owned(), "Node.InvalidParameters", "nothing is asked"),
        (
            "é".repeat(1_001),
            "Node.InvalidParameters",
            "it has 1001 characters, and 1000 are read",
        ),
        (
            "{{ input.tickets }}".to_owned(),
            "Node.InvalidTemplate",
            "input.tickets",
        ),
    ] {
        let error = nodes.handle(call(json!({"question": question}))).await;
        let error = error.unwrap_err();
        assert_eq!(error.name(), name);
        assert!(error.to_string().contains(wanted), "{error}");
    }
}
