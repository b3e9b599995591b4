//! Who may send, and whose the spans are then.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use identity::{API_KEY_CACHE, Scope};
use ingest_spans::ROUTE;
use prost::Message as _;

use crate::support::{Answer, Cloud, request, span, tenant, text, trace_id};

async fn send(cloud: &Cloud, headers: &[(&str, &str)]) -> Answer {
    let mut post = Request::post(ROUTE).header("content-type", "application/x-protobuf");
    for (name, value) in headers {
        post = post.header(*name, *value);
    }
    let body = request(vec![span(1, 0)]).encode_to_vec();
    cloud.send(post.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn a_key_or_a_token_with_the_scope_is_let_in() {
    let cloud = Cloud::start().await;
    let token = cloud.token("acme", Scope::TracesWrite);
    let (key, _) = cloud.api_key("acme", Scope::TracesWrite).await;
    let bearer = format!("Bearer {key}");
    for headers in [
        ("authorization", token.as_str()),
        ("authorization", bearer.as_str()),
        ("x-api-key", key.as_str()),
    ] {
        send(&cloud, &[headers]).await.assert_all_stored();
    }
}

#[tokio::test]
async fn nobody_else_is_let_in() {
    let cloud = Cloud::start().await;
    let reader = cloud.token("acme", Scope::TracesRead);
    let writer = cloud.token("acme", Scope::TracesWrite);
    let (reading_key, _) = cloud.api_key("acme", Scope::TracesRead).await;
    let (key, _) = cloud.api_key("acme", Scope::TracesWrite).await;
    let of_globex = key.replacen("_acme_", "_globex_", 1);
    let mut guessed = key.clone();
    let last = if guessed.pop() == Some('0') { '1' } else { '0' };
    guessed.push(last);
    let cut = &key[..key.len() - 1];
    let basic = format!("Basic {key}");
    let cases: [(&[(&str, &str)], StatusCode); 11] = [
        (&[], StatusCode::UNAUTHORIZED),
        (
            &[("authorization", "Bearer x.y.z")],
            StatusCode::UNAUTHORIZED,
        ),
        (&[("authorization", &basic)], StatusCode::UNAUTHORIZED),
        (&[("authorization", &reader)], StatusCode::FORBIDDEN),
        (&[("x-api-key", &reading_key)], StatusCode::FORBIDDEN),
        (&[("x-api-key", &of_globex)], StatusCode::UNAUTHORIZED),
        (&[("x-api-key", &guessed)], StatusCode::UNAUTHORIZED),
        (&[("x-api-key", cut)], StatusCode::UNAUTHORIZED),
        (&[("x-api-key", &writer[7..])], StatusCode::UNAUTHORIZED),
        (
            &[("x-api-key", &key), ("authorization", &writer)],
            StatusCode::UNAUTHORIZED,
        ),
        (
            &[("x-api-key", &key), ("x-api-key", &key)],
            StatusCode::UNAUTHORIZED,
        ),
    ];
    for (headers, expected) in cases {
        let answer = send(&cloud, headers).await;
        assert_eq!(answer.status, expected, "{headers:?}");
        assert!(answer.header("www-authenticate").is_some());
        let message = answer.rpc_status().message;
        assert!(!message.contains(&key[key.len() - 64..]), "{message}");
    }
    assert_eq!(cloud.structure("acme", trace_id()).await.spans.len(), 0);
}

#[tokio::test]
async fn a_revoked_key_stops_within_a_minute() {
    let cloud = Cloud::start().await;
    let (key, id) = cloud.api_key("acme", Scope::TracesWrite).await;
    send(&cloud, &[("x-api-key", &key)])
        .await
        .assert_all_stored();
    // By another process: nothing tells this one.
    cloud
        .store
        .revoke_api_key(&tenant("acme"), &id)
        .await
        .unwrap();
    cloud.clock.advance(API_KEY_CACHE);
    let answer = send(&cloud, &[("x-api-key", &key)]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(API_KEY_CACHE <= Duration::from_mins(1));
}

#[tokio::test]
async fn a_key_ends_when_it_says() {
    let cloud = Cloud::start().await;
    let (key, _) = cloud.api_key("acme", Scope::TracesWrite).await;
    cloud
        .clock
        .advance(Duration::from_hours(1) - Duration::from_secs(1));
    send(&cloud, &[("x-api-key", &key)])
        .await
        .assert_all_stored();
    cloud.clock.advance(Duration::from_secs(1));
    let answer = send(&cloud, &[("x-api-key", &key)]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// Trace ids are no secret: who knows another tenant's writes a trace of their own.
#[tokio::test]
async fn hard_case_4_the_caller_decides_the_tenant_and_nothing_else_does() {
    let cloud = Cloud::start().await;
    let (of_acme, _) = cloud.api_key("acme", Scope::TracesWrite).await;
    let (of_globex, _) = cloud.api_key("globex", Scope::TracesWrite).await;
    send(&cloud, &[("x-api-key", &of_acme)])
        .await
        .assert_all_stored();
    let mut forged = span(2, 1);
    forged.attributes = vec![text("tenant", "acme"), text("stepscope.tenant", "acme")];
    let post = Request::post(ROUTE)
        .header("content-type", "application/x-protobuf")
        .header("x-api-key", &of_globex)
        .header("x-stepscope-tenant", "acme")
        .body(Body::from(request(vec![forged]).encode_to_vec()))
        .unwrap();
    cloud.send(post).await.assert_all_stored();
    for (name, expected) in [("acme", "step 1"), ("globex", "step 2")] {
        let structure = cloud.structure(name, trace_id()).await;
        let names: Vec<_> = structure.spans.iter().map(|one| &one.span().name).collect();
        assert_eq!(names, [expected]);
        let run = cloud.summarised_run(name, trace_id()).await.unwrap();
        assert_eq!(run.totals.unwrap().spans, 1);
    }
}
