//! Traces and their spans.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use identity::Scope;
use serde_json::{Value, json};
use trace_model::{Content, Span, SpanKind, Status, conventions};

use crate::support::{Cloud, START, run, span_id};

const TRACE: &str = "/executions/triage%3Arun-1/trace";

#[tokio::test]
async fn the_trace_is_as_the_contract_says() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    let answer = cloud.get("acme", TRACE).await;
    assert_eq!(answer.status, 200);
    let mut page = answer.json();
    assert!(page["page_info"]["revision"].as_u64().unwrap() > 0);
    page["page_info"]["revision"] = json!("a number");
    insta::assert_json_snapshot!(page);
}

#[tokio::test]
async fn a_trace_is_read_in_pages() {
    let cloud = Cloud::start().await;
    let run = run("acme", "triage:run-1", START);
    let spans = (1..=95_u64).map(|number| {
        // Pairs start together: then the span id decides.
        let start = START.plus(Duration::from_millis(number / 2));
        Span::open(
            run.trace_id,
            span_id(number),
            None,
            format!("s{number}"),
            SpanKind::Internal,
            start,
        )
    });
    cloud.store_run(&run, spans.collect()).await;
    for limit in [1_usize, 10, 94, 95, 96, 1_000] {
        let mut names = Vec::new();
        let mut query = format!("?limit={limit}");
        loop {
            let page = cloud.get("acme", &format!("{TRACE}{query}")).await.json();
            let spans = page["spans"].as_array().unwrap();
            assert!(!spans.is_empty() && spans.len() <= limit);
            names.extend(
                spans
                    .iter()
                    .map(|span| span["name"].as_str().unwrap().to_owned()),
            );
            let Some(cursor) = page["page_info"]["cursor"].as_str() else {
                break;
            };
            query = format!("?limit={limit}&cursor={cursor}");
            assert!(names.len() < 95);
        }
        let expected: Vec<String> = (1..=95).map(|number| format!("s{number}")).collect();
        assert_eq!(names, expected, "limit {limit}");
    }
}

#[tokio::test]
async fn a_page_ends_before_it_is_too_large_to_carry() {
    let cloud = Cloud::start().await;
    let run = run("acme", "triage:run-1", START);
    let spans = (1..=1_300_u64).map(|number| {
        let start = START.plus(Duration::from_millis(number));
        let mut span = Span::open(
            run.trace_id,
            span_id(number),
            None,
            "wide",
            SpanKind::Internal,
            start,
        );
        for key in 0..20 {
            span.set(&format!("attribute.{key}"), format!("{number} ").repeat(40));
        }
        span
    });
    cloud.store_run(&run, spans.collect()).await;
    let mut count = 0;
    let mut query = "?view=full&limit=5000".to_owned();
    let mut pages = 0;
    loop {
        let answer = cloud.get("acme", &format!("{TRACE}{query}")).await;
        assert!(answer.body.len() < 4_400_000, "{}", answer.body.len());
        let page = answer.json();
        count += page["spans"].as_array().unwrap().len();
        pages += 1;
        let Some(cursor) = page["page_info"]["cursor"].as_str() else {
            break;
        };
        query = format!("?view=full&limit=5000&cursor={cursor}");
    }
    assert_eq!(count, 1_300);
    assert!(pages > 1, "{pages}");
}

