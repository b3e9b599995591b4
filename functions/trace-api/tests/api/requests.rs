//! What holds for every route: strict parameters, request ids, conditional and compressed
//! answers, errors as problem details.

use axum::body::Body;
use http::Request;

use crate::support::Cloud;

/// Hard case 16.
#[tokio::test]
async fn bad_parameters_are_refused_by_name() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    let trace = "/executions/triage%3Arun-1/trace";
    for (path, words) in [
        (
            "/executions?limit=0",
            "limit is \"0\"; expected a whole number from 1 to 1000",
        ),
        ("/executions?limit=1000000000", "limit is"),
        ("/executions?limit=ten", "limit is"),
        ("/executions?limit=-1", "limit is"),
        ("/executions?limit=1.5", "limit is"),
        ("/executions?limit=+5", "limit is"),
        ("/executions?limit=", "limit is"),
        ("/executions?limit=99999999999999999999999", "limit is"),
        ("/executions?limit=1&limit=2", "limit is there twice"),
        ("/executions?limt=1", "did you mean limit?"),
        ("/executions?start_after=x", "did you mean started_after?"),
        ("/executions?zzz", "this route takes workflow, status"),
        (
            "/executions?status=failed",
            "expected one of RUNNING, SUCCEEDED",
        ),
        (
            "/executions?started_after=yesterday",
            "expected an RFC 3339 time",
        ),
        ("/executions?min_tokens=-1", "expected a whole number"),
        ("/executions?max_duration_ms=1s", "expected a whole number"),
        ("/executions?min_cost_usd=1e3", "expected US dollars"),
        ("/executions?min_cost_usd=.5", "expected US dollars"),
        ("/executions?min_cost_usd=0.0000000000001", "12 decimals"),
        ("/executions?min_cost_usd=9300000.0", "expected US dollars"),
        ("/me?", ""),
        ("/workflows/triage?x=1", "this route takes none"),
        (&format!("{trace}?limit=5001"), "from 1 to 5000"),
        (
            &format!("{trace}?view=all"),
            "expected one of structure, full",
        ),
        (&format!("{trace}?kind=llm"), "expected one of run, state"),
        (
            &format!("{trace}?status=FAILED"),
            "expected one of unset, ok, error",
        ),
    ] {
        let answer = cloud.get("acme", path).await;
        if words.is_empty() {
            assert_eq!(answer.status, 200, "{path}");
            continue;
        }
        let detail = answer.problem(400, "invalid-query");
        assert!(detail.contains(words), "{path}: {detail}");
    }
}

/// A page of a listed origin reads why it was refused; one of another origin reads nothing.
#[tokio::test]
async fn errors_have_the_headers_that_let_a_page_read_them() {
    let cloud = Cloud::start().await;
    let listed = "https://canvas.example";
    for (path, status, kind) in [
        ("/me", 401, "unauthenticated"),
        ("/nothing", 404, "no-such-route"),
    ] {
        for (origin, allowed) in [(listed, Some(listed)), ("https://other.example", None)] {
            let request = Request::get(path).header("origin", origin);
            let answer = cloud.send(request.body(Body::empty()).unwrap()).await;
            answer.problem(status, kind);
            assert_eq!(answer.header("access-control-allow-origin"), allowed);
            let exposed = answer.header("access-control-expose-headers").unwrap();
            assert!(exposed.contains("www-authenticate"), "{exposed}");
        }
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let cloud = Cloud::start().await;
    cloud
        .get("acme", "/nothing")
        .await
        .problem(404, "no-such-route");
    let answer = cloud.post("acme", "/executions", "{}").await;
    answer.problem(405, "method-not-allowed");
    assert!(answer.header("allow").unwrap().contains("GET"));
}

#[tokio::test]
async fn a_request_has_an_id_and_keeps_its_own() {
    let cloud = Cloud::start().await;
    let send = async |id: Option<&[u8]>| {
        let mut request = Request::get("/me").header("authorization", cloud.full_token("acme"));
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        let answer = cloud.send(request.body(Body::empty()).unwrap()).await;
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(send(Some(b"abc-1.2_3")).await, "abc-1.2_3");
    assert_ne!(send(None).await, send(None).await);
    // Nothing that could forge a line of the log.
    for bad in [
        &b""[..],
        b"a b",
        b"a\"b",
        b"\x1b",
        "a".repeat(200).as_bytes(),
    ] {
        if let Ok(value) = http::HeaderValue::from_bytes(bad) {
            let id = send(Some(value.as_bytes())).await;
            assert_eq!(id.len(), 36, "{id}");
        }
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    let path = "/executions/triage%3Arun-1/trace";
    let send = async |tag: Option<&str>| {
        let mut request = Request::get(path).header("authorization", cloud.full_token("acme"));
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        cloud.send(request.body(Body::empty()).unwrap()).await
    };
    let first = send(None).await;
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(first.header("cache-control"), Some("private, no-cache"));
    for same in [tag.as_str(), "*", &format!("\"other\", {tag}")] {
        let again = send(Some(same)).await;
        assert_eq!(again.status, 304);
        assert!(again.body.is_empty());
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
    assert_eq!(send(Some("\"other\"")).await.status, 200);
    cloud.seed("acme", "triage:run-2").await;
    assert_eq!(send(Some(&tag)).await.status, 304);
}

#[tokio::test]
async fn answers_are_compressed_when_asked() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    for (encoding, magic) in [
        ("gzip", &[0x1f, 0x8b][..]),
        ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
    ] {
        let request = Request::get("/executions/triage%3Arun-1/trace")
            .header("authorization", cloud.full_token("acme"))
            .header("accept-encoding", encoding)
            .body(Body::empty())
            .unwrap();
        let answer = cloud.send(request).await;
        assert_eq!(answer.header("content-encoding"), Some(encoding));
        assert!(answer.body.starts_with(magic));
        assert!(answer.header("etag").is_some());
    }
}

#[tokio::test]
async fn requests_are_measured_by_route_and_never_by_path() {
    let cloud = Cloud::start().await;
    cloud.seed("acme", "triage:run-1").await;
    for path in [
        "/executions/triage%3Arun-1",
        "/executions/secret-name",
        "/nowhere/secret-name",
    ] {
        cloud.get("acme", path).await;
    }
    let lines = cloud.metrics.lines();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["Route"].as_str(), line["StatusClass"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("/executions/{id}"), Some("2xx")),
            (Some("/executions/{id}"), Some("4xx")),
            (Some("none"), Some("4xx")),
        ]
    );
    assert_eq!(cloud.metrics.values("RequestDuration").len(), 3);
    assert_eq!(cloud.metrics.values("Responses"), [1.0; 3]);
    assert!(!cloud.metrics.text().contains("secret-name"));
}
