//! Spans stored a second, and the time to read a trace of 1,000 spans, on the embedded storage.
#![allow(clippy::unwrap_used, reason = "a benchmark that fails panics")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use divan::Bencher;
use divan::counter::ItemsCount;
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use redaction::{Policy, RawSpan, RedactedSpan};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use trace_model::{Clock, Content, Span, SpanId, SpanKind, Status, TenantId, TraceId};
use trace_store::{StoreConfig, TraceStore};

fn main() {
    divan::main();
}

struct Cloud {
    runtime: Runtime,
    store: TraceStore,
    tenant: TenantId,
    _folder: TempDir,
}

impl Cloud {
    fn open() -> Self {
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
            .http_client(storage.dynamodb_http_client())
            .build();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .credentials_provider(credentials)
            .force_path_style(true)
            .http_client(storage.s3_http_client())
            .build();
        let store = TraceStore::new(
            aws_sdk_dynamodb::Client::from_conf(dynamodb),
            aws_sdk_s3::Client::from_conf(s3),
            StoreConfig::new("stepscope", "stepscope"),
            Clock::system(),
        );
        let runtime = Runtime::new().unwrap();
        runtime.block_on(store.create_table_if_missing()).unwrap();
        Self {
            runtime,
            store,
            tenant: TenantId::default(),
            _folder: folder,
        }
    }

    fn write(&self, trace_id: TraceId, spans: Vec<RedactedSpan>) {
        let write = self.store.write_spans(&self.tenant, trace_id, spans);
        self.runtime.block_on(write).unwrap();
    }
}

/// Model calls with a prompt and an answer, as one flush of a function writes them.
fn model_calls(trace_id: TraceId, count: usize) -> Vec<RedactedSpan> {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let policy = Policy::standard();
    let call = |_| {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let start = Clock::system().now();
        let id = SpanId::from_bytes(number.to_be_bytes()).unwrap();
        let name = "chat demo-model";
        let mut span = Span::open(trace_id, id, None, name, SpanKind::Model, start);
        span.set("gen_ai.request.model", "demo-model");
        span.set("gen_ai.provider.name", "openai");
        span.set("gen_ai.usage.input_tokens", 100 + number % 50);
        span.set("gen_ai.usage.output_tokens", 10 + number % 30);
        let text = format!("Question {number}: which of the open tickets should go first? ");
        for field in ["gen_ai.input.messages", "gen_ai.output.messages"] {
            let content = Content::text("text/plain", text.repeat(8));
            span.content.insert(field.to_owned(), content);
        }
        span.finish(start.plus(Duration::from_millis(700)), Status::Ok);
        policy.redact(RawSpan::from(span))
    };
    (0..count).map(call).collect()
}

#[divan::bench(args = [1, 20, 200])]
fn spans_stored(bencher: Bencher<'_, '_>, batch: usize) {
    let cloud = Cloud::open();
    bencher
        .counter(ItemsCount::new(batch))
        .with_inputs(|| {
            let trace_id = TraceId::random();
            (trace_id, model_calls(trace_id, batch))
        })
        .bench_values(|(trace_id, spans)| cloud.write(trace_id, spans));
}

#[divan::bench(args = [1, 50])]
fn a_trace_of_1000_spans_read(bencher: Bencher<'_, '_>, chunks: usize) {
    let cloud = Cloud::open();
    let trace_id = TraceId::random();
    for _ in 0..chunks {
        cloud.write(trace_id, model_calls(trace_id, 1000 / chunks));
    }
    bencher.bench(|| {
        let read = cloud.store.read_structure(&cloud.tenant, trace_id);
        let structure = cloud.runtime.block_on(read).unwrap();
        assert_eq!(structure.spans.len(), 1000);
        black_box(structure)
    });
}