#[tokio::test]
async fn spans_are_filtered() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    let names = async |query: &str| -> Vec<String> {
        let page = cloud.get("acme", &format!("{TRACE}?{query}")).await.json();
        let spans = page["spans"].as_array().unwrap();
        spans
            .iter()
            .map(|span| span["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("kind=model").await, ["chat demo-model"]);
    assert_eq!(
        names("state=Classify").await,
        ["Classify", "Classify attempt 1"]
    );
    assert_eq!(names("status=unset").await, ["chat demo-model"]);
    assert_eq!(names("name=ATTEMPT").await, ["Classify attempt 1"]);
    assert_eq!(names("kind=run&status=ok").await, [""; 0]);
    assert_eq!(names("kind=model&limit=1").await, ["chat demo-model"]);
}

/// However few spans a filter leaves and however small the page, the chunks are read once.
#[tokio::test]
async fn a_filter_that_leaves_little_reads_the_trace_once() {
    let cloud = Cloud::start().await;
    let run = run("acme", "triage:run-1", START);
    let spans = (1..=3_001_u64).map(|number| {
        let start = START.plus(Duration::from_millis(number));
        let kind = match number {
            1..=11 | 3_001 => SpanKind::Model,
            _ => SpanKind::Internal,
        };
        Span::open(run.trace_id, span_id(number), None, "s", kind, start)
    });
    cloud.store_run(&run, spans.collect()).await;
    let mut query = "?kind=model&limit=11".to_owned();
    for found in [11, 1] {
        let before = cloud.table_calls();
        let page = cloud.get("acme", &format!("{TRACE}{query}")).await.json();
        assert_eq!(page["spans"].as_array().unwrap().len(), found);
        let calls = cloud.table_calls() - before;
        assert!(calls < 30, "{calls} calls for {found} spans");
        let cursor = page["page_info"]["cursor"].as_str().unwrap_or_default();
        assert_eq!(cursor.is_empty(), found == 1);
        query = format!("?kind=model&limit=11&cursor={cursor}");
    }
}

#[tokio::test]
async fn the_full_view_has_attributes_and_no_content() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    let answer = cloud
        .get("acme", &format!("{TRACE}?view=full&kind=model"))
        .await;
    let span = &answer.json()["spans"][0];
    assert_eq!(span["attributes"][conventions::REQUEST_MODEL], "demo-model");
    assert_eq!(span["events"], json!([]));
    let text = String::from_utf8(cloud.get("acme", &format!("{TRACE}?view=full")).await.body);
    assert!(!text.unwrap().contains("T-1"));
}

async fn span(cloud: &Cloud, scopes: &[Scope], id: &str) -> Value {
    let request = Request::get(format!("{TRACE}/spans/{id}"))
        .header("authorization", cloud.token("acme", scopes.iter().copied()))
        .body(Body::empty())
        .unwrap();
    cloud.send(request).await.json()
}

/// Hard case 10.
#[tokio::test]
async fn bodies_need_a_scope_of_their_own() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    let without = span(&cloud, &[Scope::TracesRead], "0000000000000002").await;
    let content = &without["content"][conventions::INPUT];
    assert_eq!(content["omitted"], "missing_scope");
    assert_eq!(content["body"], Value::Null);
    assert!(content["bytes"].as_u64().unwrap() > 0);
    let with = span(
        &cloud,
        &[Scope::TracesRead, Scope::ContentRead],
        "0000000000000002",
    )
    .await;
    let body = with["content"][conventions::INPUT]["body"]
        .as_str()
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(body).unwrap()["ticket"],
        "T-1"
    );
    assert_eq!(
        with["status"],
        json!({"code": "error", "message": "ModelRefused: not today"})
    );
    assert_eq!(
        with["parent_span_id"],
        json!(run("acme", "triage:run-1", START).root_span_id)
    );
}

#[tokio::test]
async fn a_span_that_is_not_there_is_not_found() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    for id in [
        "00000000000000ff",
        "0000000000000000",
        "x",
        "00000000000000AA",
    ] {
        let answer = cloud.get("acme", &format!("{TRACE}/spans/{id}")).await;
        answer.problem(404, "not-found");
    }
}

/// Hard case 17: what is not sent says so, with its size.
#[tokio::test]
async fn a_body_too_large_for_an_answer_says_so() {
    let cloud = Cloud::start().await;
    let run = run("acme", "triage:run-1", START);
    let mut large = Span::open(
        run.trace_id,
        span_id(1),
        None,
        "large",
        SpanKind::Node,
        START,
    );
    // Digits that do not look like a card's or an account's.
    let text = "wide ".repeat(500_000);
    large
        .content
        .insert("a".to_owned(), Content::text("text/plain", text.clone()));
    large
        .content
        .insert("b".to_owned(), Content::text("text/plain", "short"));
    large.finish(START, Status::Ok);
    cloud.store_run(&run, vec![large]).await;
    let answer = cloud
        .get("acme", &format!("{TRACE}/spans/0000000000000001"))
        .await;
    let content = &answer.json()["content"];
    assert_eq!(content["a"]["omitted"], "too_large");
    assert_eq!(content["a"]["bytes"], text.len());
    assert_eq!(content["b"]["body"], "short");
}
