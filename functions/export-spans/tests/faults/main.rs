//! The export against a collector that misbehaves, with the real embedded storage.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod collector;
mod content;
mod patience;
mod replay;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_lambda_events::dynamodb::Event;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use collector::{Answer, Collector, OK};
use export_spans::{Exported, Exporter};
use lambda_process::metrics::{Captured, Metrics};
use lambda_process::{Config, ExportContent};
use local_storage::{
    ChangeRecord, Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials,
    StartingPosition,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use prost::Message as _;
use redaction::{Policy, RawSpan};
use tempfile::TempDir;
use trace_model::{Clock, Content, Span, SpanId, SpanKind, Status, TenantId, Timestamp, TraceId};
use trace_store::{StoreConfig, TraceStore};

const FIELD: &str = "gen_ai.input.messages";

struct Cloud {
    storage: LocalStorage,
    store: TraceStore,
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    clock: Clock,
    metrics: Captured,
    _folder: TempDir,
}

async fn cloud() -> Cloud {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalStorageConfig {
        durability: Durability::ProcessCrash,
        loopback_credentials: LoopbackCredentials {
            access_key_id: "local".to_owned(),
            secret_access_key: "local".to_owned(),
        },
    };
    let storage = LocalStorage::open(folder.path(), config).unwrap();
    let credentials = Credentials::from_keys("local", "local", None);
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
        .credentials_provider(credentials.clone())
        .http_client(storage.dynamodb_http_client());
    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(credentials)
        .force_path_style(true)
        .http_client(storage.s3_http_client());
    let clock = Clock::manual(Timestamp::parse_rfc3339("2045-03-01T12:00:00Z").unwrap());
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb.build());
    let s3 = aws_sdk_s3::Client::from_conf(s3.build());
    let store = TraceStore::new(
        dynamodb.clone(),
        s3.clone(),
        StoreConfig::new("stepscope", "stepscope"),
        clock.clone(),
    );
    store.create_table_if_missing().await.unwrap();
    let cloud = Cloud {
        storage,
        store,
        dynamodb,
        s3,
        clock,
        metrics: Captured::default(),
        _folder: folder,
    };
    cloud.changes().await;
    cloud
}

fn trace_id() -> TraceId {
    "0af7651916cd43dd8448eb211c80319c".parse().unwrap()
}

impl Cloud {
    fn span(&self, number: u8) -> Span {
        let id = |number| SpanId::from_bytes([number; 8]).unwrap();
        let now = self.clock.now();
        let mut span = Span::open(
            trace_id(),
            id(number),
            Some(id(200)),
            "chat demo-model",
            SpanKind::Model,
            now,
        );
        span.set("gen_ai.request.model", "demo-model");
        span.set("gen_ai.usage.input_tokens", 12_u64);
        let prompt = Content::text("text/plain", format!("prompt {number}"));
        span.content.insert(FIELD.to_owned(), prompt);
        span.finish(now.plus(Duration::from_millis(5)), Status::Ok);
        span
    }

    async fn write(&self, spans: impl IntoIterator<Item = Span>) {
        let policy = Policy::standard();
        let redact = |span| policy.redact(RawSpan::from(span));
        let spans = spans.into_iter().map(redact).collect();
        let tenant = TenantId::parse("acme").unwrap();
        let write = self.store.write_spans(&tenant, trace_id(), spans);
        write.await.unwrap();
    }

    /// All changes so far, as the table's stream gives them.
    async fn changes(&self) -> Event {
        let feed = self.storage.change_feed();
        let consumer = feed.consumer("test", StartingPosition::TrimHorizon).await;
        let batch = consumer.unwrap().next_batch(1000, Duration::ZERO).await;
        ChangeRecord::into_event(batch.unwrap())
    }

    fn exporter(&self, collector: &Collector, settings: &[(&str, &str)]) -> Exporter {
        let content = ExportContent::Inline;
        self.exporter_with(collector, settings, content)
    }

    fn exporter_with(
        &self,
        collector: &Collector,
        settings: &[(&str, &str)],
        content: ExportContent,
    ) -> Exporter {
        let endpoint = format!("http://127.0.0.1:{}", collector.port);
        let mut values = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint)];
        let settings = settings.iter();
        values.extend(settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::from_map(values).unwrap();
        Exporter::new(config.otlp.unwrap(), content, self.clock.clone()).unwrap()
    }

    /// Exports everything in the feed: how many records have to come again, and what went.
    async fn export(&self, exporter: &Exporter) -> (usize, Exported) {
        let event = self.changes().await;
        self.handle(exporter, event, None).await
    }

    async fn handle(
        &self,
        exporter: &Exporter,
        event: Event,
        until: Option<Timestamp>,
    ) -> (usize, Exported) {
        let metrics = self.metrics.metrics(self.clock.clone());
        let mut batch = metrics.batch();
        let handled = export_spans::handle(&self.store, exporter, event, until, &mut batch);
        let (response, outcome) = handled.await;
        (response.batch_item_failures.len(), outcome)
    }
}

