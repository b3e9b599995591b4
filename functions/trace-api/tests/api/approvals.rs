//! Answering the tasks that wait for a person.

use std::time::Duration;

use identity::Scope;
use serde_json::{Value, json};
use trace_model::{Run, Span, SpanKind, conventions};

use crate::support::{Answer, Cloud, arn, span_id};

const ATTEMPT: &str = "aa00000000000001";

async fn cloud(fields: &[(&str, Value)]) -> (Cloud, Run) {
    let cloud = Cloud::start().await;
    cloud.create_asking_machine(fields).await;
    let run = cloud.ask("acme", "one").await;
    (cloud, run)
}

async fn decide(cloud: &Cloud, span: &str, body: Value) -> Answer {
    let path = format!("/executions/ask%3Aone/approvals/{span}");
    cloud.post("acme", &path, body.to_string()).await
}

async fn output(cloud: &Cloud, run: &Run) -> Value {
    cloud.reached(run, "ExecutionSucceeded").await;
    let described = cloud
        .clients
        .sfn()
        .describe_execution()
        .execution_arn(arn("ask:one").as_str())
        .send()
        .await
        .unwrap();
    serde_json::from_str(&described.output.unwrap()).unwrap()
}

async fn listed(cloud: &Cloud) -> Vec<Value> {
    let list = cloud
        .get("acme", "/executions/ask%3Aone/approvals")
        .await
        .json();
    list["approvals"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_waits_is_listed_with_its_masked_question() {
    let (cloud, _) = cloud(&[]).await;
    let waiting = listed(&cloud).await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["span_id"], ATTEMPT);
    assert_eq!(waiting[0]["state"], "Approve");
    assert_eq!(waiting[0]["execution_id"], "ask:one");
    assert_eq!(waiting[0]["is_approval"], true);
    assert_eq!(waiting[0]["can_be_answered"], true);
    assert_eq!(waiting[0]["deadline"], Value::Null);
    let question = waiting[0]["question"].as_str().unwrap();
    assert_eq!(question, "Refund [REDACTED:email]?");

    let token = cloud.token("acme", [Scope::TracesRead]);
    let request = http::Request::get("/executions/ask%3Aone/approvals")
        .header("authorization", token)
        .body(axum::body::Body::empty());
    let answer = cloud.send(request.unwrap()).await.json();
    assert_eq!(answer["approvals"][0]["question"], Value::Null);
}

#[tokio::test]
async fn a_deadline_is_told() {
    let (cloud, _) = cloud(&[(
        "",
        json!({
            "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Arguments": {"FunctionName": "ask", "Payload": {}},
            "TimeoutSeconds": 600, "HeartbeatSeconds": 60, "End": true,
        }),
    )])
    .await;
    let waiting = listed(&cloud).await;
    let time = |name: &str| {
        let text = waiting[0][name].as_str().unwrap();
        trace_model::Timestamp::parse_rfc3339(text).unwrap()
    };
    assert_eq!(
        time("deadline").since(time("since")),
        Duration::from_mins(10)
    );
    assert_eq!(waiting[0]["heartbeat_seconds"], 60);
    assert_eq!(waiting[0]["is_approval"], false);
    assert_eq!(waiting[0]["can_be_answered"], false);
    let span = waiting[0]["span_id"].as_str().unwrap();
    let answer = decide(&cloud, span, json!({"output": 1})).await;
    let detail = answer.problem(422, "refused");
    assert!(detail.contains("task_token"), "{detail}");
}

#[tokio::test]
async fn an_approval_says_who_and_when_and_may_be_repeated() {
    let (cloud, run) = cloud(&[]).await;
    let body = json!({"approved": true, "comment": "a good customer"});
    let answer = decide(&cloud, ATTEMPT, body.clone()).await;
    assert_eq!(answer.status, 200);
    let decided = answer.json();
    let recorded = output(&cloud, &run).await;
    assert_eq!(decided["output"], recorded);
    assert_eq!(decided["span_id"], ATTEMPT);
    assert_eq!(recorded["approved"], true);
    assert_eq!(recorded["by"], "person@acme");
    assert_eq!(recorded["comment"], "a good customer");
    let at = recorded["at"].as_str().unwrap();
    assert!(trace_model::Timestamp::parse_rfc3339(at).is_some(), "{at}");

    // A response that was lost is asked for again.
    let again = decide(&cloud, ATTEMPT, body).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, decided));
    let other = decide(&cloud, ATTEMPT, json!({"approved": false})).await;
    let detail = other.problem(409, "already-decided");
    assert!(
        detail.contains("approved before by person@acme"),
        "{detail}"
    );
    assert_eq!(listed(&cloud).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_rejection_is_an_outcome() {
    let (cloud, run) = cloud(&[]).await;
    assert_eq!(
        decide(&cloud, ATTEMPT, json!({"approved": false}))
            .await
            .status,
        200
    );
    let recorded = output(&cloud, &run).await;
    assert_eq!(
        (&recorded["approved"], &recorded["comment"]),
        (&json!(false), &Value::Null)
    );
}

#[tokio::test]
async fn of_two_at_once_one_decides() {
    let (cloud, run) = cloud(&[]).await;
    let (yes, no) = tokio::join!(
        decide(&cloud, ATTEMPT, json!({"approved": true})),
        decide(&cloud, ATTEMPT, json!({"approved": false})),
    );
    let recorded = output(&cloud, &run).await;
    let (won, lost) = if recorded["approved"] == true {
        (yes, no)
    } else {
        (no, yes)
    };
    assert_eq!(won.json()["output"], recorded);
    lost.problem(409, "already-decided");
}

#[tokio::test]
async fn the_node_s_own_span_names_the_attempt_above_it() {
    let (cloud, run) = cloud(&[]).await;
    let mut attempt = Span::open(
        run.trace_id,
        ATTEMPT.parse().unwrap(),
        Some(run.root_span_id),
        "Approve attempt 1",
        SpanKind::Attempt,
        run.started_at,
    );
    attempt.set(
        conventions::WORKFLOW_RESOURCE,
        "lambda:invoke.waitForTaskToken",
    );
    let open =
        |id, parent, kind| Span::open(run.trace_id, id, Some(parent), "x", kind, run.started_at);
    let node = open(span_id(21), attempt.span_id, SpanKind::Node);
    let inner = open(span_id(22), span_id(21), SpanKind::Http);
    let apart = open(span_id(23), run.root_span_id, SpanKind::State);
    let policy = redaction::Policy::standard();
    let spans =
        [attempt, node, inner, apart].map(|span| policy.redact(redaction::RawSpan::from(span)));
    cloud
        .store
        .write_spans(&run.tenant, run.trace_id, spans.to_vec())
        .await
        .unwrap();
    let trace = cloud
        .get("acme", "/executions/ask%3Aone/trace")
        .await
        .json();
    let spans = trace["spans"].as_array().unwrap();
    let waiting: Vec<&Value> = spans
        .iter()
        .filter(|span| span["callback"]["waiting"] == true)
        .map(|span| &span["span_id"])
        .collect();
    assert_eq!(waiting, [ATTEMPT]);

    let apart = decide(&cloud, &span_id(23).to_string(), json!({"approved": true})).await;
    apart.problem(409, "nothing-waits");
    let unknown = decide(&cloud, &span_id(99).to_string(), json!({"approved": true})).await;
    unknown.problem(404, "not-found");
    let no_id = decide(&cloud, "nonsense", json!({"approved": true})).await;
    no_id.problem(404, "not-found");
    let answer = decide(&cloud, &span_id(22).to_string(), json!({"approved": true})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["span_id"], ATTEMPT);
    assert_eq!(output(&cloud, &run).await["approved"], true);
}

#[tokio::test]
async fn another_function_s_callback_takes_any_output() {
    let (cloud, run) = cloud(&[("/Arguments/Payload/node", json!("theirs"))]).await;
    let answer = decide(&cloud, ATTEMPT, json!({"output": {"ticket": [1, null]}})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(output(&cloud, &run).await, json!({"ticket": [1, null]}));
    let again = decide(&cloud, ATTEMPT, json!({"output": {"ticket": [1, null]}})).await;
    assert_eq!(again.status, 200);
    let other = decide(&cloud, ATTEMPT, json!({"output": null})).await;
    other.problem(409, "already-decided");
}

#[tokio::test]
async fn bad_decisions_are_refused_in_words() {
    let (cloud, run) = cloud(&[]).await;
    for (body, words) in [
        (json!({}), "approved is missing"),
        (json!({"approved": "yes"}), "invalid type"),
        (json!({"approved": true, "output": 1}), "not both"),
        (json!({"output": 1, "comment": "x"}), "comment goes with"),
        (
            json!({"approved": true, "comment": "x".repeat(4_097)}),
            "4096",
        ),
        (json!({"aproved": true}), "unknown field"),
    ] {
        let detail = decide(&cloud, ATTEMPT, body)
            .await
            .problem(400, "invalid-body");
        assert!(detail.contains(words), "{detail}");
    }
    // Who decided is part of an approval.
    let detail = decide(&cloud, ATTEMPT, json!({"output": {"approved": true}}))
        .await
        .problem(422, "refused");
    assert!(detail.contains("is an approval"), "{detail}");
    assert_eq!(listed(&cloud).await.len(), 1);

    let stopped = cloud.post("acme", "/executions/ask%3Aone/stop", "").await;
    assert_eq!(stopped.status, 200);
    cloud.reached(&run, "ExecutionAborted").await;
    let late = decide(&cloud, ATTEMPT, json!({"approved": true})).await;
    late.problem(409, "token-expired");
    assert_eq!(listed(&cloud).await, Vec::<Value>::new());
}

/// Hard case 25.
#[tokio::test]
async fn no_answer_holds_the_token() {
    let (cloud, run) = cloud(&[]).await;
    let history = cloud
        .clients
        .sfn()
        .get_execution_history()
        .execution_arn(run.execution_arn.as_ref().unwrap().as_str())
        .send()
        .await
        .unwrap();
    let scheduled = history
        .events
        .iter()
        .find_map(|event| event.task_scheduled_event_details.as_ref())
        .unwrap();
    let parameters: Value = serde_json::from_str(&scheduled.parameters).unwrap();
    let token = parameters["Payload"]["task_token"].as_str().unwrap();
    for answer in [
        cloud.get("acme", "/executions/ask%3Aone/approvals").await,
        decide(&cloud, ATTEMPT, json!({"approved": true})).await,
        decide(&cloud, ATTEMPT, json!({"approved": false})).await,
    ] {
        let text = String::from_utf8(answer.body).unwrap();
        assert!(!text.contains(token), "{text}");
    }
}
