//! Items stored a second through the SDK's client, with the change feed and without it.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest,
    ScalarAttributeType, StreamSpecification, StreamViewType, WriteRequest,
};
use divan::Bencher;
use divan::counter::ItemsCount;
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const TABLE: &str = "traces";
/// A structure chunk of some spans, compressed.
const CHUNK_BYTES: usize = 2_000;
/// As many as DynamoDB takes at once.
const BATCH: usize = 25;

fn main() {
    divan::main();
}

#[derive(Clone, Copy, Debug)]
enum Feed {
    NewImage,
    KeysOnly,
    Off,
}

const FEEDS: [Feed; 3] = [Feed::NewImage, Feed::KeysOnly, Feed::Off];

struct Store {
    runtime: Runtime,
    client: Client,
    next: AtomicU64,
    folder: TempDir,
}

impl Store {
    fn open(feed: Feed, durability: Durability) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage = open(&folder, durability);
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
            .credentials_provider(aws_credential_types::Credentials::new(
                "local", "local", None, None, "bench",
            ))
            .http_client(storage.dynamodb_http_client())
            .build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("starts");
        let client = Client::from_conf(config);
        runtime.block_on(create_table(&client, feed));
        Self {
            runtime,
            client,
            next: AtomicU64::new(0),
            folder,
        }
    }

    fn item(&self) -> std::collections::HashMap<String, AttributeValue> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        [
            (
                "pk".to_owned(),
                AttributeValue::S(format!("acme#{}", number / 100)),
            ),
            (
                "sk".to_owned(),
                AttributeValue::S(format!("chunk#{number:012}")),
            ),
            (
                "chunk".to_owned(),
                AttributeValue::B(Blob::new(vec![0x5a; CHUNK_BYTES])),
            ),
        ]
        .into()
    }
}

impl Store {
    fn batch(&self) -> Vec<WriteRequest> {
        let request = || {
            let put = PutRequest::builder()
                .set_item(Some(self.item()))
                .build()
                .expect("complete");
            WriteRequest::builder().put_request(put).build()
        };
        (0..BATCH).map(|_| request()).collect()
    }

    fn close(self) -> TempDir {
        let Self {
            runtime,
            client,
            folder,
            ..
        } = self;
        drop((client, runtime));
        folder
    }
}

fn open(folder: &TempDir, durability: Durability) -> LocalStorage {
    let keys = LoopbackCredentials {
        access_key_id: "local".into(),
        secret_access_key: "local".into(),
    };
    let config = LocalStorageConfig {
        durability,
        loopback_credentials: keys,
    };
    LocalStorage::open(folder.path(), config).expect("opens")
}

async fn create_table(client: &Client, feed: Feed) {
    let keys = [("pk", KeyType::Hash), ("sk", KeyType::Range)];
    let stream = StreamSpecification::builder();
    let stream = match feed {
        Feed::NewImage => stream
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewImage),
        Feed::KeysOnly => stream
            .stream_enabled(true)
            .stream_view_type(StreamViewType::KeysOnly),
        Feed::Off => stream.stream_enabled(false),
    };
    let attribute = |name| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
    };
    let key = |(name, kind)| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
    };
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(
            keys.iter()
                .map(|(name, _)| attribute(*name))
                .collect::<Result<_, _>>()
                .ok(),
        )
        .set_key_schema(keys.into_iter().map(key).collect::<Result<_, _>>().ok())
        .stream_specification(stream.build().expect("complete"))
        .send()
        .await
        .expect("creates");
}

#[divan::bench(args = FEEDS, sample_count = 20, sample_size = 1)]
fn put_item(bencher: Bencher<'_, '_>, feed: Feed) {
    const ITEMS: usize = 200;
    let store = Store::open(feed, Durability::ProcessCrash);
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| {
        store.runtime.block_on(async {
            for _ in 0..ITEMS {
                store
                    .client
                    .put_item()
                    .table_name(TABLE)
                    .set_item(Some(store.item()))
                    .send()
                    .await
                    .expect("puts");
            }
        });
    });
}

#[divan::bench(args = FEEDS, sample_count = 20, sample_size = 1)]
fn batch_write_item(bencher: Bencher<'_, '_>, feed: Feed) {
    batches(bencher, &Store::open(feed, Durability::ProcessCrash));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn batch_write_item_surviving_power_loss(bencher: Bencher<'_, '_>) {
    batches(bencher, &Store::open(Feed::NewImage, Durability::PowerLoss));
}

fn batches(bencher: Bencher<'_, '_>, store: &Store) {
    const BATCHES: usize = 20;
    bencher
        .counter(ItemsCount::new(BATCHES * BATCH))
        .bench_local(|| {
            store.runtime.block_on(async {
                for _ in 0..BATCHES {
                    store
                        .client
                        .batch_write_item()
                        .request_items(TABLE, store.batch())
                        .send()
                        .await
                        .expect("writes");
                }
            });
        });
}

/// A store of some thousand items, opened and closed.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn open_existing(bencher: Bencher<'_, '_>) {
    let store = Store::open(Feed::NewImage, Durability::ProcessCrash);
    store.runtime.block_on(async {
        for _ in 0..200 {
            store
                .client
                .batch_write_item()
                .request_items(TABLE, store.batch())
                .send()
                .await
                .expect("writes");
        }
    });
    let folder = store.close();
    bencher.bench_local(|| drop(open(&folder, Durability::ProcessCrash)));
}
