//! Runs, one by one and in lists.

use std::time::Duration;

use serde_json::json;

use crate::support::{Cloud, START, run};

#[tokio::test]
async fn an_execution_is_shown_whole() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    let answer = cloud.get("acme", "/executions/triage%3Arun-1").await;
    assert_eq!(answer.status, 200);
    insta::assert_json_snapshot!(answer.json());
}

#[tokio::test]
async fn lists_are_newest_first_in_pages() {
    let cloud = Cloud::start().await;
    for number in 0..7_u64 {
        let started_at = START.plus(Duration::from_secs(number));
        let run = run("acme", &format!("triage:run-{number}"), started_at);
        cloud.store_run(&run, Vec::new()).await;
    }
    let mut seen = Vec::new();
    let mut path = "/executions?limit=3".to_owned();
    loop {
        let page = cloud.get("acme", &path).await.json();
        for execution in page["executions"].as_array().unwrap() {
            seen.push(execution["id"].as_str().unwrap().to_owned());
        }
        let info = &page["page_info"];
        assert_eq!(info["has_next_page"], json!(info["cursor"].is_string()));
        let Some(cursor) = info["cursor"].as_str() else {
            break;
        };
        path = format!("/executions?limit=3&cursor={cursor}");
        assert!(seen.len() <= 7, "{seen:?}");
    }
    let expected: Vec<String> = (0..7).rev().map(|n| format!("triage:run-{n}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn lists_are_filtered() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:a").await;
    cloud.seed("acme", "digest:b").await;
    cloud.seed("globex", "triage:c").await;
    let count = async |query: &str| {
        let answer = cloud.get("acme", &format!("/executions?{query}")).await;
        answer.json()["executions"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count("workflow=triage").await, 1);
    assert_eq!(count("workflow=other").await, 0);
    assert_eq!(count("status=FAILED").await, 2);
    assert_eq!(count("status=SUCCEEDED").await, 0);
    assert_eq!(count("started_after=2026-01-01T00:00:00Z").await, 2);
    assert_eq!(count("started_before=2026-01-01T00:00:00Z").await, 0);
    // Each has 150 tokens, costs 0.0015 dollars and took 2,500 ms.
    for (fits, does_not) in [
        ("model=demo-model", "model=other"),
        ("error=ModelRefused", "error=Other"),
        ("min_duration_ms=2500", "min_duration_ms=2501"),
        ("max_duration_ms=2500", "max_duration_ms=2499"),
        ("min_tokens=150", "min_tokens=151"),
        ("min_cost_usd=0.0015", "min_cost_usd=0.001500000001"),
        ("min_cost_usd=0", "min_cost_usd=1"),
    ] {
        assert_eq!(count(fits).await, 2, "{fits}");
        assert_eq!(count(does_not).await, 0, "{does_not}");
    }
}

/// Hard case 5: a cursor is its tenant's and its query's.
#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_only() {
    let cloud = Cloud::start().await;
    for tenant in ["acme", "globex"] {
        for name in ["a", "b", "c"] {
            cloud.seed(tenant, &format!("triage:{tenant}-{name}")).await;
        }
    }
    let page = cloud.get("acme", "/executions?limit=1").await.json();
    let cursor = page["page_info"]["cursor"].as_str().unwrap();
    let own = cloud
        .get("acme", &format!("/executions?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(own.status, 200);
    let mut altered = cursor.to_owned();
    let last = altered.pop().unwrap();
    altered.push(if last == 'A' { 'E' } else { 'A' });
    for (tenant, query) in [
        ("globex", format!("cursor={cursor}")),
        ("acme", format!("workflow=triage&cursor={cursor}")),
        ("acme", format!("cursor={altered}")),
        ("acme", "cursor=".to_owned()),
        ("acme", "cursor=nonsense".to_owned()),
    ] {
        let answer = cloud.get(tenant, &format!("/executions?{query}")).await;
        answer.problem(400, "invalid-cursor");
    }
    let answer = cloud
        .get(
            "acme",
            &format!("/executions/triage%3Aacme-a/trace?cursor={cursor}"),
        )
        .await;
    answer.problem(400, "invalid-cursor");
}

#[tokio::test]
async fn a_missing_trace_says_why_to_its_own_tenant() {
    let cloud = Cloud::start().await;
    cloud.create_machine("triage").await;
    let body = json!({"name": "late", "input": {}}).to_string();
    let started = cloud
        .post("acme", "/workflows/triage/executions", body)
        .await;
    assert_eq!(started.status, 201);
    // It ran, and nothing has recorded it.
    for path in [
        "/executions/triage%3Alate",
        "/executions/triage%3Alate/trace",
    ] {
        let own = cloud.get("acme", path).await;
        own.problem(404, "not-recorded-yet");
        assert!(own.header("retry-after").is_some());
        let never = cloud.get("acme", &path.replace("late", "never")).await;
        never.problem(404, "not-found");
        let other = cloud.get("globex", path).await;
        other.problem(404, "not-found");
        assert_eq!((other.body, other.headers), (never.body, never.headers));
    }
}

#[tokio::test]
async fn what_is_no_id_names_nothing() {
    let cloud = Cloud::start().await;
    for id in [
        "x",
        "%3A",
        "a%3A",
        "%00",
        "%0A",
        "A".repeat(4_000).as_str(),
        "%F0%9F%92%A9",
    ] {
        let answer = cloud.get("acme", &format!("/executions/{id}")).await;
        answer.problem(404, "not-found");
    }
    let not_utf8 = cloud.get("acme", "/executions/%FF").await;
    assert!(not_utf8.status.is_client_error());
    assert_eq!(
        not_utf8.header("content-type"),
        Some("application/problem+json")
    );
}
