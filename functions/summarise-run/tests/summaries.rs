//! Against the real embedded storage.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::DynamoDbEventResponse;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_process::metrics::{Captured, Metrics};
use local_storage::{
    ChangeRecord, Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials,
    StartingPosition,
};
use redaction::{Policy, RawSpan};
use tempfile::TempDir;
use trace_model::{
    Clock, ExecutionArn, Revision, Run, RunStatus, Span, SpanId, SpanKind, Status, TenantId,
    Timestamp, TraceId,
};
use trace_store::{ChunkKey, StoreConfig, TraceStore};

struct Cloud {
    storage: LocalStorage,
    store: TraceStore,
    dynamodb: aws_sdk_dynamodb::Client,
    /// Where DynamoDB does not answer.
    unreachable: TraceStore,
    _folder: TempDir,
}

async fn cloud() -> Cloud {
    let folder = tempfile::tempdir().unwrap();
    let (access_key_id, secret_access_key) = ("local".to_owned(), "local".to_owned());
    let config = LocalStorageConfig {
        durability: Durability::ProcessCrash,
        loopback_credentials: LoopbackCredentials {
            access_key_id,
            secret_access_key,
        },
    };
    let storage = LocalStorage::open(folder.path(), config).unwrap();
    let credentials = Credentials::from_keys("local", "local", None);
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
        .credentials_provider(credentials.clone())
        .http_client(storage.dynamodb_http_client())
        .build();
    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(credentials)
        .force_path_style(true)
        .http_client(storage.s3_http_client())
        .build();
    let store = |table: &str| {
        TraceStore::new(
            aws_sdk_dynamodb::Client::from_conf(dynamodb.clone()),
            aws_sdk_s3::Client::from_conf(s3.clone()),
            StoreConfig::new(table, "stepscope"),
            Clock::system(),
        )
    };
    let cloud = Cloud {
        store: store("stepscope"),
        dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.clone()),
        unreachable: store("no-such-table"),
        storage,
        _folder: folder,
    };
    cloud.store.create_table_if_missing().await.unwrap();
    cloud
}

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn run(number: u64) -> Run {
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:triage:run-{number}");
    let arn = ExecutionArn::parse(&arn).unwrap();
    Run {
        tenant: acme(),
        execution_id: arn.execution_id(),
        trace_id: TraceId::of_execution(&arn),
        root_span_id: SpanId::of_execution(&arn),
        workflow: "triage".to_owned(),
        status: RunStatus::Running,
        started_at: Clock::system().now(),
        redrives: 0,
        finished_at: None,
        error: None,
        totals: None,
        redactions: BTreeMap::new(),
        notices: Vec::new(),
        revision: 0,
        expires_at: None,
        execution_arn: Some(arn),
    }
}

fn model_call(run: &Run, number: u8) -> Span {
    let mut span = Span::open(
        run.trace_id,
        SpanId::from_bytes([number; 8]).unwrap(),
        None,
        "chat demo-model",
        SpanKind::Model,
        run.started_at,
    );
    span.set("gen_ai.request.model", "demo-model");
    span.set("gen_ai.usage.input_tokens", 10_u64);
    span.set("gen_ai.usage.output_tokens", 5_u64);
    span.finish(run.started_at.plus(Duration::from_secs(1)), Status::Ok);
    span
}

async fn handle(store: &TraceStore, event: Event) -> DynamoDbEventResponse {
    summarise_run::handle(store, event, &mut Metrics::off().batch()).await
}

impl Cloud {
    async fn write(&self, run: &Run, spans: impl IntoIterator<Item = Span>) {
        let policy = Policy::standard();
        let redact = |span| policy.redact(RawSpan::from(span));
        let spans = spans.into_iter().map(redact).collect();
        let write = self.store.write_spans(&run.tenant, run.trace_id, spans);
        write.await.unwrap();
    }

    /// All changes so far, as the table's stream gives them.
    async fn changes(&self) -> Event {
        let feed = self.storage.change_feed();
        let consumer = feed.consumer("test", StartingPosition::TrimHorizon).await;
        let batch = consumer.unwrap().next_batch(1000, Duration::ZERO).await;
        ChangeRecord::into_event(batch.unwrap())
    }

    async fn read(&self, run: &Run) -> Run {
        let read = self.store.run(&run.tenant, run.trace_id).await;
        read.unwrap().unwrap()
    }
}

#[tokio::test]
async fn each_changed_run_gets_its_totals() {
    let cloud = cloud().await;
    cloud.changes().await;
    let runs = [run(1), run(2)];
    for (run, calls) in runs.iter().zip([1..4, 1..2]) {
        cloud.store.open_run(run).await.unwrap();
        cloud
            .write(run, calls.map(|number| model_call(run, number)))
            .await;
    }
    let response = handle(&cloud.store, cloud.changes().await).await;
    assert_eq!(response.batch_item_failures, []);
    for (run, calls) in runs.iter().zip([3, 1]) {
        let totals = cloud.read(run).await.totals.unwrap();
        assert_eq!(
            (
                totals.spans,
                totals.model_calls,
                totals.input_tokens,
                totals.output_tokens
            ),
            (calls, calls, calls * 10, calls * 5)
        );
    }
}

