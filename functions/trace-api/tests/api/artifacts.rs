//! What a workflow made.

use serde_json::json;

use crate::support::{ARTIFACT, Cloud};

#[tokio::test]
async fn artifacts_are_listed_with_what_is_known_of_them() {
    let cloud = Cloud::start().await;
    let run = cloud.seed("acme", "triage:run-1").await;
    let path = "/executions/triage%3Arun-1/artifacts";
    let none = cloud.get("acme", path).await;
    assert_eq!(none.json(), json!({"artifacts": []}));

    let made = cloud.make_artifact(&run).await;
    let artifacts = cloud.get("acme", path).await.json();
    let artifact = &artifacts["artifacts"][0];
    assert_eq!(artifact["id"], made.id);
    assert_eq!(artifact["name"], "reply.html");
    assert_eq!(artifact["content_type"], "text/html");
    assert_eq!(artifact["bytes"], ARTIFACT.len());
    assert_eq!(artifact["sha256"], made.sha256);
    assert_eq!(artifact["span_id"], "0000000000000004");
    assert!(artifact["created_at"].is_string());
    assert_eq!(artifact.get("url"), None, "a list gives no links");
}

#[tokio::test]
async fn hard_case_8_a_link_lives_five_minutes_and_saves_what_it_gives() {
    let cloud = Cloud::start().await;
    let run = cloud.seed("acme", "triage:run-1").await;
    let made = cloud.make_artifact(&run).await;
    let path = format!("/executions/triage%3Arun-1/artifacts/{}", made.id);
    let artifact = cloud.get("acme", &path).await.json();
    assert_eq!(artifact["id"], made.id);
    let url: url::Url = artifact["url"].as_str().unwrap().parse().unwrap();
    let signed: std::collections::BTreeMap<_, _> = url.query_pairs().collect();
    assert_eq!(signed["X-Amz-Expires"], "300");
    let disposition = &signed["response-content-disposition"];
    assert!(disposition.starts_with("attachment; filename=\"reply.html\""));
    assert_eq!(signed["response-content-type"], "text/html");
    assert!(url.path().contains("/t/acme/"), "{url}");
}

#[tokio::test]
async fn what_is_no_artifact_of_the_execution_is_not_found() {
    let cloud = Cloud::start().await;
    let run = cloud.seed("acme", "triage:run-1").await;
    cloud.seed("acme", "triage:run-2").await;
    let made = cloud.make_artifact(&run).await;
    for path in [
        format!("/executions/triage%3Arun-2/artifacts/{}", made.id),
        "/executions/triage%3Arun-1/artifacts/0".to_owned(),
        "/executions/triage%3Arun-1/artifacts/..%2F..%2Frun".to_owned(),
    ] {
        let detail = cloud.get("acme", &path).await.problem(404, "not-found");
        assert!(detail.contains("artifact"), "{detail}");
    }
}
