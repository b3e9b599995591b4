use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use tempfile::TempDir;
use trace_model::{Clock, Timestamp};
use trace_store::{StoreConfig, TABLE, TraceStore};

const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMIEXAMPLEKEY";
const REGION: &str = "us-east-1";

pub(crate) const RETENTION: Duration = Duration::from_hours(168);

pub(crate) type Item = std::collections::HashMap<String, AttributeValue>;

/// A table and a bucket of one case's own.
pub(crate) struct Backend {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) name: String,
    pub(crate) clock: Clock,
    /// Whether a link reaches its S3 from outside of this process.
    pub(crate) serves_links: bool,
    _folder: Option<Arc<TempDir>>,
}

impl Backend {
    pub(crate) fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = LocalStorageConfig {
            durability: Durability::ProcessCrash,
            loopback_credentials: LoopbackCredentials {
                access_key_id: KEY_ID.to_owned(),
                secret_access_key: SECRET.to_owned(),
            },
        };
        let storage = LocalStorage::open(folder.path(), config).unwrap();
        let dynamodb = dynamodb_config().http_client(storage.dynamodb_http_client());
        let s3 = s3_config().http_client(storage.s3_http_client());
        Self::new(dynamodb, s3, Some(Arc::new(folder)))
    }

    fn new(
        dynamodb: aws_sdk_dynamodb::config::Builder,
        s3: aws_sdk_s3::config::Builder,
        folder: Option<Arc<TempDir>>,
    ) -> Self {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            name: format!("stepscope-{}", NAMES.fetch_add(1, Ordering::SeqCst)),
            clock: Clock::manual(now()),
            serves_links: folder.is_none(),
            _folder: folder,
        }
    }

    pub(crate) async fn store(&self) -> TraceStore {
        let config = StoreConfig {
            retention: RETENTION,
            ..StoreConfig::new(&self.name, &self.name)
        };
        let clock = self.clock.clone();
        let store = TraceStore::new(self.dynamodb.clone(), self.s3.clone(), config, clock);
        store.create_table_if_missing().await.unwrap();
        store
    }

    /// Everything in the table, expired or not.
    pub(crate) async fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let scan = self.dynamodb.scan().table_name(&self.name);
            let scan = scan.set_exclusive_start_key(start).send().await.unwrap();
            items.extend(scan.items.unwrap_or_default());
            start = scan.last_evaluated_key;
            if start.is_none() {
                return items;
            }
        }
    }

    pub(crate) async fn items_of_kind(&self, prefix: &str) -> Vec<Item> {
        let mut items = self.items().await;
        items.retain(|item| item[TABLE.sort_key].as_s().unwrap().starts_with(prefix));
        items
    }

    pub(crate) async fn put(&self, item: Item) {
        let put = self.dynamodb.put_item().table_name(&self.name);
        put.set_item(Some(item)).send().await.unwrap();
    }

    pub(crate) async fn object_keys(&self) -> Vec<String> {
        let list = self.s3.list_objects_v2().bucket(&self.name);
        let objects = list.send().await.unwrap().contents.unwrap_or_default();
        objects
            .into_iter()
            .filter_map(|object| object.key)
            .collect()
    }
}

/// The time at which every case begins: years ahead, because DynamoDB Local deletes what has
/// expired by the machine's clock, and the cases want to see it.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2045-03-01T12:00:00Z").unwrap()
}

fn dynamodb_config() -> aws_sdk_dynamodb::config::Builder {
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new(REGION))
        .credentials_provider(Credentials::from_keys(KEY_ID, SECRET, None))
}

fn s3_config() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new(REGION))
        .credentials_provider(Credentials::from_keys(KEY_ID, SECRET, None))
        .force_path_style(true)
}

/// AWS's DynamoDB Local and an S3 server, on ports of loopback.
pub(crate) struct AwsProcesses {
    dynamodb: Process,
    s3: Process,
}

struct Process {
    child: Child,
    endpoint: String,
    _folder: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl AwsProcesses {
    pub(crate) async fn start() -> Self {
        let processes = Self {
            dynamodb: start_dynamodb(),
            s3: start_s3(),
        };
        let backend = processes.backend();
        for attempt in 0.. {
            let tables = backend.dynamodb.list_tables().send().await.is_ok();
            let buckets = backend.s3.list_buckets().send().await.is_ok();
            if tables && buckets {
                break;
            }
            assert!(
                attempt < 240,
                "answering: DynamoDB Local {tables}, versitygw {buckets}"
            );
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        processes
    }

    pub(crate) fn backend(&self) -> Backend {
        let client = || aws_smithy_http_client::Builder::new().build_http();
        Backend::new(
            dynamodb_config()
                .http_client(client())
                .endpoint_url(&self.dynamodb.endpoint),
            s3_config()
                .http_client(client())
                .endpoint_url(&self.s3.endpoint),
            None,
        )
    }
}

fn start_dynamodb() -> Process {
    let home = tool("dynamodb-local-2.6.1", "install-dynamodb-local");
    let port = free_port();
    let mut command = Command::new("java");
    command
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m"])
        .arg("-Djava.library.path=lib")
        .args(["-cp", "lib/*"])
        .arg("com.amazonaws.services.dynamodbv2.local.main.ServerRunner")
        .args(["-inMemory", "-sharedDb", "-disableTelemetry", "-port"])
        .arg(port.to_string())
        .current_dir(home);
    start(command, port, tempfile::tempdir().unwrap())
}

fn start_s3() -> Process {
    let home = tool("versitygw-v1.8.0", "install-versitygw");
    let port = free_port();
    let mut command = Command::new(home.join("versitygw"));
    command
        .env("ROOT_ACCESS_KEY", KEY_ID)
        .env("ROOT_SECRET_KEY", SECRET)
        .arg("--port")
        .arg(format!("127.0.0.1:{port}"))
        .args(["--region", REGION, "--quiet", "posix"]);
    let folder = tempfile::tempdir().unwrap();
    for name in ["objects", "attributes"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    command
        .arg("--sidecar")
        .arg(folder.path().join("attributes"))
        .arg(folder.path().join("objects"));
    start(command, port, folder)
}

fn start(mut command: Command, port: u16, folder: TempDir) -> Process {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let program = command.get_program().to_string_lossy().into_owned();
    Process {
        child: child.unwrap_or_else(|error| panic!("{program} does not start: {error}")),
        endpoint: format!("http://127.0.0.1:{port}"),
        _folder: folder,
    }
}

/// A tool that an install script of the repository puts into `.tools/`. The suite fails
/// without it rather than pass without having run.
fn tool(folder: &str, script: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home = root.join(".tools").join(folder);
    assert!(
        home.exists(),
        "{} is missing: run tests/bin/{script} at the repository's root",
        home.display()
    );
    home
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
