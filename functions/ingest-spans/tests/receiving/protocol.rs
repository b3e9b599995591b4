//! Hard cases 11 and 12: what OTLP over HTTP demands of a receiver, and what no sender may do.

use std::io::Write as _;

use axum::body::Body;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, StatusCode};
use identity::Scope;
use ingest_spans::{LARGEST_BODY, LARGEST_UNPACKED, ROUTE};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::support::{Cloud, request, span, text, trace_id};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 19).unwrap()
}

#[tokio::test]
async fn hard_case_12_an_empty_request_is_success() {
    let cloud = Cloud::start().await;
    cloud
        .post_protobuf(&ExportTraceServiceRequest::default())
        .await
        .assert_all_stored();
    for empty in ["{}", r#"{"resourceSpans":[]}"#] {
        let answer = cloud.post_json(empty).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({})));
    }
    let nothing = cloud.post_json("").await;
    assert_eq!(nothing.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn hard_case_12_mixed_spans_are_success_with_the_number_of_rejected_ones() {
    let cloud = Cloud::start().await;
    let mut without_id = span(2, 1);
    without_id.span_id = vec![0; 8];
    let mut short = span(3, 1);
    short.trace_id = vec![7; 15];
    let mut huge = span(4, 1);
    huge.trace_id = vec![7; 100_000];
    let mixed = request(vec![span(1, 0), without_id, short, huge]);
    let answer = cloud.post_protobuf(&mixed).await;
    let partial = answer.response().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 3);
    for part in [
        "2 rejected because trace id is all zero or not 16 bytes",
        "1 rejected because span id is all zero or not 8 bytes",
        r#"the first: trace id "070707070707070707070707070707", span id "0000000000000003""#,
    ] {
        assert!(partial.error_message.contains(part), "{partial:?}");
    }
    assert!(partial.error_message.len() < 1000);
    assert_eq!(cloud.structure("acme", trace_id()).await.spans.len(), 1);
    let json = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": "", "spanId": "b7ad6b7169203331", "endTimeUnixNano": "5"
    }]}]}]});
    let answer = cloud.post_json(json.to_string()).await;
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(partial["rejectedSpans"], "1");
    assert!(
        partial["errorMessage"]
            .as_str()
            .unwrap()
            .contains("trace id")
    );
}

/// As the specification describes JSON: hex ids, numbers for enums, what is unknown passed over.
#[tokio::test]
async fn hard_case_12_json_is_read_as_the_specification_says() {
    let cloud = Cloud::start().await;
    let json = json!({
        "resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{
                "scope": {"name": "checkout", "version": "2.1"},
                "futureField": {"with": ["anything"]},
                "spans": [{
                    "traceId": "0AF7651916CD43DD8448EB211C80319C",
                    "spanId": "EEE19B7EC3C1B174",
                    "parentSpanId": "eee19b7ec3c1b173",
                    "name": "charge the card",
                    "kind": 3,
                    "startTimeUnixNano": "1795000000000000001",
                    "endTimeUnixNano": 1_795_000_000_000_000_009_u64,
                    "status": {"code": 2, "message": "declined"},
                    "attributes": [
                        {"key": "items", "value": {"intValue": "3"}},
                        {"key": "tags", "value": {"arrayValue": {"values": [{"boolValue": true}]}}},
                    ],
                    "events": [{"timeUnixNano": "1795000000000000002", "name": "retry"}],
                    "links": [{"traceId": "00000000000000000000000000000001", "spanId": "0000000000000001"}],
                }],
            }],
        }],
    });
    let answer = cloud.post_json(json.to_string()).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({})));
    let structure = cloud.structure("acme", trace_id()).await;
    let span = structure.spans[0].span();
    assert_eq!(span.span_id.to_string(), "eee19b7ec3c1b174");
    assert_eq!(span.otel_kind, trace_model::OtelKind::Client);
    assert_eq!(span.end.unwrap().as_unix_nanos(), 1_795_000_000_000_000_009);
    assert_eq!(span.int("items"), Some(3));
    assert_eq!((span.events.len(), span.links.len()), (1, 1));
    assert_eq!(span.scope.0, "checkout");
    assert_eq!(span.resource["service.name"], "shop".into());
    assert!(span.is_error());
}

#[tokio::test]
async fn hard_case_12_errors_are_a_status_in_the_request_s_type() {
    let cloud = Cloud::start().await;
    let answer = cloud
        .post(
            &[("content-type", "application/x-protobuf")],
            "not protobuf",
        )
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.rpc_status().code, 3);
    assert_eq!(answer.header("retry-after"), None);
    let answer = cloud.post_json("{\"resourceSpans\": 1}").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let status = answer.json();
    assert_eq!(status["code"], 3);
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("ExportTraceServiceRequest"), "{message}");
    for headers in [&[][..], &[("content-type", "text/plain")]] {
        let answer = cloud.post(headers, "{}").await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(answer.json()["code"], 12);
    }
    let get = Request::get(ROUTE).body(Body::empty()).unwrap();
    let answer = cloud.send(get).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("allow"), Some("POST"));
}

