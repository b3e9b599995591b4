#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

use proptest::prelude::*;
use redaction::{Policy, RawSpan, RedactedSpan};
use trace_model::{
    AttributeValue, Attributes, Content, ContentLocation, Event, Span, SpanId, SpanKind, Status,
    Timestamp, TraceId, conventions, otlp,
};

fn span() -> Span {
    Span::open(
        TraceId::from_bytes([1; 16]).unwrap(),
        SpanId::from_bytes([2; 8]).unwrap(),
        None,
        "Classify",
        SpanKind::Node,
        Timestamp::from_unix_millis(1_700_000_000_000),
    )
}

fn redact(span: Span) -> RedactedSpan {
    Policy::standard().redact(RawSpan::from(span))
}

fn content(text: &str) -> String {
    let mut span = span();
    let content = Content::text("application/json", text);
    span.content.insert("workflow.input".to_owned(), content);
    let masked = redact(span);
    let content = &masked.span().content["workflow.input"];
    let text = content.as_text().unwrap().to_owned();
    assert_eq!(content.bytes, text.len() as u64);
    let counted: u64 = masked.redactions().values().sum();
    assert_eq!(u64::from(content.redactions), counted);
    text
}

#[test]
fn json_is_masked_by_key_at_any_depth_and_else_stays_as_written() {
    fn check(json: &str, expected: &str) {
        assert_eq!(content(json), expected);
    }
    check(
        r#"{ "a":1.0,"a":[ {"password" : "x", "n": 12345678901234567890123} ] }"#,
        r#"{ "a":1.0,"a":[ {"password" : "[REDACTED:named-secret]", "n": 12345678901234567890123} ] }"#,
    );
    check(
        r#"{"credentials":{"user":"u","ok":true,"pin":[1,null]},"user":"u"}"#,
        r#"{"credentials":{"user":"[REDACTED:named-secret]","ok":true,"pin":["[REDACTED:named-secret]",null]},"user":"u"}"#,
    );
    check(
        r#"{"body":"{\"api_key\":\"x\",\"n\":1}"}"#,
        r#"{"body":"{\"api_key\":\"[REDACTED:named-secret]\",\"n\":1}"}"#,
    );
    check(
        r#"[{"name":"Authorization","value":"x"},{"name":"Accept","value":"x"}]"#,
        r#"[{"name":"Authorization","value":"[REDACTED:named-secret]"},{"name":"Accept","value":"x"}]"#,
    );
    check(
        r#"{"card":4111111111111111,"order":4111111111111112,"usage":{"input_tokens":412}}"#,
        r#"{"card":"[REDACTED:payment-card]","order":4111111111111112,"usage":{"input_tokens":412}}"#,
    );
    check(
        r#"{"mail \"alice@example.com\"":"\u0061lice@example.com"}"#,
        r#"{"mail \"[REDACTED:email]\"":"[REDACTED:email]"}"#,
    );
}

#[test]
fn a_secret_is_masked_whether_its_name_stands_before_or_behind_it() {
    let check = |json: &str, expected: &str| {
        assert_eq!(content(json), expected);
        assert_eq!(content(expected), expected);
    };
    check(
        r#"{"value":"hunter2-plain-value","name":"password"}"#,
        r#"{"value":"[REDACTED:named-secret]","name":"password"}"#,
    );
    check(
        r#"[{"values": ["x7", {"a": 8}], "value": 9, "of": [{"name": "n"}], "Key": "api_key"}, {"value": "x7"}]"#,
        r#"[{"values": ["[REDACTED:named-secret]", {"a": "[REDACTED:named-secret]"}], "value": "[REDACTED:named-secret]", "of": [{"name": "n"}], "Key": "api_key"}, {"value": "x7"}]"#,
    );
    // A name says something of its own object, and of no other.
    check(
        r#"{"value": {"value": "x7", "in": {"name": "password"}}, "name": "n", "list": ["name", "password"]}"#,
        r#"{"value": {"value": "x7", "in": {"name": "password"}}, "name": "n", "list": ["name", "password"]}"#,
    );
    check(
        r#"{"value":"x7","n\u0061me":"pass\u0077ord"}"#,
        r#"{"value":"[REDACTED:named-secret]","n\u0061me":"pass\u0077ord"}"#,
    );
}

#[test]
fn only_a_number_is_money() {
    let check = |value: AttributeValue, expected: AttributeValue| {
        let mut span = span();
        span.set(conventions::COST_PICO_USD, value);
        let masked = redact(span);
        let cost = &masked.span().attributes[conventions::COST_PICO_USD];
        assert_eq!(*cost, expected);
    };
    check(
        4_111_111_111_111_111_i64.into(),
        4_111_111_111_111_111_i64.into(),
    );
    check(
        "AKIAIOSFODNN7EXAMPLE".into(),
        "[REDACTED:aws-access-key-id]".into(),
    );
    let list = |text: &str| AttributeValue::Array(vec![text.into()]);
    check(list("ann@example.com"), list("[REDACTED:email]"));
}

