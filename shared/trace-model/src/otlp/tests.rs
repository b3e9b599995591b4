use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value,
};
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as OtlpSpan, span, span::Link as OtlpLink,
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{
    AttributeValue, Attributes, Content, ContentBody, ContentLocation, Revision, Span, SpanId,
    SpanKind, Status, Timestamp, TraceId, arbitrary, conventions,
};

fn open(id: u8) -> Span {
    Span::open(
        TraceId::from_bytes([7; 16]).unwrap(),
        SpanId::from_bytes([id; 8]).unwrap(),
        None,
        "Classify",
        SpanKind::State,
        Timestamp::from_unix_millis(10),
    )
}

fn request(spans: Vec<OtlpSpan>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn foreign() -> OtlpSpan {
    OtlpSpan {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "chat gpt-4o".to_owned(),
        start_time_unix_nano: 5,
        end_time_unix_nano: 9,
        ..OtlpSpan::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn by_id(spans: Vec<Span>) -> HashMap<SpanId, Span> {
    spans.into_iter().map(|span| (span.span_id, span)).collect()
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(spans in proptest::collection::vec(arbitrary::span(), 0..5)) {
        let decoded = decode(&encode_to_vec(&spans.iter().collect::<Vec<_>>())).unwrap();
        prop_assert!(decoded.rejected.is_empty());
        prop_assert_eq!(by_id(decoded.spans), by_id(spans));
    }

    #[test]
    fn json_holds_the_same_request(spans in proptest::collection::vec(arbitrary::span(), 0..3)) {
        let request = encode(&spans.iter().collect::<Vec<_>>());
        let json = to_json(request.clone()).unwrap();
        prop_assert_eq!(from_json(json.as_bytes()).unwrap(), request);
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = from_json(&bytes);
    }
}

#[test]
fn spans_share_their_resource_and_scope() {
    let mut spans: Vec<_> = (1..=6).map(open).collect();
    for (index, span) in spans.iter_mut().enumerate() {
        span.resource.insert(
            "service.name".to_owned(),
            ["triage", "digest"][index % 2].into(),
        );
        span.scope.0 = ["tracer", "recorder"][index / 2 % 2].to_owned();
    }
    let request = encode(&spans.iter().collect::<Vec<_>>());
    assert_eq!(request.resource_spans.len(), 2);
    assert!(
        request
            .resource_spans
            .iter()
            .all(|resource| resource.scope_spans.len() == 2)
    );
    assert_eq!(by_id(decode_request(request).spans), by_id(spans));
}

#[test]
fn a_body_never_enters_the_structure_unasked() {
    let mut span = open(1);
    span.content.insert(
        conventions::INPUT_MESSAGES.to_owned(),
        Content::text("application/json", "the whole prompt"),
    );
    let bytes = encode_to_vec(&[&span]);
    assert!(!String::from_utf8_lossy(&bytes).contains("prompt"));
    let content = &decode(&bytes).unwrap().spans[0].content[conventions::INPUT_MESSAGES];
    assert_eq!(content.bytes, 16);
    assert_eq!(content.body, ContentBody::Stored(ContentLocation::Item));
}

#[test]
fn small_bodies_are_attributes_where_asked_and_return_to_content() {
    let mut span = open(1);
    let small = Content::text("text/plain", "sixteen bytes ok");
    let large = Content::text("text/plain", "seventeen bytes!!");
    span.content.insert("small".to_owned(), small.clone());
    span.content.insert("large".to_owned(), large);
    span.content.insert("taken".to_owned(), small.clone());
    span.set("taken", 3);
    let request = encode_with(&[&span], Bodies::AsAttributes { at_most: 16 });
    let attributes = &request.resource_spans[0].scope_spans[0].spans[0].attributes;
    assert!(attributes.contains(&text("small", "sixteen bytes ok")));
    assert!(!attributes.iter().any(|attribute| attribute.key == "large"));
    let decoded = decode_request(request).spans.remove(0);
    assert_eq!(decoded.content["small"], small);
    assert_eq!(
        decoded.content["large"].body,
        ContentBody::Stored(ContentLocation::Item)
    );
    assert_eq!(decoded.int("taken"), Some(3));
    assert_eq!(decoded.text("small"), None);
}

#[test]
fn an_open_span_has_no_end() {
    let request = encode(&[&open(1)]);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.end_time_unix_nano, 0);
    let decoded = decode_request(request).spans.remove(0);
    assert_eq!((decoded.end, decoded.revision), (None, Revision::OPENED));
}

#[test]
fn a_foreign_span_has_the_kind_its_attributes_tell() {
    fn check(attribute: (&str, &str), expected: SpanKind) {
        let mut span = foreign();
        span.attributes = vec![text(attribute.0, attribute.1)];
        let decoded = decode_received(request(vec![span])).spans.remove(0);
        assert_eq!(decoded.kind, expected, "{attribute:?}");
        assert_eq!(decoded.revision, Revision::FINISHED);
    }
    check((conventions::OPERATION_NAME, "chat"), SpanKind::Model);
    check(
        (conventions::OPERATION_NAME, "generate_content"),
        SpanKind::Model,
    );
    check(
        (conventions::OPERATION_NAME, "embeddings"),
        SpanKind::Embedding,
    );
    check(
        (conventions::OPERATION_NAME, "retrieval"),
        SpanKind::Retrieval,
    );
    check(
        (conventions::OPERATION_NAME, "execute_tool"),
        SpanKind::Tool,
    );
    check(
        (conventions::OPERATION_NAME, "invoke_agent"),
        SpanKind::Agent,
    );
    check(
        (conventions::OPERATION_NAME, "invoke_workflow"),
        SpanKind::Internal,
    );
    check((conventions::HTTP_REQUEST_METHOD, "GET"), SpanKind::Http);
    check(("db.system.name", "postgresql"), SpanKind::Internal);
}

#[test]
fn hard_case_12_mixed_spans_are_told_apart_with_reasons() {
    let broken = |trace_id: Vec<u8>, span_id: Vec<u8>| OtlpSpan {
        trace_id,
        span_id,
        ..foreign()
    };
    let decoded = decode_received(request(vec![
        foreign(),
        broken(vec![0; 16], vec![2; 8]),
        broken(vec![1; 15], vec![2; 8]),
        broken(vec![1; 16], vec![]),
        broken(vec![1; 16], vec![0; 8]),
    ]));
    assert_eq!(decoded.spans.len(), 1);
    let reasons: Vec<_> = decoded.rejected.iter().map(|one| one.reason).collect();
    assert_eq!(
        reasons,
        [
            RejectedReason::InvalidTraceId,
            RejectedReason::InvalidTraceId,
            RejectedReason::InvalidSpanId,
            RejectedReason::InvalidSpanId
        ]
    );
    assert_eq!(decoded.rejected[1].trace_id, "01".repeat(15));
    assert_eq!(decode(&[]).unwrap(), Decoded::default());
}

#[test]
fn hard_case_13_an_end_before_its_start_is_kept_and_flagged() {
    let mut span = open(1);
    span.finish(Timestamp::from_unix_millis(3), Status::Ok);
    for _ in 0..2 {
        span = decode(&encode_to_vec(&[&span])).unwrap().spans.remove(0);
        assert_eq!(
            span.flags().collect::<Vec<_>>(),
            [conventions::FLAG_END_BEFORE_START]
        );
        assert_eq!(span.start, Timestamp::from_unix_millis(10));
        assert_eq!(span.end, Some(Timestamp::from_unix_millis(3)));
    }
}

#[test]
fn hard_case_13_a_broken_parent_or_link_is_flagged_and_the_span_kept() {
    let decoded = decode_received(request(vec![OtlpSpan {
        parent_span_id: vec![3; 5],
        links: vec![OtlpLink::default()],
        ..foreign()
    }]));
    let span = &decoded.spans[0];
    assert_eq!(span.parent_span_id, None);
    assert!(span.links.is_empty());
    assert_eq!(
        span.flags().collect::<Vec<_>>(),
        [
            conventions::FLAG_INVALID_PARENT,
            conventions::FLAG_INVALID_LINK
        ]
    );
    let root = OtlpSpan {
        parent_span_id: vec![0; 8],
        ..foreign()
    };
    let decoded = decode_received(request(vec![root]));
    assert_eq!(decoded.spans[0].flags().count(), 0);
}

#[test]
fn nobody_outside_writes_our_attributes() {
    let mut ours = open(1);
    ours.revision = Revision(9);
    ours.set(conventions::REDACTION_POLICY, "standard-1");
    let mut content = Content::text("text/plain", "x");
    content.body = ContentBody::Stored(ContentLocation::Object("t/other/secret".to_owned()));
    ours.content.insert("workflow.input".to_owned(), content);
    let span = decode_received(encode(&[&ours])).spans.remove(0);
    assert_eq!(
        (span.kind, span.revision),
        (SpanKind::Internal, Revision::OPENED)
    );
    assert!(span.content.is_empty());
    assert_eq!(span.text(conventions::REDACTION_POLICY), None);
    assert_eq!(
        span.flags().collect::<Vec<_>>(),
        [conventions::FLAG_OWN_ATTRIBUTES_DROPPED]
    );
}

#[test]
fn what_otlp_says_beside_the_attributes_is_kept() {
    let mut request = request(vec![OtlpSpan {
        dropped_events_count: 4,
        trace_state: "vendor=1".to_owned(),
        ..foreign()
    }]);
    request.resource_spans[0].scope_spans[0].scope = Some(InstrumentationScope {
        attributes: vec![text("library.language", "python")],
        ..InstrumentationScope::default()
    });
    let span = decode_received(request).spans.remove(0);
    assert_eq!(span.int(conventions::DROPPED_EVENTS), Some(4));
    assert_eq!(span.text(conventions::TRACE_STATE), Some("vendor=1"));
    let scope = Attributes::from([("library.language".to_owned(), "python".into())]);
    assert_eq!(
        span.attributes[conventions::SCOPE_ATTRIBUTES],
        AttributeValue::Map(scope)
    );
}

#[test]
fn an_attribute_nested_too_deep_does_not_make_the_rest_unreadable() {
    let mut value = AttributeValue::from("bottom");
    for _ in 0..200 {
        value = AttributeValue::Map(Attributes::from([("down".to_owned(), value)]));
    }
    let mut span = open(1);
    span.set("deep", value.clone());
    span.events.push(crate::Event {
        name: "deep".to_owned(),
        time: Timestamp::default(),
        attributes: Attributes::from([("deep".to_owned(), value)]),
    });
    let bytes = encode_to_vec(&[&span]);
    let shown = format!("{:?}", decode(&bytes).unwrap().spans[0].attributes["deep"]);
    assert!(shown.contains("[nested deeper than 24 levels]"), "{shown}");
    let json = to_json(encode(&[&span])).unwrap();
    assert!(from_json(json.as_bytes()).is_ok());
}

#[test]
fn json_is_otlps_own() {
    let mut span = open(0xab);
    span.set("count", 7);
    span.set("share", f64::INFINITY);
    let json = to_json(encode(&[&span])).unwrap();
    for part in [
        r#""traceId":"07070707070707070707070707070707""#,
        r#""spanId":"abababababababab""#,
        r#""parentSpanId":"""#,
        r#""kind":1"#,
        r#""startTimeUnixNano":"10000000""#,
        r#"{"intValue":"7"}"#,
        r#"{"stringValue":"Infinity"}"#,
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
}

#[test]
fn json_of_other_programs_is_read() {
    let json = br#"{"resourceSpans":[{"unknown":{"a":[1]},"resource":null,"scopeSpans":[{"spans":[{
        "traceId":"0AF7651916CD43DD8448EB211C80319C","spanId":"b7ad6b7169203331",
        "name":"GET","kind":3,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":1700000000000000001,
        "parentSpanId":null,"status":{},
        "attributes":[{"key":"a","value":{"intValue":7}},{"key":"b","value":{"arrayValue":{}}},
          {"key":"c","value":{}},{"key":"d","value":{"doubleValue":"1.5"}},{"key":"e","value":{"doubleValue":"NaN"}},
          {"key":"f"},{"key":"g","value":{"kvlistValue":{}}}]}]}]}]}"#;
    let decoded = decode_received(from_json(json).unwrap());
    let span = &decoded.spans[0];
    assert_eq!(
        span.trace_id.to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(span.end.unwrap().as_unix_nanos(), 1_700_000_000_000_000_001);
    let expected = Attributes::from([
        ("a".to_owned(), 7.into()),
        ("b".to_owned(), AttributeValue::Array(vec![])),
        ("d".to_owned(), 1.5.into()),
        ("e".to_owned(), "NaN".into()),
        ("g".to_owned(), Attributes::new().into()),
    ]);
    assert_eq!(span.attributes, expected);
}