#[tokio::test]
async fn hard_case_12_only_what_may_succeed_later_says_when() {
    let cloud = Cloud::start().await;
    let batch = request((1..=3).map(|id| span(id, 0)).collect());
    // Throttled for longer than the store tries.
    cloud.throttle.writes(usize::MAX);
    let answer = cloud.post_protobuf(&batch).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), Some("5"));
    let status = answer.rpc_status();
    assert_eq!(status.code, 14);
    let request_id = answer.header("x-request-id").unwrap();
    assert!(status.message.contains(request_id), "{}", status.message);
    assert!(!status.message.contains("DynamoDB"), "{}", status.message);
    assert_eq!(cloud.structure("acme", trace_id()).await.spans.len(), 0);
    // Throttled for a moment: nobody notices.
    cloud.throttle.writes(2);
    cloud.post_protobuf(&batch).await.assert_all_stored();
    cloud.post_protobuf(&batch).await.assert_all_stored();
    let structure = cloud.structure("acme", trace_id()).await;
    assert_eq!((structure.spans.len(), structure.revision), (3, 1));
}

#[tokio::test]
async fn packed_bodies_are_unpacked() {
    let cloud = Cloud::start().await;
    let body = |id| request(vec![span(id, 0)]).encode_to_vec();
    for (id, coding, packed) in [
        (1, "gzip", gzip(&body(1))),
        (2, "zstd", zstd(&body(2))),
        (3, "identity", body(3)),
        (4, "gzip, zstd", zstd(&gzip(&body(4)))),
    ] {
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", coding),
        ];
        cloud.post(&headers, packed).await.assert_all_stored();
        let stored = cloud.structure("acme", trace_id()).await.spans.len();
        assert_eq!(stored, id, "{coding}");
    }
    for (coding, body, expected) in [
        ("gzip", body(5), StatusCode::BAD_REQUEST),
        ("zstd", body(5), StatusCode::BAD_REQUEST),
        (
            "gzip",
            gzip(&body(5))[..30].to_vec(),
            StatusCode::BAD_REQUEST,
        ),
        ("br", body(5), StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", coding),
        ];
        assert_eq!(
            cloud.post(&headers, body).await.status,
            expected,
            "{coding}"
        );
    }
}

/// The most that this process ever held, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// Zeros, packed so that a few kilobytes unfold to gigabytes.
fn bomb(pack: fn(&[u8]) -> Vec<u8>, times: usize) -> Vec<u8> {
    // Members and frames may follow one another.
    pack(&vec![0; 64 << 20]).repeat(times)
}

#[tokio::test]
async fn hard_case_11_bombs_are_refused_in_bounded_memory() {
    let cloud = Cloud::start().await;
    let bombs = [
        ("gzip", bomb(gzip, 40)),
        ("zstd", bomb(zstd, 40)),
        ("gzip, gzip", gzip(&bomb(gzip, 40))),
        ("zstd, gzip", gzip(&bomb(zstd, 40))),
        ("gzip, zstd", zstd(&bomb(gzip, 40))),
    ];
    let before = peak_memory();
    for (coding, bomb) in bombs {
        assert!(bomb.len() < LARGEST_BODY, "{coding}: {}", bomb.len());
        for form in ["application/x-protobuf", "application/json"] {
            let headers = [("content-type", form), ("content-encoding", coding)];
            let answer = cloud.post(&headers, bomb.clone()).await;
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{coding}");
            assert_eq!(answer.header("retry-after"), None);
        }
    }
    let grown = peak_memory() - before;
    // Twice the bound, since a list grows by doubling, and what the other tests of this process
    // take meanwhile.
    let most = (5 * LARGEST_UNPACKED) as u64;
    assert!(grown < most, "{} MiB", grown >> 20);
}

#[tokio::test]
async fn hard_case_11_what_unfolds_in_memory_is_refused_too() {
    let cloud = Cloud::start().await;
    // Two bytes a span, and each would carry the resource.
    let mut request = request(vec![Span::default(); 2_000_000]);
    let resource = request.resource_spans[0].resource.as_mut().unwrap();
    resource.attributes.push(text("filler", &"x".repeat(1000)));
    let body = gzip(&request.encode_to_vec());
    drop(request);
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "gzip"),
    ];
    let answer = cloud.post(&headers, body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let message = answer.rpc_status().message;
    assert!(message.contains("send fewer spans"), "{message}");
}

#[tokio::test]
async fn hard_case_11_content_length_is_neither_believed_nor_ignored() {
    let cloud = Cloud::start().await;
    // Says too much.
    let too_large = vec![b' '; LARGEST_BODY + 1];
    let answer = cloud.post_json(too_large.clone()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Says nothing, or too little: counted as it comes.
    let pieces = too_large.chunks(1 << 20).map(<[u8]>::to_vec);
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> = pieces.map(Ok).collect();
    let token = cloud.token("acme", Scope::TracesWrite);
    let request = Request::post(ROUTE)
        .header("authorization", token)
        .header("content-type", "application/json")
        .header("content-length", "2")
        .body(Body::from_stream(futures::stream::iter(pieces)))
        .unwrap();
    let answer = cloud.send(request).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Breaks off.
    let broken = futures::stream::iter([
        Ok::<_, std::io::Error>(b"{".to_vec()),
        Err(std::io::Error::other("gone")),
    ]);
    let answer = cloud.post_json(Body::from_stream(broken)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn hard_case_16_json_10000_levels_deep_is_refused() {
    let cloud = Cloud::start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let answer = cloud
        .post_json(format!(r#"{{"resourceSpans":{deep}}}"#))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}