fn attribute<'a>(span: &'a OtlpSpan, key: &str) -> Option<&'a str> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let attribute = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn ok() -> Answer {
    Answer::Whole(OK, Vec::new())
}

/// The collector is at fault, then well again: nothing may be lost.
async fn check_held_until_well(answer: Answer, settings: &[(&str, &str)]) {
    let cloud = cloud().await;
    let collector = Collector::start(answer).await;
    let exporter = cloud.exporter(&collector, settings);
    cloud.write([cloud.span(1)]).await;
    cloud.write([cloud.span(2)]).await;
    assert_eq!(cloud.export(&exporter).await, (2, Exported::default()));
    assert_eq!(
        collector.received().len(),
        1,
        "what is behind a failure waits"
    );
    collector.answer_with(ok());
    cloud.clock.advance(Duration::from_mins(1));
    let (failed, outcome) = cloud.export(&exporter).await;
    assert_eq!((failed, outcome.spans, outcome.dropped), (0, 2, 0));
    let metrics = &cloud.metrics;
    assert_eq!(metrics.values("ExportFailures"), [1.0]);
    assert_eq!(metrics.values("SpansExported"), [2.0]);
    assert_eq!(metrics.values("ExportLag"), [60_000.0; 2]);
}

#[tokio::test]
async fn finished_spans_go_out_as_they_are_stored() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=abc%20d");
    let exporter = cloud.exporter(&collector, &[headers]);
    let mut open = cloud.span(1);
    (open.revision, open.end) = (trace_model::Revision::OPENED, None);
    let finished = cloud.span(2);
    cloud.write([open, finished.clone()]).await;
    assert_eq!(
        cloud.export(&exporter).await,
        (
            0,
            Exported {
                spans: 1,
                dropped: 0
            }
        )
    );
    let received = collector.received();
    assert!(received[0].head.starts_with("post /v1/traces http/1.1"));
    assert!(received[0].head.contains("x-api-key: abc d"));
    assert!(
        received[0]
            .head
            .contains("content-type: application/x-protobuf")
    );
    assert!(received[0].head.contains("content-encoding: gzip"));
    let spans = collector.spans();
    let span = &spans[0];
    assert_eq!(span.trace_id, finished.trace_id.as_bytes());
    assert_eq!(span.span_id, finished.span_id.as_bytes());
    assert_eq!(
        span.parent_span_id,
        finished.parent_span_id.unwrap().as_bytes()
    );
    assert_eq!(span.start_time_unix_nano, finished.start.as_unix_nanos());
    assert_eq!(
        span.end_time_unix_nano,
        finished.end.unwrap().as_unix_nanos()
    );
    assert_eq!(attribute(span, "gen_ai.request.model"), Some("demo-model"));
    assert_eq!(attribute(span, FIELD), Some("prompt 2"));
}

#[tokio::test]
async fn content_stays_home_when_it_is_told_to() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let exporter = cloud.exporter_with(&collector, &[], ExportContent::None);
    cloud.write([cloud.span(1)]).await;
    cloud.export(&exporter).await;
    assert_eq!(attribute(&collector.spans()[0], FIELD), None);
}

/// It would be as damaged the next time, and what is behind it must not wait for ever.
#[tokio::test]
async fn a_damaged_text_holds_up_no_span() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    let scan = cloud.dynamodb.scan().table_name("stepscope").send();
    let mut item = scan.await.unwrap().items.unwrap().remove(0);
    let content = item["content"].as_b().unwrap();
    let mut content = zstd::decode_all(content.as_ref()).unwrap();
    let text = b"prompt 1";
    let at = content.windows(text.len()).position(|part| part == text);
    content[at.unwrap()] = b'P';
    let content = zstd::encode_all(content.as_slice(), 0).unwrap();
    item.insert("content".to_owned(), AttributeValue::B(Blob::new(content)));
    let put = cloud.dynamodb.put_item().table_name("stepscope");
    put.set_item(Some(item)).send().await.unwrap();
    cloud.write([cloud.span(2)]).await;
    let (failed, outcome) = cloud.export(&exporter).await;
    assert_eq!((failed, outcome.spans, outcome.dropped), (0, 3, 0));
    let spans = collector.spans();
    let texts: Vec<_> = spans.iter().map(|span| attribute(span, FIELD)).collect();
    assert_eq!(texts, [Some("prompt 1"), None, Some("prompt 2")]);
}