#[tokio::test]
async fn hard_case_14_duplicates_and_revisions_count_once() {
    let cloud = cloud().await;
    let run = run(1);
    cloud.store.open_run(&run).await.unwrap();
    cloud.changes().await;
    let mut open = model_call(&run, 1);
    (open.revision, open.end) = (Revision::OPENED, None);
    let finished = model_call(&run, 1);
    for span in [&finished, &open, &finished] {
        cloud.write(&run, [span.clone()]).await;
        let event = cloud.changes().await;
        for _ in 0..2 {
            handle(&cloud.store, event.clone()).await;
        }
    }
    let read = cloud.read(&run).await;
    let totals = read.totals.unwrap();
    assert_eq!((totals.spans, totals.input_tokens), (1, 10));
}

#[tokio::test]
async fn notices_say_what_a_reader_should_know() {
    let cloud = cloud().await;
    let run = run(1);
    cloud.store.open_run(&run).await.unwrap();
    cloud.changes().await;
    let parent = model_call(&run, 1);
    let mut early = model_call(&run, 2);
    early.parent_span_id = Some(parent.span_id);
    early.start = Timestamp::from_unix_nanos(parent.start.as_unix_nanos() - 1_000_000_000);
    let mut orphan = model_call(&run, 3);
    orphan.parent_span_id = SpanId::from_bytes([99; 8]);
    orphan.revision = Revision::ABANDONED;
    cloud.write(&run, [parent, early, orphan]).await;
    handle(&cloud.store, cloud.changes().await).await;
    assert_eq!(
        cloud.read(&run).await.notices,
        [
            "1 span was abandoned",
            "1 span has a parent that is not recorded",
            "1 span started before its parent: the clocks differ, times are shown as recorded",
        ]
    );
}

#[tokio::test]
async fn only_the_records_that_failed_come_again() {
    let cloud = cloud().await;
    cloud.changes().await;
    let run = run(1);
    cloud.write(&run, [model_call(&run, 1)]).await;
    cloud.store.open_run(&run).await.unwrap();
    let event = cloud.changes().await;
    assert_eq!(event.records.len(), 3, "a chunk, a run and its tenant");
    let chunk =
        |record: &&EventRecord| trace_store::ChunkKey::from_keys(&record.change.keys).is_some();
    let chunk = event.records.iter().find(chunk).unwrap();
    let sequence_number = chunk.change.sequence_number.clone();
    let response = handle(&cloud.unreachable, event.clone()).await;
    let failed = response.batch_item_failures.into_iter();
    let failed: Vec<_> = failed.map(|failure| failure.item_identifier).collect();
    assert_eq!(failed, [sequence_number]);
}

#[tokio::test]
async fn a_trace_that_cannot_be_read_holds_up_no_other() {
    let cloud = cloud().await;
    let (damaged, sound) = (run(1), run(2));
    cloud.store.open_run(&damaged).await.unwrap();
    cloud.store.open_run(&sound).await.unwrap();
    cloud.changes().await;
    cloud.write(&damaged, [model_call(&damaged, 1)]).await;
    let changes = cloud.changes().await.records.into_iter();
    for record in changes.filter(|record| ChunkKey::from_keys(&record.change.keys).is_some()) {
        let update = cloud.dynamodb.update_item().table_name("stepscope");
        update
            .set_key(Some(record.change.keys.into()))
            .update_expression("SET structure = :noise")
            .expression_attribute_values(":noise", AttributeValue::B(Blob::new(*b"noise")))
            .send()
            .await
            .unwrap();
    }
    cloud.write(&sound, [model_call(&sound, 1)]).await;
    let event = cloud.changes().await;
    let read = cloud.store.read_structure(&acme(), damaged.trace_id).await;
    assert!(read.unwrap_err().is_of_what_is_stored());
    let response = handle(&cloud.store, event).await;
    assert_eq!(response.batch_item_failures, []);
    assert_eq!(cloud.read(&damaged).await.totals, None);
    assert!(cloud.read(&sound).await.totals.is_some());
}

/// For `sam local invoke`: the event is what the stream hands on of a golden item.
#[tokio::test]
async fn the_sample_event_is_summarised() {
    let cloud = cloud().await;
    let event = include_str!("../../../events/summarise-run/changed-chunks.json");
    let event: Event = serde_json::from_str(event).unwrap();
    let image = event.records[0].change.new_image.clone();
    let put = cloud.dynamodb.put_item().table_name("stepscope");
    put.set_item(Some(image.into())).send().await.unwrap();
    let trace_id = "0af7651916cd43dd8448eb211c80319c".parse().unwrap();
    let opened = Run { trace_id, ..run(1) };
    cloud.store.open_run(&opened).await.unwrap();
    let response = handle(&cloud.store, event).await;
    assert_eq!(response.batch_item_failures, []);
    assert_eq!(cloud.read(&opened).await.totals.unwrap().spans, 2);
}

#[tokio::test]
async fn metrics_tell_what_was_summarised_and_how_late() {
    let cloud = cloud().await;
    cloud.changes().await;
    let (run, captured) = (run(1), Captured::default());
    let metrics = captured.metrics(Clock::system());
    cloud.store.open_run(&run).await.unwrap();
    cloud.write(&run, [model_call(&run, 1)]).await;
    let event = cloud.changes().await;
    let summarise = async |store: &TraceStore| {
        summarise_run::handle(store, event.clone(), &mut metrics.batch()).await
    };
    summarise(&cloud.unreachable).await;
    assert_eq!(captured.values("SummaryFailures"), [1.0]);
    assert!(captured.values("SummaryLag").is_empty());
    summarise(&cloud.store).await;
    assert_eq!(captured.values("RunsSummarised"), [1.0]);
    assert_eq!(captured.values("SummaryLag").len(), 1);
}