#[test]
fn hard_case_16_json_10000_levels_deep_is_an_error() {
    let deep = format!(
        r#"{{"resourceSpans":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert!(matches!(
        from_json(deep.as_bytes()),
        Err(OtlpError::Json(_))
    ));
    let mut value = any_value::Value::BoolValue(true);
    for _ in 0..200 {
        value = any_value::Value::ArrayValue(ArrayValue {
            values: vec![AnyValue { value: Some(value) }],
        });
    }
    let mut span = foreign();
    span.attributes = vec![KeyValue {
        key: "deep".to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }];
    let protobuf = request(vec![span]).encode_to_vec();
    assert!(matches!(decode(&protobuf), Err(OtlpError::Protobuf(_))));
}

fn received(span: OtlpSpan) -> Span {
    decode_received(request(vec![span])).spans.remove(0)
}

fn int(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::IntValue(value)),
        }),
        ..KeyValue::default()
    }
}

#[test]
fn older_names_are_understood_and_stay() {
    let span = received(OtlpSpan {
        attributes: vec![
            text("gen_ai.system", "az.ai.openai"),
            text(conventions::REQUEST_MODEL, "gpt-4o"),
            int("gen_ai.usage.prompt_tokens", 12),
            int("gen_ai.usage.completion_tokens", 5),
            int("gen_ai.usage.cache_read_input_tokens", 4),
            text("gen_ai.response.finish_reason", "stop"),
            text("http.method", "POST"),
        ],
        ..foreign()
    });
    assert_eq!(span.kind, SpanKind::Model);
    assert_eq!(
        span.text(conventions::PROVIDER_NAME),
        Some("azure.ai.openai")
    );
    assert_eq!(span.text("gen_ai.system"), Some("az.ai.openai"));
    let usage = crate::Usage::of(&span).unwrap();
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.cached_tokens),
        (Some(12), Some(5), Some(4))
    );
    let AttributeValue::Map(mapped) = &span.attributes[conventions::MAPPED] else {
        panic!("{span:?}");
    };
    assert_eq!(
        mapped[conventions::USAGE_INPUT_TOKENS],
        "gen_ai.usage.prompt_tokens".into()
    );
    assert_eq!(
        span.attributes[conventions::FINISH_REASONS],
        AttributeValue::Array(vec!["stop".into()])
    );
}

