//! Bodies, part by part.

use serde_json::Value;

use crate::support::Cloud;

const PATH: &str = "/executions/triage%3Arun-1/trace/spans/0000000000000002/content/workflow.input";

#[tokio::test]
async fn a_body_is_read_masked_and_in_parts() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    let whole = cloud.get("acme", PATH).await.json();
    let text = whole["text"].as_str().unwrap();
    assert!(text.contains("T-1") && !text.contains("jane.doe"), "{text}");
    assert_eq!(whole["bytes"], text.len());
    assert_eq!(whole["next_offset"], Value::Null);

    let (mut read, mut offset) = (String::new(), Some(0));
    while let Some(at) = offset {
        let path = format!("{PATH}?limit=10&offset={at}");
        let part = cloud.get("acme", &path).await.json();
        assert_eq!(part["offset"], at);
        read += part["text"].as_str().unwrap();
        offset = part["next_offset"].as_u64();
    }
    assert_eq!(read, text);
}

#[tokio::test]
async fn what_is_no_part_is_refused_and_what_is_no_field_not_found() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    for (query, words) in [
        ("offset=100000", "take it from next_offset"),
        ("offset=-1", "offset"),
        ("limit=3", "from 4 to 500000"),
        ("limit=500001", "limit"),
        ("page=2", "page"),
    ] {
        let answer = cloud.get("acme", &format!("{PATH}?{query}")).await;
        let detail = answer.problem(400, "invalid-query");
        assert!(detail.contains(words), "{query}: {detail}");
    }
    for path in [
        PATH.replace("workflow.input", "workflow.output"),
        PATH.replace("0000000000000002", "000000000000000f"),
        PATH.replace("0000000000000002", "root"),
    ] {
        cloud.get("acme", &path).await.problem(404, "not-found");
    }
}
