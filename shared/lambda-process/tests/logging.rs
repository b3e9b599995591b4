//! What a log line looks like, and what no value can do to it (hard cases 25 and 27).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use lambda_process::logging::{LogFormat, layer};
use serde_json::Value;
use trace_model::{Clock, Timestamp};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for Sink {
    type Writer = Self;

    fn make_writer(&'writer self) -> Self::Writer {
        self.clone()
    }
}

fn logged(format: LogFormat, log: impl FnOnce()) -> String {
    let sink = Sink::default();
    let clock = Clock::manual(Timestamp::from_unix_millis(1_700_000_000_123));
    let subscriber = tracing_subscriber::registry().with(layer(format, clock, sink.clone()));
    tracing::subscriber::with_default(subscriber, log);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn json_lines(log: impl FnOnce()) -> Vec<Value> {
    let text = logged(LogFormat::Json, log);
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn an_event_is_one_json_object_with_the_fields_around_it() {
    let lines = json_lines(|| {
        let span =
            tracing::info_span!("request", request_id = "r-1", route = tracing::field::Empty);
        let _entered = span.enter();
        span.record("route", "/executions");
        let inner = tracing::info_span!("store", items = 3);
        inner.in_scope(|| tracing::warn!(retry = true, took_ms = 1.5, "throttled"));
        tracing::info!("done");
    });
    assert_eq!(lines.len(), 2);
    let first = &lines[0];
    assert_eq!(first["timestamp"], "2023-11-14T22:13:20.123000000Z");
    assert_eq!(first["level"], "WARN");
    assert_eq!(first["target"], "logging");
    assert_eq!(first["message"], "throttled");
    assert_eq!(first["request_id"], "r-1");
    assert_eq!(first["spans"], serde_json::json!(["request", "store"]));
    let fields = serde_json::json!({
        "route": "/executions", "items": 3, "retry": true, "took_ms": 1.5,
    });
    assert_eq!(first["fields"], fields);
    assert_eq!(lines[1]["request_id"], "r-1");
    assert_eq!(
        lines[1]["fields"],
        serde_json::json!({"route": "/executions"})
    );
}

#[test]
fn the_request_id_of_lambda_s_runtime_is_known_too() {
    let lines = json_lines(|| {
        let span = tracing::info_span!("Lambda runtime invoke", requestId = "r-2");
        span.in_scope(|| tracing::info!("working"));
    });
    assert_eq!(lines[0]["request_id"], "r-2");
}

#[test]
fn no_field_passes_for_one_of_the_line_s_own() {
    let lines = json_lines(|| {
        tracing::info!(
            level = "ERROR",
            timestamp = "never",
            target = "x",
            spans = "y",
            "real"
        );
    });
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["message"], "real");
    assert_eq!(lines[0]["timestamp"], "2023-11-14T22:13:20.123000000Z");
    assert_eq!(lines[0]["fields"]["level"], "ERROR");
}

#[test]
fn cr_lf_ansi_and_bidi_in_values_forge_no_line() {
    let hostile = [
        "a\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}",
        "\u{1b}[2J\u{1b}[31mred\u{9b}31m",
        "user\u{202e}nimda\u{2066}\u{2069}\u{200f}",
        "line\u{2028}separator\u{2029}",
        "\0\u{7f}\u{85}\u{8}",
    ];
    for value in hostile {
        let log = || {
            let span = tracing::info_span!("request", request_id = value);
            let _entered = span.enter();
            tracing::error!(name = value, debug = ?value, "{value}");
        };
        for format in [LogFormat::Json, LogFormat::Text] {
            let text = logged(format, log);
            assert_eq!(text.lines().count(), 1, "{text:?}");
            let line = text.strip_suffix('\n').unwrap();
            let harmless = line.chars().all(|character| {
                !character.is_control()
                    && !matches!(character, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            });
            assert!(harmless, "{text:?}");
        }
        let lines = json_lines(log);
        assert_eq!(lines[0]["level"], "ERROR");
        assert_eq!(
            lines[0]["fields"]["name"], value,
            "the value itself is kept"
        );
        assert_eq!(lines[0]["request_id"], value);
        assert_eq!(lines[0]["message"], value);
    }
}

#[test]
fn secrets_in_messages_fields_spans_and_errors_are_masked() {
    let key = ["sk-proj", "-", "Zx8Qv2Lm9Rt4Yw7Kp3Nd6Hs1Bf5Gc0Ja"].concat();
    let mail = "ada.lovelace@example.org";
    let log = || {
        let span = tracing::info_span!("request", user = mail);
        let _entered = span.enter();
        let cause = std::io::Error::other(format!("provider refused {key}"));
        let error: &(dyn std::error::Error + 'static) = &cause;
        tracing::error!(header = %format!("Bearer {key}"), error, "calling with {key} for {mail}");
    };
    for format in [LogFormat::Json, LogFormat::Text] {
        let text = logged(format, log);
        assert!(!text.contains("Zx8Qv2Lm9Rt4"), "{text}");
        assert!(!text.contains("lovelace"), "{text}");
        assert!(text.contains("calling with"), "the rest stays: {text}");
    }
}

#[test]
fn an_error_is_logged_with_its_causes() {
    #[derive(Debug)]
    struct Outer(std::io::Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("cannot store")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let lines = json_lines(|| {
        let outer = Outer(std::io::Error::other("disk full"));
        let error: &(dyn std::error::Error + 'static) = &outer;
        tracing::error!(error, "failed");
    });
    assert_eq!(lines[0]["fields"]["error"], "cannot store: disk full");
}

#[test]
fn a_long_value_is_cut_and_says_so() {
    let long = "é".repeat(20_000);
    let lines = json_lines(|| tracing::info!(long, "x"));
    let shown = lines[0]["fields"]["long"].as_str().unwrap();
    assert!(shown.len() < 17_000);
    assert!(
        shown.ends_with("… [cut: 40000 bytes]"),
        "{}",
        &shown[shown.len() - 40..]
    );
}

#[test]
fn text_is_one_line_for_a_person() {
    let text = logged(LogFormat::Text, || {
        tracing::warn!(items = 3, name = "a b", "slow");
    });
    assert_eq!(
        text,
        "2023-11-14T22:13:20.123000000Z WARN  logging: slow items=3 name=\"a b\"\n"
    );
}
