//! Stopping and redriving executions.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Cloud, arn, run};

async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    cloud.create_machine("triage").await;
    cloud.create_asking_machine(&[]).await;
    cloud
}

async fn described(cloud: &Cloud, id: &str) -> (String, Option<String>, Option<String>) {
    let described = cloud
        .clients
        .sfn()
        .describe_execution()
        .execution_arn(arn(id).as_str())
        .send()
        .await
        .unwrap();
    let status = described.status.as_str().to_owned();
    (status, described.error, described.cause)
}

#[tokio::test]
async fn a_stopped_execution_is_aborted_and_stopping_it_again_says_the_same() {
    let cloud = cloud().await;
    cloud.ask("acme", "one").await;
    let body = json!({"error": "Obsolete", "cause": "the customer called"}).to_string();
    let stopped = cloud
        .post("acme", "/executions/ask%3Aone/stop", body.clone())
        .await;
    assert_eq!(stopped.status, 200);
    assert_eq!(stopped.json()["status"], "ABORTED");
    assert_eq!(stopped.json()["id"], "ask:one");
    let expected = ("ABORTED", "Obsolete", "the customer called");
    let (status, error, cause) = described(&cloud, "ask:one").await;
    assert_eq!(
        (status.as_str(), error.as_deref(), cause.as_deref()),
        (expected.0, Some(expected.1), Some(expected.2))
    );
    let again = cloud.post("acme", "/executions/ask%3Aone/stop", body).await;
    assert_eq!(again.json(), stopped.json());
}

#[tokio::test]
async fn without_a_reason_the_cause_is_who_stopped_it() {
    let cloud = cloud().await;
    cloud.ask("acme", "one").await;
    let token = cloud.full_token("acme");
    let request = Request::post("/executions/ask%3Aone/stop").header("authorization", token);
    let stopped = cloud.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(stopped.status, 200);
    let (_, error, cause) = described(&cloud, "ask:one").await;
    assert_eq!(error, None);
    assert_eq!(cause.as_deref(), Some("stopped by person@acme"));
}

#[tokio::test]
async fn what_has_ended_is_not_stopped() {
    let cloud = cloud().await;
    let body = json!({"name": "done"}).to_string();
    let started = cloud
        .post("acme", "/workflows/triage/executions", body)
        .await;
    assert_eq!(started.status, 201);
    let done = run("acme", "triage:done", crate::support::START);
    cloud.store_run(&done, Vec::new()).await;
    cloud.reached(&done, "ExecutionSucceeded").await;
    let answer = cloud
        .post("acme", "/executions/triage%3Adone/stop", "")
        .await;
    let detail = answer.problem(409, "not-running");
    assert!(detail.contains("SUCCEEDED"), "{detail}");
    let answer = cloud
        .post("acme", "/executions/triage%3Adone/redrive", "")
        .await;
    let detail = answer.problem(409, "not-redrivable");
    assert!(detail.contains("SUCCEEDED"), "{detail}");
    // Its trace outlived it.
    cloud.seed("acme", "triage:gone").await;
    for route in ["stop", "redrive"] {
        let path = format!("/executions/triage%3Agone/{route}");
        let detail = cloud
            .post("acme", &path, "")
            .await
            .problem(409, "not-running");
        assert!(detail.contains("only its trace"), "{detail}");
    }
    let waiting = cloud
        .get("acme", "/executions/triage%3Agone/approvals")
        .await;
    assert_eq!(waiting.json()["approvals"], json!([]));
    for route in ["stop", "redrive"] {
        let path = format!("/executions/triage%3Anever/{route}");
        cloud
            .post("acme", &path, "")
            .await
            .problem(404, "not-found");
    }
}

#[tokio::test]
async fn bad_reasons_are_refused_in_words() {
    let cloud = cloud().await;
    cloud.ask("acme", "one").await;
    let check = async |body: Value, words: &str| {
        let answer = cloud
            .post("acme", "/executions/ask%3Aone/stop", body.to_string())
            .await;
        let detail = answer.problem(400, "invalid-body");
        assert!(detail.contains(words), "{detail}");
    };
    check(json!({"error": "x".repeat(257)}), "256").await;
    check(json!({"cause": "x".repeat(32_769)}), "32768").await;
    check(json!({"reason": "x"}), "unknown field `reason`").await;
    check(json!([]), "expected a JSON object").await;
    assert_eq!(described(&cloud, "ask:one").await.0, "RUNNING");
}