#[test]
fn json_that_a_text_quotes_is_masked_by_key() {
    let check = |text: &str, expected: &str| {
        assert_eq!(content(text), expected);
    };
    check(
        r#"POST /pay answered 500: {"credentials": {"user": "ann", "code": "x7"}} { and [ more"#,
        r#"POST /pay answered 500: {"credentials": {"user": "[REDACTED:named-secret]", "code": "[REDACTED:named-secret]"}} { and [ more"#,
    );
    check(
        r#"Use {"name": "X-Api-Key", "value": "x7"}, or password=x8, {not: json}"#,
        r#"Use {"name": "X-Api-Key", "value": "[REDACTED:named-secret]"}, or password=[REDACTED:named-secret], {not: json}"#,
    );
    check(
        r#"two: {"a": 1.50} {"api_keys": ["x7", "x8"]}"#,
        r#"two: {"a": 1.50} {"api_keys": ["[REDACTED:named-secret]", "[REDACTED:named-secret]"]}"#,
    );
    let unclosed = r#"{"a":"#.repeat(20_000);
    check(&unclosed, &unclosed);
}

#[test]
fn hard_case_16_json_of_any_depth_is_walked_or_replaced() {
    let deep = format!(
        "{}{{\"password\":\"hunter2\"}}{}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert!(content(&deep).contains(r#"{"password":"[REDACTED:named-secret]"}"#));
    let mut text = r#"{"note":"hunter2"}"#.to_owned();
    for _ in 0..9 {
        text = serde_json::to_string(&[text]).unwrap();
    }
    let masked = content(&text);
    assert!(masked.contains("[REDACTED:too-deep "), "{masked}");
    assert!(!masked.contains("hunter2"));
}

#[test]
fn attributes_nested_too_deep_are_replaced() {
    let mut value = AttributeValue::from("hunter2");
    for _ in 0..40 {
        value = AttributeValue::Array(vec![value]);
    }
    let mut span = span();
    span.set("deep", value);
    let masked = redact(span);
    let shown = format!("{:?}", masked.span());
    assert!(shown.contains("[REDACTED:too-deep]") && !shown.contains("hunter2"));
    let bytes = otlp::encode_to_vec(&[masked.span()]);
    assert_eq!(&otlp::decode(&bytes).unwrap().spans[0], masked.span());
}

#[test]
fn what_is_too_large_to_look_through_is_replaced_and_says_its_size() {
    let large = " ".repeat((64 << 20) + 1);
    let masked = Policy::standard().redact_text(&large);
    assert_eq!(masked.as_str(), "[REDACTED:too-large 67108865 bytes]");
    assert_eq!(masked.redactions(), 1);
}

#[test]
fn attributes_are_masked_by_their_key_whatever_their_type() {
    let mut span = span();
    span.set("db.password", 1234);
    span.set("api_key", 1.5);
    span.set("client.secret", AttributeValue::Bytes(vec![0xff, 1]));
    span.set("http.request.header.authorization", vec!["x".to_owned()]);
    span.set("password", "");
    span.set("secret", true);
    let masked = redact(span);
    let marker = AttributeValue::from("[REDACTED:named-secret]");
    for key in ["db.password", "api_key", "client.secret"] {
        assert_eq!(masked.span().attributes[key], marker, "{key}");
    }
    assert_eq!(
        masked.span().attributes["http.request.header.authorization"],
        AttributeValue::Array(vec![marker])
    );
    assert_eq!(masked.span().text("password"), Some(""));
    assert_eq!(masked.redactions()["named-secret"], 4);
}

#[test]
fn keys_that_become_one_stay_two() {
    let mut span = span();
    span.set("alice@example.com", 1);
    span.set("bob@example.com", 2);
    let masked = redact(span);
    assert_eq!(masked.span().int("[REDACTED:email]"), Some(1));
    assert_eq!(masked.span().int("(2) [REDACTED:email]"), Some(2));
}

#[test]
fn hard_case_26_a_model_call_s_own_attributes_stay() {
    let mut span = span();
    span.set(conventions::USAGE_INPUT_TOKENS, 412);
    span.set(conventions::USAGE_CACHE_READ, 100);
    span.set(conventions::REQUEST_MAX_TOKENS, 4096);
    span.set(conventions::COST_PICO_USD, 4_111_111_111_111_111_i64);
    span.set(conventions::COST_USD, 0.000_123);
    span.set(conventions::REQUEST_MODEL, "gpt-4o-mini-2024-07-18");
    span.set(
        conventions::RESPONSE_ID,
        "chatcmpl-9XyZ1a2B3c4D5e6F7g8H9i0J",
    );
    span.set("session_id", "5f2c1a7e-9b3d-4c8e-a1f0-3d2b1c0a9f8e");
    span.set("auth_types", vec!["basic".to_owned()]);
    span.set(
        conventions::EXECUTION_ARN,
        "arn:aws:states:us-east-1:000000000000:execution:support-triage:run-1",
    );
    let before = span.attributes.clone();
    let masked = redact(span);
    let mut after = masked.span().attributes.clone();
    assert_eq!(
        after.shift_remove(conventions::REDACTION_POLICY),
        Some("standard-2".into())
    );
    assert_eq!(after, before);
    assert!(masked.redactions().is_empty());
}

#[test]
fn the_summary_survives_storage() {
    let mut span = span();
    span.name = "mail alice@example.com and bob@example.com".to_owned();
    span.set("password", "hunter2");
    let mut masked = redact(span);
    masked.content_stored_at("none", ContentLocation::Item);
    let expected =
        [("email", 2), ("named-secret", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(masked.redactions(), &expected.into());
    let stored = otlp::encode_to_vec(&[masked.span()]);
    let read = otlp::decode(&stored).unwrap().spans.remove(0);
    assert_eq!(RedactedSpan::from_stored(read).unwrap(), masked);
}

#[test]
fn a_span_without_the_mark_is_not_taken_back() {
    assert!(RedactedSpan::from_stored(span()).is_err());
}

#[test]
fn a_summary_that_someone_else_wrote_hides_nothing() {
    let mut span = span();
    let counts = [
        ("hunter2".to_owned(), AttributeValue::Int(1)),
        ("email".to_owned(), "alice@example.com".into()),
        ("payment-card".to_owned(), AttributeValue::Int(2)),
    ];
    span.set(conventions::REDACTIONS, Attributes::from(counts));
    span.set(conventions::REDACTION_POLICY, "hunter2");
    let masked = redact(span);
    let shown = format!("{:?}", masked.span());
    assert!(
        !shown.contains("hunter2") && !shown.contains("alice"),
        "{shown}"
    );
    assert_eq!(masked.redactions().len(), 1);
}

#[test]
fn a_raw_span_shows_nothing_in_a_log() {
    let mut span = span();
    span.name = "hunter2".to_owned();
    let shown = format!("{:?}", RawSpan::from(span));
    assert!(shown.contains("0202020202020202") && !shown.contains("hunter2"));
}

/// Text made of the pieces that the detectors look at.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "password",
        "token",
        "api key",
        "Cookie",
        "=",
        ":",
        ": ",
        " ",
        "\"",
        "'",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\n",
        "@",
        "%40",
        "%",
        "\\u0040",
        "alice@example.com",
        "://",
        "<",
        ">",
        "AKIAIOSFODNN7EXAMPLE",
        "4111 1111 1111 1111",
        "4111111111111111",
        "[REDACTED:email]",
        "[REDACTED:",
        "YWxpY2VAZXhhbXBsZS5jb20=",
        "-----BEGIN PRIVATE KEY-----",
        "Bearer ",
        "--",
        "x",
        "hunter2",
        "é",
        "{\"secret\":\"",
        "\"}",
        "1",
        "-",
        ".",
    ];
    let piece = proptest::sample::select(pieces);
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    fn any_span()(texts in proptest::collection::vec(any_text(), 8)) -> Span {
        let mut span = span();
        span.name.clone_from(&texts[0]);
        span.set(&texts[1], texts[2].as_str());
        span.set("list", texts[3..5].to_vec());
        span.set(&texts[2], Attributes::from([(texts[4].clone(), texts[5].as_str().into())]));
        span.status = Status::Error { message: texts[5].clone() };
        span.events.push(Event {
            name: texts[6].clone(),
            time: Timestamp::default(),
            attributes: Attributes::from([(texts[7].clone(), texts[0].as_str().into())]),
        });
        span.content.insert(texts[6].clone(), Content::text("text/plain", texts[1].clone()));
        let json = serde_json::json!({ texts[7].as_str(): [texts[3].as_str()] });
        span.content.insert("json".to_owned(), Content::json(&json));
        span
    }
}

proptest! {
    #[test]
    fn redacting_twice_changes_nothing(span in any_span()) {
        let once = redact(span);
        let twice = redact(once.span().clone());
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn any_text_is_masked_without_a_panic(text in "\\PC{0,60}") {
        let once = Policy::standard().redact_text(&text);
        let twice = Policy::standard().redact_text(once.as_str());
        prop_assert_eq!(twice.as_str(), once.as_str());
    }
}
