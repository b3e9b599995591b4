//! The handler against the real embedded storage, with messages as the queue's writer makes them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};

use aws_lambda_events::event::sqs::SqsEvent;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use lambda_process::LocalService;
use lambda_process::metrics::{Captured, Metrics};
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use redaction::{Policy, RawSpan, RedactedSpan};
use restore_spans::handle;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use trace_model::{
    Clock, Content, Revision, Span, SpanId, SpanKind, Status, TenantId, Timestamp, TraceId,
};
use trace_store::{LargeTexts, SpanQueue, StoreConfig, TraceStore};

const REGION: &str = "us-east-1";
const FIELD: &str = "gen_ai.output.messages";

struct Cloud {
    store: TraceStore,
    /// Its table does not exist.
    refusing: TraceStore,
    _folder: TempDir,
}

impl Cloud {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = LocalStorageConfig {
            durability: Durability::ProcessCrash,
            loopback_credentials: LoopbackCredentials {
                access_key_id: "local".to_owned(),
                secret_access_key: "local".to_owned(),
            },
        };
        let storage = LocalStorage::open(folder.path(), config).unwrap();
        let aws = format!("http://{}", serve(storage.aws_router()).await);
        let store = |table: &str| {
            TraceStore::new(
                LocalService::at(&aws).dynamodb(REGION),
                LocalService::at(&aws).s3(REGION),
                StoreConfig::new(table, "stepscope"),
                Clock::system(),
            )
        };
        let cloud = Self {
            store: store("stepscope"),
            refusing: store("no-such-table"),
            _folder: folder,
        };
        cloud.store.create_table_if_missing().await.unwrap();
        cloud
    }

    async fn spans(&self) -> Vec<Span> {
        let structure = self.store.read_structure(acme(), trace_id()).await;
        let spans = structure.unwrap().spans;
        spans.iter().map(|span| span.span().clone()).collect()
    }

    async fn text(&self, number: u8) -> String {
        let structure = self.store.read_structure(acme(), trace_id()).await;
        let spans = structure.unwrap().spans;
        let found = spans.iter().find(|span| span.span().span_id == id(number));
        let text = self
            .store
            .read_content(acme(), trace_id(), found.unwrap(), FIELD);
        text.await.unwrap()
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn acme() -> &'static TenantId {
    static ACME: LazyLock<TenantId> = LazyLock::new(|| TenantId::parse("acme").unwrap());
    &ACME
}

fn trace_id() -> TraceId {
    "0af7651916cd43dd8448eb211c80319c".parse().unwrap()
}

fn id(number: u8) -> SpanId {
    SpanId::from_bytes([number; 8]).unwrap()
}

fn span(number: u8, revision: Revision, text: &str) -> RedactedSpan {
    let now = Timestamp::parse_rfc3339("2045-03-01T12:00:00Z").unwrap();
    let mut span = Span::open(trace_id(), id(number), None, "chat", SpanKind::Model, now);
    if revision == Revision::FINISHED {
        span.finish(now, Status::Ok);
        span.revision = revision;
    }
    let text = Content::text("text/plain", text);
    span.content.insert(FIELD.to_owned(), text);
    Policy::standard().redact(RawSpan::from(span))
}

/// What the queue's writer sends for these spans.
async fn message_bodies(spans: &[RedactedSpan]) -> Vec<String> {
    let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
    let sqs = Router::new()
        .route("/", post(send_message_batch))
        .with_state(Arc::clone(&bodies));
    let url = format!("http://{}", serve(sqs).await);
    let queue = SpanQueue::new(LocalService::at(&url).sqs(REGION), format!("{url}/queue"));
    let sent = queue.send_spans(acme(), trace_id(), spans, LargeTexts::Refused);
    assert_eq!(sent.await.unwrap().spans, spans.len());
    let bodies = bodies.lock().unwrap();
    bodies.clone()
}

/// As SQS answers it; a queue that is real takes part in run-node's test of its process.
async fn send_message_batch(
    State(bodies): State<Arc<Mutex<Vec<String>>>>,
    body: String,
) -> Json<Value> {
    let request: Value = serde_json::from_str(&body).unwrap();
    let mut successful = Vec::new();
    for entry in request["Entries"].as_array().unwrap() {
        let body = entry["MessageBody"].as_str().unwrap();
        bodies.lock().unwrap().push(body.to_owned());
        successful.push(json!({
            "Id": entry["Id"], "MessageId": entry["Id"], "MD5OfMessageBody": "",
        }));
    }
    Json(json!({"Successful": successful, "Failed": []}))
}