#[test]
fn a_current_name_wins_over_an_older_one() {
    let span = received(OtlpSpan {
        attributes: vec![
            int("gen_ai.usage.prompt_tokens", 12),
            int(conventions::USAGE_INPUT_TOKENS, 13),
        ],
        ..foreign()
    });
    assert_eq!(span.int(conventions::USAGE_INPUT_TOKENS), Some(13));
    assert!(!span.attributes.contains_key(conventions::MAPPED));
}

#[test]
fn cached_tokens_beside_the_others_are_counted_once() {
    let call = |input: i64| {
        received(OtlpSpan {
            attributes: vec![
                text(conventions::OPERATION_NAME, "chat"),
                int(conventions::USAGE_INPUT_TOKENS, input),
                int(conventions::USAGE_CACHE_READ, 900),
            ],
            ..foreign()
        })
    };
    let beside = call(10);
    assert_eq!(beside.int(conventions::USAGE_INPUT_TOKENS), Some(910));
    assert_eq!(beside.int(conventions::REPORTED_INPUT_TOKENS), Some(10));
    assert_eq!(call(910).int(conventions::USAGE_INPUT_TOKENS), Some(910));
}

#[test]
fn a_reported_cost_goes_before_our_prices() {
    let mut call = received(OtlpSpan {
        attributes: vec![
            text(conventions::OPERATION_NAME, "chat"),
            int(conventions::USAGE_INPUT_TOKENS, 10),
            KeyValue {
                key: "gen_ai.usage.cost".to_owned(),
                value: Some(AnyValue {
                    value: Some(any_value::Value::DoubleValue(0.25)),
                }),
                ..KeyValue::default()
            },
        ],
        ..foreign()
    });
    crate::apply_cost(&mut call);
    assert_eq!(call.int(conventions::COST_PICO_USD), Some(250_000_000_000));
    assert_eq!(call.text(conventions::PRICE_TABLE), Some("reported"));
}

