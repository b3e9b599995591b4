//! Hard case 25: each secret, in each place of a span, in each encoding, is in nothing that a
//! masked span is written as.

#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use prost::Message as _;
use redaction::{Policy, RawSpan};
use trace_model::otlp::{Bodies, encode_with};
use trace_model::{
    AttributeValue, Attributes, Content, Event, Link, Span, SpanId, SpanKind, Status, Timestamp,
    TraceId,
};

/// What must be gone, and the text that it is in.
const SECRETS: [(&str, &str); 20] = [
    (
        concat!(
            "stepscope_acme_0123456789abcdef_",
            "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
        ),
        concat!(
            "x-api-key stepscope_acme_0123456789abcdef_",
            "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
        ),
    ),
    ("AKIAIOSFODNN7EXAMPLE", "id AKIAIOSFODNN7EXAMPLE"),
    (
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    (
        concat!("ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"),
        concat!("use ghp_", "abcdefghijklmnopqrstuvwxyz0123456789 now"),
    ),
    (
        concat!("glpat-", "abcdefghij0123456789"),
        concat!("glpat-", "abcdefghij0123456789"),
    ),
    (
        concat!("xoxb-", "123456789012-abcdefghijkl"),
        concat!("bot xoxb-", "123456789012-abcdefghijkl"),
    ),
    (
        concat!("sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"),
        concat!("pay sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"),
    ),
    (
        concat!("sk-proj-", "abcDEF0123456789abcDEF0123456789"),
        concat!("model sk-proj-", "abcDEF0123456789abcDEF0123456789"),
    ),
    (
        concat!("sk-ant-api03-", "abcDEF0123456789abcDEF0123456789"),
        concat!("model sk-ant-api03-", "abcDEF0123456789abcDEF0123456789"),
    ),
    (
        concat!("AIza", "SyA0123456789abcdefghijklmnopqrstuv"),
        concat!("map AIza", "SyA0123456789abcdefghijklmnopqrstuv"),
    ),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJl",
        "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJl",
    ),
    (
        "MIIBOgIBAAJBAKj34GkxFhD90vcNLYLI",
        "-----BEGIN PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD90vcNLYLI\n-----END PRIVATE KEY-----",
    ),
    (
        "opaque-1234567890",
        "Authorization: Bearer opaque-1234567890",
    ),
    ("dXNlcjpodW50ZXIy", "Basic dXNlcjpodW50ZXIy"),
    ("hunter2horse", "postgres://app:hunter2horse@db:5432/main"),
    ("hunter2battery", "password=hunter2battery"),
    (
        "AAAAKgAAAAMAAAAAp0DZbnEGEuYBVZy7Lk2mH9WcQn1a5Xr3TzKfVw8o",
        "task AAAAKgAAAAMAAAAAp0DZbnEGEuYBVZy7Lk2mH9WcQn1a5Xr3TzKfVw8o",
    ),
    ("alice@example.com", "write to alice@example.com today"),
    ("4111 1111 1111 1111", "card 4111 1111 1111 1111 please"),
    ("5555555555554444", "card 5555555555554444 please"),
];

type Encode = fn(&str) -> String;

const ENCODINGS: [(&str, Encode); 7] = [
    ("plain", str::to_owned),
    ("base64", |text| STANDARD.encode(text)),
    ("base64 in prose", |text| {
        format!("see {}.", STANDARD.encode(text))
    }),
    ("base64url", |text| {
        format!("x={}", URL_SAFE_NO_PAD.encode(text))
    }),
    ("base64 twice", |text| {
        STANDARD.encode(STANDARD.encode(text))
    }),
    ("percent", |text| {
        text.bytes().fold(String::new(), |mut encoded, byte| {
            let _ = write!(encoded, "%{byte:02x}");
            encoded
        })
    }),
    ("percent of base64", |text| {
        STANDARD
            .encode(text)
            .replace('=', "%3D")
            .replace('/', "%2F")
    }),
];

type Plant = fn(&mut Span, &str);

fn attributes(key: &str, value: impl Into<AttributeValue>) -> Attributes {
    Attributes::from([(key.to_owned(), value.into())])
}

fn content(span: &mut Span, media_type: &str, text: String) {
    let content = Content::text(media_type, text);
    span.content.insert("workflow.input".to_owned(), content);
}

