//! Workflows, and starting them.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Cloud, PASS_MACHINE, arn};

const START: &str = "/workflows/triage/executions";

async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    cloud.create_machine("triage").await;
    cloud
}

async fn input_of(cloud: &Cloud, id: &str) -> Value {
    let described = cloud
        .clients
        .sfn()
        .describe_execution()
        .execution_arn(arn(id).as_str())
        .send()
        .await
        .unwrap();
    serde_json::from_str(&described.input.unwrap()).unwrap()
}

#[tokio::test]
async fn workflows_are_listed_in_pages() {
    let cloud = cloud().await;
    cloud.create_machine("digest").await;
    let first = cloud.get("acme", "/workflows?limit=1").await.json();
    let cursor = first["page_info"]["cursor"].as_str().unwrap();
    let second = cloud
        .get("acme", &format!("/workflows?limit=1&cursor={cursor}"))
        .await
        .json();
    let mut names = [&first, &second].map(|page| page["workflows"][0]["name"].as_str().unwrap());
    names.sort_unstable();
    assert_eq!(names, ["digest", "triage"]);
    assert_eq!(second["page_info"]["has_next_page"], false);
    let other = cloud
        .get("globex", &format!("/workflows?limit=1&cursor={cursor}"))
        .await;
    other.problem(400, "invalid-cursor");
}

#[tokio::test]
async fn a_workflow_has_its_definition() {
    let cloud = cloud().await;
    let workflow = cloud.get("acme", "/workflows/triage").await.json();
    let definition: Value = serde_json::from_str(PASS_MACHINE).unwrap();
    assert_eq!(workflow["definition"], definition);
    assert_eq!(workflow["type"], "STANDARD");
    for name in ["never", "a%3Ab", "%2F", "x%20y", "A".repeat(200).as_str()] {
        let answer = cloud.get("acme", &format!("/workflows/{name}")).await;
        answer.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_run_belongs_to_the_caller_s_tenant() {
    let cloud = cloud().await;
    for (name, input) in [
        ("a", json!({"ticket": 1})),
        (
            "b",
            json!({"ticket": 1, "stepscope": {"tenant": "globex", "kept": true}}),
        ),
        ("c", json!({"stepscope": "globex"})),
        ("d", Value::Null),
    ] {
        let body = json!({"name": name, "input": input}).to_string();
        let answer = cloud.post("acme", START, body).await;
        assert_eq!(answer.status, 201);
        let started = answer.json();
        assert_eq!(started["id"], format!("triage:{name}"));
        assert_eq!(
            answer.header("location"),
            Some(format!("/executions/triage%3A{name}").as_str())
        );
        let recorded = input_of(&cloud, &format!("triage:{name}")).await;
        assert_eq!(recorded["stepscope"]["tenant"], "acme");
        assert_eq!(recorded["ticket"], input["ticket"]);
    }
    let recorded = input_of(&cloud, "triage:b").await;
    assert_eq!(recorded["stepscope"]["kept"], true);
}

#[tokio::test]
async fn starting_is_idempotent_by_name() {
    let cloud = cloud().await;
    let body = json!({"name": "once", "input": {"x": 1}}).to_string();
    let first = cloud.post("acme", START, body.clone()).await.json();
    let again = cloud.post("acme", START, body.clone()).await;
    assert!(again.status.is_success());
    assert_eq!(again.json(), first);
    let other_input = json!({"name": "once", "input": {"x": 2}}).to_string();
    let refused = cloud.post("acme", START, other_input.clone()).await;
    refused.problem(409, "name-taken");
    // Another tenant learns no more than that the name is taken.
    let other = cloud.post("globex", START, body).await;
    other.problem(409, "name-taken");
    assert_eq!(other.body, refused.body);
    let unnamed = cloud.post("acme", START, Body::empty()).await;
    assert_eq!(unnamed.status, 201);
    assert_ne!(unnamed.json()["id"], first["id"]);
}

/// Hard case 16.
#[tokio::test]
async fn bad_bodies_are_refused_in_words() {
    let cloud = cloud().await;
    let deep = format!("{{\"input\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (body, words) in [
        ("{", "EOF"),
        ("nonsense", "expected"),
        ("[1]", "expected"),
        ("\"text\"", "expected"),
        (
            "{\"inptu\":{}}",
            "unknown field `inptu`, expected `input` or `name`",
        ),
        ("{\"input\":{},\"input\":{}}", "duplicate field"),
        ("{\"input\":[1]}", "input must be a JSON object"),
        ("{\"name\":\"a b\"}", "expected 1 to 80"),
        ("{\"name\":\"\"}", "expected 1 to 80"),
        ("{\"name\":7}", "expected a string"),
        (deep.as_str(), "recursion limit"),
    ] {
        let answer = cloud.post("acme", START, body.to_owned()).await;
        let detail = answer.problem(400, "invalid-body");
        assert!(detail.contains(words), "{body:.60}: {detail}");
    }
    let not_json = Request::post(START)
        .header("authorization", cloud.full_token("acme"))
        .header("content-type", "text/plain")
        .body(Body::from("{}"))
        .unwrap();
    cloud.send(not_json).await.problem(415, "wrong-media-type");
    let large = json!({"input": {"x": "y".repeat(300_000)}}).to_string();
    let detail = cloud
        .post("acme", START, large)
        .await
        .problem(413, "body-too-large");
    assert!(detail.contains("262144"), "{detail}");
    let huge = json!({"input": {"x": "y".repeat(1_100_000)}}).to_string();
    cloud
        .post("acme", START, huge)
        .await
        .problem(413, "body-too-large");
    let missing = cloud
        .post("acme", "/workflows/never/executions", "{}")
        .await;
    missing.problem(404, "not-found");
}