#[test]
fn what_people_wrote_becomes_content() {
    let long = "x".repeat(5000);
    let span = received(OtlpSpan {
        attributes: vec![
            text(conventions::INPUT_MESSAGES, r#"[{"role":"user"}]"#),
            text("gen_ai.completion.0.role", "assistant"),
            text("gen_ai.completion.0.content", "good evening"),
            text("db.query.text", &long),
            text("short", "stays"),
        ],
        events: vec![
            span::Event {
                name: "gen_ai.content.prompt".to_owned(),
                attributes: vec![text("gen_ai.prompt", "hello")],
                ..span::Event::default()
            },
            span::Event {
                name: "exception".to_owned(),
                attributes: vec![
                    text("exception.type", "Timeout"),
                    text("db.query.text", &long),
                ],
                ..span::Event::default()
            },
        ],
        ..foreign()
    });
    let content = |field: &str| {
        let content = span.content.get(field);
        let content = content.unwrap_or_else(|| panic!("no {field} in {:?}", span.content.keys()));
        (content.media_type.as_str(), content.as_text().unwrap())
    };
    assert_eq!(
        content(conventions::INPUT_MESSAGES),
        ("application/json", r#"[{"role":"user"}]"#)
    );
    let said = r#"[{"role":"assistant","content":"good evening"}]"#;
    assert_eq!(
        content(conventions::OUTPUT_MESSAGES),
        ("application/json", said)
    );
    assert_eq!(content("gen_ai.prompt"), ("text/plain", "hello"));
    assert_eq!(content("db.query.text"), ("text/plain", long.as_str()));
    assert_eq!(content("events.1.db.query.text").1, long);
    assert_eq!(span.attributes.keys().collect::<Vec<_>>(), ["short"]);
    assert_eq!(span.events[1].attributes.len(), 1);
}

#[test]
fn messages_told_as_events_become_content_in_their_order() {
    let said = |name: &str, content: &str| span::Event {
        name: name.to_owned(),
        attributes: vec![text("content", content)],
        ..span::Event::default()
    };
    let span = received(OtlpSpan {
        events: vec![
            said("gen_ai.system.message", "be kind"),
            said("gen_ai.user.message", "hello"),
            said("gen_ai.choice", "good evening"),
        ],
        ..foreign()
    });
    let expected = r#"[{"role":"system","content":"be kind"},{"role":"user","content":"hello"}]"#;
    let input = &span.content[conventions::INPUT_MESSAGES];
    assert_eq!(input.as_text(), Some(expected));
    assert!(span.content.contains_key(conventions::OUTPUT_MESSAGES));
    assert!(span.events.iter().all(|event| event.attributes.is_empty()));
}

#[test]
fn hard_case_13_a_span_without_times_is_rejected_and_one_without_a_start_flagged() {
    let decoded = decode_received(request(vec![
        OtlpSpan {
            start_time_unix_nano: 0,
            end_time_unix_nano: 0,
            ..foreign()
        },
        OtlpSpan {
            start_time_unix_nano: 0,
            ..foreign()
        },
    ]));
    assert_eq!(decoded.rejected[0].reason, RejectedReason::NoTime);
    let span = &decoded.spans[0];
    assert_eq!(Some(span.start), span.end);
    assert_eq!(
        span.flags().collect::<Vec<_>>(),
        [conventions::FLAG_NO_START]
    );
}

#[test]
fn json_with_an_id_that_is_no_hex_loses_that_span_only() {
    let json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"AAECAwQFBgcICQoLDA0ODw==","spanId":"b7ad6b7169203331","endTimeUnixNano":"5"},
        {"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",
         "parentSpanId":"zz","endTimeUnixNano":"5"}]}]}]}"#;
    let decoded = decode_received_bytes(json, Form::Json, 1 << 20).unwrap();
    assert_eq!(decoded.rejected[0].reason, RejectedReason::InvalidTraceId);
    let flags: Vec<_> = decoded.spans[0].flags().collect();
    assert!(
        flags.contains(&conventions::FLAG_INVALID_PARENT),
        "{flags:?}"
    );
}