const PLACES: [(&str, Plant); 23] = [
    ("name", |span, text| text.clone_into(&mut span.name)),
    ("attribute", |span, text| span.set("note", text)),
    ("attribute key", |span, text| span.set(text, 1)),
    ("attribute in a list", |span, text| {
        span.set("notes", vec!["a".to_owned(), text.to_owned()]);
    }),
    ("attribute in a map", |span, text| {
        span.set("notes", attributes("deep", attributes("deeper", text)));
    }),
    ("key of a map", |span, text| {
        span.set("notes", attributes(text, 1));
    }),
    ("bytes", |span, text| {
        span.set("raw", AttributeValue::Bytes(text.as_bytes().to_vec()));
    }),
    ("header attribute", |span, text| {
        span.set("http.request.header.x-note", vec![text.to_owned()]);
    }),
    ("event name", |span, text| {
        span.events.push(event(text, Attributes::new()));
    }),
    ("event attribute", |span, text| {
        span.events
            .push(event("exception", attributes("exception.message", text)));
    }),
    ("event key", |span, text| {
        span.events.push(event("exception", attributes(text, true)));
    }),
    ("link attribute", |span, text| {
        span.links.push(Link {
            trace_id: span.trace_id,
            span_id: span.span_id,
            attributes: attributes("why", text),
        });
    }),
    ("status", |span, text| {
        let message = text.to_owned();
        span.status = Status::Error { message };
    }),
    ("resource", |span, text| {
        span.resource = attributes("host.name", text);
    }),
    ("resource key", |span, text| {
        span.resource = attributes(text, "x");
    }),
    ("scope", |span, text| {
        span.scope = (text.to_owned(), text.to_owned());
    }),
    ("text content", |span, text| {
        content(span, "text/plain", format!("Hello\n{text}\nbye"));
    }),
    ("JSON content", |span, text| {
        let json = serde_json::json!([{"role": "user", "parts": [{"content": text}]}]);
        content(span, "application/json", json.to_string());
    }),
    ("JSON key", |span, text| {
        content(
            span,
            "application/json",
            serde_json::json!({ text: 1 }).to_string(),
        );
    }),
    ("JSON in JSON in JSON", |span, text| {
        let inner = serde_json::json!({"arguments": text}).to_string();
        let middle = serde_json::json!({"body": inner}).to_string();
        content(
            span,
            "application/json",
            serde_json::json!([middle]).to_string(),
        );
    }),
    ("broken JSON", |span, text| {
        let json = serde_json::json!({"a": text}).to_string();
        content(
            span,
            "application/json",
            json.trim_end_matches('}').to_owned(),
        );
    }),
    ("content field", |span, text| {
        span.content
            .insert(text.to_owned(), Content::text("text/plain", "x"));
    }),
    ("media type", |span, text| {
        content(span, text, "x".to_owned());
    }),
];

fn event(name: &str, attributes: Attributes) -> Event {
    Event {
        name: name.to_owned(),
        time: Timestamp::default(),
        attributes,
    }
}

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

/// What of the encoded text would give the secret away: for base64 its middle, which is the
/// same whatever stands around it at that distance.
fn traces_of(secret: &str, text: &str, encode: Encode) -> Vec<String> {
    let before = &text[..text.find(secret).unwrap()];
    let with = encode(text);
    let without = encode(&format!("{before}{}", "\u{1}".repeat(secret.len())));
    let start = with
        .bytes()
        .zip(without.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let middle = with[start..].chars().skip(2).take(8).collect();
    vec![secret.to_owned(), with, middle]
}

#[test]
fn no_planted_secret_is_in_a_masked_span() {
    let policy = Policy::standard();
    let mut checked = 0;
    for (secret, text) in SECRETS {
        for (encoding, encode) in ENCODINGS {
            let planted = encode(text);
            let traces = traces_of(secret, text, encode);
            for (place, plant) in PLACES {
                let mut span = span();
                plant(&mut span, &planted);
                let masked = policy.redact(RawSpan::from(span));
                let bodies = Bodies::AsAttributes { at_most: u64::MAX };
                let written = encode_with(&[masked.span()], bodies).encode_to_vec();
                let written = String::from_utf8_lossy(&written);
                for trace in &traces {
                    assert!(
                        !written.contains(trace.as_str()),
                        "{trace:?} of {secret:?} as {encoding} in {place}: {:?}",
                        masked.span()
                    );
                }
                assert!(
                    written.contains("[REDACTED:"),
                    "{secret:?} as {encoding} in {place}"
                );
                assert!(!masked.redactions().is_empty());
                checked += 1;
            }
        }
    }
    assert_eq!(checked, SECRETS.len() * ENCODINGS.len() * PLACES.len());
}