#[tokio::test]
async fn hard_case_14_a_batch_that_comes_twice_has_the_same_ids() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    // A retried write is no change.
    cloud.write([cloud.span(1)]).await;
    for _ in 0..2 {
        cloud.export(&exporter).await;
    }
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0], spans[1]);
}

#[tokio::test]
async fn hard_case_21_503_is_held() {
    let answer = Answer::Whole("HTTP/1.1 503 Service Unavailable", b"later".to_vec());
    check_held_until_well(answer, &[]).await;
}

#[tokio::test]
async fn hard_case_21_a_hang_up_is_held() {
    check_held_until_well(Answer::HangUp, &[]).await;
}

#[tokio::test]
async fn hard_case_21_a_hang_up_mid_body_is_held() {
    check_held_until_well(Answer::HangUpMidBody, &[]).await;
}

#[tokio::test]
async fn hard_case_21_one_byte_a_second_is_held() {
    let timeout = ("OTEL_EXPORTER_OTLP_TIMEOUT", "300");
    check_held_until_well(Answer::OneByteASecond, &[timeout]).await;
}

#[tokio::test]
async fn hard_case_21_no_collector_at_all_is_held() {
    let cloud = cloud().await;
    let mut collector = Collector::start(ok()).await;
    // A port that nothing listens on.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let well = std::mem::replace(&mut collector.port, listener.local_addr().unwrap().port());
    drop(listener);
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    assert_eq!(cloud.export(&exporter).await, (1, Exported::default()));
    collector.port = well;
    let exporter = cloud.exporter(&collector, &[]);
    assert_eq!(
        cloud.export(&exporter).await,
        (
            0,
            Exported {
                spans: 1,
                dropped: 0
            }
        )
    );
}

#[tokio::test]
async fn hard_case_21_500_is_given_up_and_counted() {
    let cloud = cloud().await;
    let collector = Collector::start(Answer::Whole("HTTP/1.1 500 Oh", Vec::new())).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1), cloud.span(2)]).await;
    assert_eq!(
        cloud.export(&exporter).await,
        (
            0,
            Exported {
                spans: 0,
                dropped: 2
            }
        )
    );
    assert_eq!(cloud.metrics.values("SpansDropped"), [2.0]);
}

#[tokio::test]
async fn hard_case_21_a_gigabyte_is_not_read() {
    let cloud = cloud().await;
    let collector = Collector::start(Answer::Gigabyte).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    assert_eq!(
        cloud.export(&exporter).await,
        (
            0,
            Exported {
                spans: 1,
                dropped: 0
            }
        )
    );
    // What both sides' sockets buffer, and no more.
    assert!(
        collector.sent() < 64 << 20,
        "{} bytes were taken",
        collector.sent()
    );
}

#[tokio::test]
async fn hard_case_21_a_redirect_to_loopback_is_not_followed() {
    let cloud = cloud().await;
    let elsewhere = Collector::start(ok()).await;
    let location = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{}/v1/traces",
        elsewhere.port
    );
    let collector = Collector::start(Answer::Whole(location.leak(), Vec::new())).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    assert_eq!(
        cloud.export(&exporter).await,
        (
            0,
            Exported {
                spans: 0,
                dropped: 1
            }
        )
    );
    assert_eq!(elsewhere.received().len(), 0);
}

#[tokio::test]
async fn what_a_collector_rejects_is_counted() {
    let cloud = cloud().await;
    let answer = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "too old".to_owned(),
        }),
    };
    let collector = Collector::start(Answer::Whole(OK, answer.encode_to_vec())).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud
        .write([cloud.span(1), cloud.span(2), cloud.span(3)])
        .await;
    assert_eq!(
        cloud.export(&exporter).await,
        (
            0,
            Exported {
                spans: 2,
                dropped: 1
            }
        )
    );
}

/// For `sam local invoke`: the event is what the stream hands on of a golden item.
#[tokio::test]
async fn the_sample_event_is_exported() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let exporter = cloud.exporter(&collector, &[]);
    let event = include_str!("../../../../events/export-spans/changed-chunks.json");
    let event: Event = serde_json::from_str(event).unwrap();
    let mut batch = Metrics::off().batch();
    let handled = export_spans::handle(&cloud.store, &exporter, event, None, &mut batch);
    let (response, outcome) = handled.await;
    assert_eq!(response.batch_item_failures, []);
    assert_eq!((outcome.spans, outcome.dropped), (2, 0));
    let names: Vec<_> = collector
        .spans()
        .into_iter()
        .map(|span| span.name)
        .collect();
    assert_eq!(names, ["span 0", "span 1"]);
}