#[test]
fn hard_case_12_json_s_enums_are_numbers() {
    let json = |kind: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"kind":{kind},"endTimeUnixNano":"5",
            "traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}}]}}]}}]}}"#
        )
    };
    let span = decode_received(from_json(json("3").as_bytes()).unwrap())
        .spans
        .remove(0);
    assert_eq!(span.otel_kind, crate::OtelKind::Client);
    let error = from_json(json(r#""SPAN_KIND_CLIENT""#).as_bytes());
    assert!(matches!(error, Err(OtlpError::Json(_))));
}

#[test]
fn hard_case_11_what_would_take_much_memory_is_refused_unread() {
    fn check(bytes: &[u8], form: Form) {
        let refused = decode_received_bytes(bytes, form, 64 << 20);
        assert!(
            matches!(refused, Err(OtlpError::TooLarge { .. })),
            "{form:?} of {} bytes",
            bytes.len()
        );
    }
    // Each empty span is two bytes.
    let empty_spans = ScopeSpans {
        spans: vec![OtlpSpan::default(); 200_000],
        ..ScopeSpans::default()
    };
    let of_spans = |resource: Vec<KeyValue>, scope_spans: ScopeSpans| {
        let resource = opentelemetry_proto::tonic::resource::v1::Resource {
            attributes: resource,
            ..Default::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![scope_spans],
                ..ResourceSpans::default()
            }],
        }
    };
    let request = of_spans(Vec::new(), empty_spans).encode_to_vec();
    assert!(request.len() < 500_000);
    check(&request, Form::Protobuf);
    // A thousand spans, each of which would carry a resource of 100 KB.
    let spans = ScopeSpans {
        spans: vec![foreign(); 1000],
        ..ScopeSpans::default()
    };
    let request = of_spans(vec![text("host.name", &"x".repeat(100_000))], spans);
    check(&request.encode_to_vec(), Form::Protobuf);
    check(to_json(request).unwrap().as_bytes(), Form::Json);
    let zeros = format!(r#"{{"unknown":[0{}]}}"#, ",0".repeat(500_000));
    check(zeros.as_bytes(), Form::Json);
}

proptest! {
    #[test]
    fn any_bytes_are_weighed_and_decode_or_are_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        for form in [Form::Protobuf, Form::Json] {
            let _ = decode_received_bytes(&bytes, form, 1 << 20);
        }
    }

    #[test]
    fn what_is_received_is_decoded_whole(
        spans in proptest::collection::vec(arbitrary::span(), 0..5)
    ) {
        let spans: Vec<_> = spans.iter().collect();
        let protobuf = encode_to_vec(&spans);
        let decoded = decode_received_bytes(&protobuf, Form::Protobuf, u64::MAX).unwrap();
        prop_assert_eq!(decoded.spans.len() + decoded.rejected.len(), spans.len());
        prop_assert!(super::weight::of_protobuf(&protobuf) >= protobuf.len() as u64);
        let json = to_json(encode(&spans)).unwrap();
        let from_json = decode_received_bytes(json.as_bytes(), Form::Json, u64::MAX).unwrap();
        prop_assert_eq!(from_json.spans.len(), decoded.spans.len());
    }
}
