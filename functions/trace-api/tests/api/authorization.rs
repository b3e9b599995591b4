//! Who may see what.

use std::collections::BTreeSet;

use axum::body::Body;
use http::Request;
use identity::Scope;
use serde_json::Value;

use crate::support::{Cloud, span_id};

/// What another tenant gets of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OtherTenant {
    /// The same answer as for what never existed, which is found under the second path.
    NeverExisted(&'static str),
    /// A list of its own.
    OwnList,
    /// All tenants share what is there.
    Shared,
}

struct Route {
    method: &'static str,
    template: &'static str,
    path: &'static str,
    body: &'static str,
    scope: Option<Scope>,
    /// What a token with that scope gets.
    granted: u16,
    other_tenant: OtherTenant,
}

/// Every route there is. One that is missing here fails the test.
const ROUTES: &[Route] = &[
    Route {
        method: "get",
        template: "/executions",
        path: "/executions",
        body: "",
        scope: Some(Scope::TracesRead),
        granted: 200,
        other_tenant: OtherTenant::OwnList,
    },
    Route {
        method: "get",
        template: "/executions/{id}",
        path: "/executions/triage%3Arun-1",
        body: "",
        scope: Some(Scope::TracesRead),
        granted: 200,
        other_tenant: OtherTenant::NeverExisted("/executions/triage%3Anever"),
    },
    Route {
        method: "get",
        template: "/executions/{id}/trace",
        path: "/executions/triage%3Arun-1/trace",
        body: "",
        scope: Some(Scope::TracesRead),
        granted: 200,
        other_tenant: OtherTenant::NeverExisted("/executions/triage%3Anever/trace"),
    },
    Route {
        method: "get",
        template: "/executions/{id}/trace/spans/{span_id}",
        path: "/executions/triage%3Arun-1/trace/spans/0000000000000002",
        body: "",
        scope: Some(Scope::TracesRead),
        granted: 200,
        other_tenant: OtherTenant::NeverExisted(
            "/executions/triage%3Anever/trace/spans/0000000000000002",
        ),
    },
    Route {
        method: "get",
        template: "/executions/{id}/trace/spans/{span_id}/content/{field}",
        path: "/executions/triage%3Arun-1/trace/spans/0000000000000002/content/workflow.input",
        body: "",
        scope: Some(Scope::ContentRead),
        granted: 200,
        other_tenant: OtherTenant::NeverExisted(
            "/executions/triage%3Anever/trace/spans/0000000000000002/content/workflow.input",
        ),
    },
    Route {
        method: "get",
        template: "/executions/{id}/artifacts",
        path: "/executions/triage%3Arun-1/artifacts",
        body: "",
        scope: Some(Scope::ArtifactsRead),
        granted: 200,
        other_tenant: OtherTenant::NeverExisted("/executions/triage%3Anever/artifacts"),
    },
    Route {
        method: "get",
        template: "/executions/{id}/artifacts/{artifact_id}",
        path: "/executions/triage%3Arun-1/artifacts/b54ad15ed7117acd22091b6d8e51433a",
        body: "",
        scope: Some(Scope::ArtifactsRead),
        granted: 200,
        other_tenant: OtherTenant::NeverExisted(
            "/executions/triage%3Anever/artifacts/b54ad15ed7117acd22091b6d8e51433a",
        ),
    },
    Route {
        method: "post",
        template: "/executions/{id}/stop",
        path: "/executions/ask%3Ato-stop/stop",
        body: "",
        scope: Some(Scope::WorkflowsRun),
        granted: 200,
        other_tenant: OtherTenant::NeverExisted("/executions/ask%3Anever/stop"),
    },
    Route {
        method: "post",
        template: "/executions/{id}/redrive",
        path: "/executions/ask%3Arunning/redrive",
        body: "",
        scope: Some(Scope::WorkflowsRun),
        // It runs: there is nothing to take up again.
        granted: 409,
        other_tenant: OtherTenant::NeverExisted("/executions/ask%3Anever/redrive"),
    },
    Route {
        method: "get",
        template: "/executions/{id}/approvals",
        path: "/executions/ask%3Arunning/approvals",
        body: "",
        scope: Some(Scope::TracesRead),
        granted: 200,
        other_tenant: OtherTenant::NeverExisted("/executions/ask%3Anever/approvals"),
    },
    Route {
        method: "post",
        template: "/executions/{id}/approvals/{span_id}",
        path: "/executions/ask%3Arunning/approvals/aa00000000000001",
        body: r#"{"approved":true}"#,
        scope: Some(Scope::WorkflowsRun),
        granted: 200,
        other_tenant: OtherTenant::NeverExisted(
            "/executions/ask%3Anever/approvals/aa00000000000001",
        ),
    },
    Route {
        method: "get",
        template: "/workflows",
        path: "/workflows",
        body: "",
        scope: Some(Scope::WorkflowsRead),
        granted: 200,
        other_tenant: OtherTenant::Shared,
    },
    Route {
        method: "get",
        template: "/workflows/{name}",
        path: "/workflows/triage",
        body: "",
        scope: Some(Scope::WorkflowsRead),
        granted: 200,
        other_tenant: OtherTenant::Shared,
    },
    Route {
        method: "post",
        template: "/workflows/{name}/executions",
        path: "/workflows/triage/executions",
        body: "",
        scope: Some(Scope::WorkflowsRun),
        granted: 201,
        other_tenant: OtherTenant::Shared,
    },
    Route {
        method: "get",
        template: "/me",
        path: "/me",
        body: "",
        scope: None,
        granted: 200,
        other_tenant: OtherTenant::OwnList,
    },
];