fn event(bodies: &[String]) -> SqsEvent {
    let records = bodies.iter().enumerate();
    let records: Vec<_> = records
        .map(|(number, body)| json!({"messageId": format!("message-{number}"), "body": body}))
        .collect();
    serde_json::from_value(json!({"Records": records})).unwrap()
}

/// Which messages are to come again.
async fn restore(store: &TraceStore, bodies: &[String]) -> Vec<String> {
    let response = handle(store, &Metrics::off(), event(bodies)).await;
    let failures = response.batch_item_failures.into_iter();
    failures.map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn queued_spans_are_stored_whole_and_once() {
    let cloud = Cloud::start().await;
    let large = "a long answer, of which there are many. ".repeat(2_000);
    let spans = [
        span(1, Revision::FINISHED, "short"),
        span(2, Revision::FINISHED, &large),
        span(3, Revision::OPENED, "open"),
    ];
    let bodies = message_bodies(&spans).await;
    let none: [&str; 0] = [];
    for _ in 0..3 {
        assert_eq!(restore(&cloud.store, &bodies).await, none);
    }
    assert_eq!(cloud.spans().await.len(), 3);
    assert_eq!(cloud.text(1).await, "short");
    assert_eq!(cloud.text(2).await, large);
    let repeated = cloud.store.write_spans(acme(), trace_id(), spans.to_vec());
    let repeated = repeated.await.unwrap();
    assert_eq!(
        (repeated.chunks, repeated.chunks_already_stored),
        (0, 1),
        "the same chunk as if the store had taken them at once"
    );
}

#[tokio::test]
async fn hard_case_14_what_comes_back_late_changes_nothing_newer() {
    let cloud = Cloud::start().await;
    let opened = message_bodies(&[span(1, Revision::OPENED, "question")]).await;
    let finished = vec![span(1, Revision::FINISHED, "answer")];
    let written = cloud.store.write_spans(acme(), trace_id(), finished);
    written.await.unwrap();
    restore(&cloud.store, &opened).await;
    let [found] = &cloud.spans().await[..] else {
        panic!("one span")
    };
    assert_eq!(found.revision, Revision::FINISHED);
    assert_eq!(cloud.text(1).await, "answer");
}

#[tokio::test]
async fn only_what_was_not_written_comes_again() {
    let cloud = Cloud::start().await;
    let mut bodies = message_bodies(&[span(1, Revision::FINISHED, "a")]).await;
    bodies.insert(0, "{}".to_owned());
    bodies.extend(message_bodies(&[span(2, Revision::FINISHED, "b")]).await);
    assert_eq!(restore(&cloud.store, &bodies).await, ["message-0"]);
    assert_eq!(cloud.spans().await.len(), 2);
}

#[tokio::test]
async fn while_the_table_refuses_every_message_comes_again() {
    let cloud = Cloud::start().await;
    let bodies = message_bodies(&[span(1, Revision::FINISHED, "a")]).await;
    assert_eq!(restore(&cloud.refusing, &bodies).await, ["message-0"]);
    assert_eq!(cloud.spans().await.len(), 0);
    let captured = Captured::default();
    let metrics = captured.metrics(Clock::system());
    handle(&cloud.store, &metrics, event(&bodies)).await;
    assert_eq!(captured.values("SpansRestored"), [1.0]);
}

#[tokio::test]
async fn the_sample_event_is_handled() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../events/restore-spans/queued-spans.json"
    );
    let spans = [span(1, Revision::FINISHED, "a sample answer")];
    if option_env!("UPDATE_REFERENCE").is_some() {
        let body = message_bodies(&spans).await.remove(0);
        let sample = json!({"Records": [{
            "messageId": "6f2b1f6e-2d0c-4f0e-9a55-0d6f1c0a7b11",
            "receiptHandle": "sample",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:stepscope-spans",
            "awsRegion": REGION,
        }]});
        let text = serde_json::to_string_pretty(&sample).unwrap() + "\n";
        std::fs::write(path, text).unwrap();
    }
    let sample = std::fs::read_to_string(path).unwrap();
    let cloud = Cloud::start().await;
    let sample = serde_json::from_str(&sample).unwrap();
    let response = handle(&cloud.store, &Metrics::off(), sample).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(cloud.text(1).await, "a sample answer");
}