async fn cloud() -> Cloud {
    let cloud = Cloud::start().await;
    cloud.create_machine("triage").await;
    let run = cloud.seed("acme", "triage:run-1").await;
    cloud.make_artifact(&run).await;
    cloud.create_asking_machine(&[]).await;
    cloud.ask("acme", "to-stop").await;
    cloud.ask("acme", "running").await;
    cloud
}

fn request(route: &Route, path: &str, token: Option<&str>) -> Request<Body> {
    let mut request = Request::builder()
        .method(route.method.to_uppercase().as_str())
        .uri(path)
        .header("x-request-id", "the-same");
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    if !route.body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request.body(Body::from(route.body)).unwrap()
}

#[test]
fn every_route_is_covered() {
    let document: Value = serde_json::to_value(trace_api::openapi()).unwrap();
    let mut served = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            served.insert((method.clone(), path.clone()));
        }
    }
    let listed: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.template.to_owned()))
        .collect();
    assert_eq!(served, listed);
}

#[tokio::test]
async fn no_route_answers_without_a_token() {
    let cloud = cloud().await;
    for route in ROUTES {
        for token in [None, Some("Bearer nonsense"), Some("Basic YTpi"), Some("")] {
            let answer = cloud.send(request(route, route.path, token)).await;
            answer.problem(401, "unauthenticated");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer"), "{}", route.template);
        }
        let token = cloud.full_token("acme");
        let mut twice = request(route, route.path, Some(&token));
        let second = token.parse().unwrap();
        twice.headers_mut().append("authorization", second);
        cloud.send(twice).await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn no_route_answers_without_its_scope() {
    let cloud = cloud().await;
    for route in ROUTES {
        let Some(needed) = route.scope else { continue };
        let others = Scope::ALL.into_iter().filter(|scope| *scope != needed);
        let token = cloud.token("acme", others);
        let answer = cloud.send(request(route, route.path, Some(&token))).await;
        let detail = answer.problem(403, "missing-scope");
        assert!(detail.contains(needed.as_str()), "{detail}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("insufficient_scope"), "{challenge}");

        let token = cloud.token("acme", [needed]);
        let answer = cloud.send(request(route, route.path, Some(&token))).await;
        assert_eq!(answer.status, route.granted, "{}", route.template);
    }
}

/// Hard case 5.
#[tokio::test]
async fn another_tenant_s_thing_is_what_never_existed() {
    let cloud = cloud().await;
    let token = cloud.full_token("globex");
    for route in ROUTES {
        let answer = cloud.send(request(route, route.path, Some(&token))).await;
        match route.other_tenant {
            OtherTenant::NeverExisted(path) => {
                let never = cloud.send(request(route, path, Some(&token))).await;
                answer.problem(404, "not-found");
                assert_eq!(answer.body, never.body, "{}", route.template);
                assert_eq!(answer.headers, never.headers, "{}", route.template);
            }
            OtherTenant::OwnList => {
                assert!(answer.status.is_success());
                let text = String::from_utf8(answer.body).unwrap();
                assert!(!text.contains("acme") && !text.contains("run-1"), "{text}");
            }
            OtherTenant::Shared => assert!(answer.status.is_success(), "{}", route.template),
        }
    }
    let by_trace_id = cloud.seed("acme", "triage:run-2").await.trace_id;
    let own = cloud
        .get("acme", &format!("/executions/{by_trace_id}"))
        .await;
    assert!(own.status.is_success());
    let other = cloud
        .get("globex", &format!("/executions/{by_trace_id}"))
        .await;
    let never = cloud
        .get("globex", "/executions/0af7651916cd43dd8448eb211c80319c")
        .await;
    assert_eq!((other.body, other.headers), (never.body, never.headers));
    let span = span_id(2);
    let other = cloud
        .get(
            "acme",
            &format!("/executions/{by_trace_id}/trace/spans/{span}"),
        )
        .await;
    assert!(other.status.is_success());
}

#[tokio::test]
async fn the_document_needs_no_token() {
    let cloud = Cloud::start().await;
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let answer = cloud.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["info"]["title"], "Stepscope");
}

#[tokio::test]
async fn me_is_who_the_token_says() {
    let cloud = Cloud::start().await;
    let token = cloud.token("acme", [Scope::TracesRead, Scope::WorkflowsRun]);
    let request = Request::get("/me").header("authorization", token);
    let answer = cloud.send(request.body(Body::empty()).unwrap()).await;
    let me = answer.json();
    assert_eq!(me["tenant"], "acme");
    assert_eq!(me["subject"], "person@acme");
    assert_eq!(
        me["scopes"],
        serde_json::json!(["traces:read", "workflows:run"])
    );
}

/// Hard case 9.
#[tokio::test]
async fn only_listed_origins_may_read() {
    let cloud = cloud().await;
    for (origin, allowed) in [
        ("https://canvas.example", true),
        ("https://canvas.example.evil.example", false),
        ("http://canvas.example", false),
        ("null", false),
    ] {
        let preflight = Request::options("/executions")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .body(Body::empty())
            .unwrap();
        let read = Request::get("/executions")
            .header("origin", origin)
            .header("authorization", cloud.full_token("acme"))
            .body(Body::empty())
            .unwrap();
        for request in [preflight, read] {
            let answer = cloud.send(request).await;
            let expected = allowed.then_some(origin);
            assert_eq!(answer.header("access-control-allow-origin"), expected);
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
}
