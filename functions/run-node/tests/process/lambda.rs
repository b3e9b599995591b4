//! Lambda and the cloud around a function's process: a Runtime API, a store that outlives the
//! process, and something to call.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use lambda_process::LocalService;
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use trace_model::{Clock, ExecutionArn, Span, TenantId, TraceId};
use trace_store::{StoreConfig, TraceStore};

const ARN: &str = "arn:aws:states:us-east-1:000000000000:execution:triage:run-1";
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
pub(crate) const REGION: &str = "us-east-1";
const OUTPUT: &str = "standard-output";

/// What the function told its Runtime API.
#[derive(Debug)]
pub(crate) enum Told {
    WantsNext,
    Response(Value),
    Error(Value),
}

/// An event, and how long the function may take over it.
type Event = (Value, Duration);

#[derive(Clone)]
struct RuntimeApi {
    events: Arc<Mutex<mpsc::Receiver<Event>>>,
    told: mpsc::Sender<Told>,
}

impl RuntimeApi {
    fn app(self) -> Router {
        let invocation = "/2018-06-01/runtime/invocation";
        Router::new()
            .route(&format!("{invocation}/next"), get(Self::next))
            .route(
                &format!("{invocation}/{{id}}/response"),
                post(Self::response),
            )
            .route(&format!("{invocation}/{{id}}/error"), post(Self::error))
            .with_state(self)
    }

    async fn next(State(api): State<Self>) -> impl IntoResponse {
        api.told.send(Told::WantsNext).await.unwrap();
        let event = api.events.lock().await.recv().await;
        let (event, time) = event.unwrap_or_default();
        let deadline = Clock::system().now().plus(time).as_unix_millis();
        let headers = AppendHeaders([
            ("lambda-runtime-aws-request-id", "c0ffee-1".to_owned()),
            ("lambda-runtime-deadline-ms", deadline.to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:0:function:run-node".to_owned(),
            ),
            ("content-type", "application/json".to_owned()),
        ]);
        (headers, event.to_string())
    }

    async fn response(
        State(api): State<Self>,
        UrlPath(_): UrlPath<String>,
        body: Bytes,
    ) -> StatusCode {
        let body = serde_json::from_slice(&body).unwrap();
        api.told.send(Told::Response(body)).await.unwrap();
        StatusCode::ACCEPTED
    }

    async fn error(
        State(api): State<Self>,
        UrlPath(_): UrlPath<String>,
        body: Bytes,
    ) -> StatusCode {
        let body = serde_json::from_slice(&body).unwrap();
        api.told.send(Told::Error(body)).await.unwrap();
        StatusCode::ACCEPTED
    }
}

/// What outlives a function's process.
pub(crate) struct Cloud {
    aws: String,
    target: SocketAddr,
    silent_calls: Arc<AtomicUsize>,
    is_refusing: Arc<AtomicBool>,
    /// The function's settings beyond those that all have.
    pub(crate) settings: HashMap<&'static str, String>,
    /// Past the refusing.
    store: TraceStore,
    folder: TempDir,
}

/// Whether the table and the bucket take anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Takes,
    Refuses,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let loopback_credentials = LoopbackCredentials {
            access_key_id: "local".to_owned(),
            secret_access_key: "local".to_owned(),
        };
        let config = LocalStorageConfig {
            durability: Durability::ProcessCrash,
            loopback_credentials,
        };
        let storage = LocalStorage::open(folder.path(), config).unwrap();
        let is_refusing = Arc::new(AtomicBool::new(false));
        let refusing = from_fn_with_state(Arc::clone(&is_refusing), refuse);
        let aws = serve(storage.aws_router().layer(refusing)).await;
        let ours = format!("http://{}", serve(storage.aws_router()).await);
        let store = TraceStore::new(
            LocalService::at(&ours).dynamodb(REGION),
            LocalService::at(&ours).s3(REGION),
            StoreConfig::new("stepscope", "stepscope"),
            Clock::system(),
        );
        store.create_table_if_missing().await.unwrap();
        let silent_calls = Arc::new(AtomicUsize::new(0));
        let called = Arc::clone(&silent_calls);
        let silent = move || {
            called.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>()
        };
        let target = Router::new()
            .route("/answer", get(|| async { "hello" }))
            .route("/silent", any(silent));
        Self {
            aws: format!("http://{aws}"),
            target: serve(target).await,
            silent_calls,
            is_refusing,
            settings: HashMap::new(),
            store,
            folder,
        }
    }

    pub(crate) fn set(&self, store: Store) {
        let is_refusing = store == Store::Refuses;
        self.is_refusing.store(is_refusing, Ordering::Relaxed);
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) const fn store(&self) -> &TraceStore {
        &self.store
    }

    pub(crate) async fn spans(&self) -> Vec<Span> {
        let tenant = TenantId::parse("acme").unwrap();
        let structure = self.store.read_structure(&tenant, trace_id()).await;
        let spans = structure.unwrap().spans;
        spans.iter().map(|span| span.span().clone()).collect()
    }

    /// Until so many spans are there.
    pub(crate) async fn has_spans(&self, count: usize) -> Vec<Span> {
        let visible = async {
            loop {
                let spans = self.spans().await;
                if spans.len() >= count {
                    return spans;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let visible = tokio::time::timeout(PATIENCE, visible).await;
        visible.expect("a run in progress shows")
    }

    /// A call that is never answered came so often.
    pub(crate) async fn was_called(&self, times: usize) {
        let called = async {
            while self.silent_calls.load(Ordering::Relaxed) < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let called = tokio::time::timeout(PATIENCE, called).await;
        called.expect("the node calls");
    }

    /// `program` as Lambda starts it, once it asks for an event.
    pub(crate) async fn function(&self, program: &str, arguments: &[&str]) -> Function {
        let (events, receiver) = mpsc::channel(8);
        let (teller, told) = mpsc::channel(64);
        let api = RuntimeApi {
            events: Arc::new(Mutex::new(receiver)),
            told: teller,
        };
        let runtime_api = serve(api.app()).await;
        let environment = HashMap::from([
            ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "run-node".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "7".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("AWS_ENDPOINT_URL", self.aws.clone()),
            ("STEPSCOPE_TABLE", "stepscope".to_owned()),
            ("STEPSCOPE_BUCKET", "stepscope".to_owned()),
            ("STEPSCOPE_HTTP_ALLOW", self.target.to_string()),
        ]);
        let output = self.folder.path().join(OUTPUT);
        let process = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .envs(&self.settings)
            .stdout(File::create(&output).unwrap())
            .spawn()
            .unwrap();
        let mut function = Function {
            process,
            events,
            told,
            target: self.target,
            output,
        };
        assert!(matches!(function.told().await, Told::WantsNext));
        function
    }

    /// Each of its two spans was written before, and a new process works on.
    pub(crate) async fn next_process_works(&self, program: &str, arguments: &[&str]) {
        let before = self.spans().await.len();
        let mut function = self.function(program, arguments).await;
        function.send("http", "/answer").await;
        assert!(matches!(function.told().await, Told::Response(_)));
        assert!(matches!(function.told().await, Told::WantsNext));
        assert!(self.spans().await.len() > before);
    }
}

pub(crate) struct Function {
    pub(crate) process: Child,
    events: mpsc::Sender<Event>,
    told: mpsc::Receiver<Told>,
    target: SocketAddr,
    output: PathBuf,
}

impl Function {
    pub(crate) async fn told(&mut self) -> Told {
        let told = tokio::time::timeout(PATIENCE, self.told.recv()).await;
        told.expect("the function says something").unwrap()
    }

    pub(crate) async fn send(&self, node: &str, path: &str) {
        let parameters = json!({"url": format!("http://{}{path}", self.target)});
        self.send_within(node, parameters, Duration::from_mins(2))
            .await;
    }

    pub(crate) async fn send_within(&self, node: &str, parameters: Value, time: Duration) {
        let event = json!({
            "node": node, "parameters": parameters, "input": null,
            "headers": {"traceparent": format!("00-{}-b7ad6b7169203331-01", trace_id())},
            "stepscope": {"execution": ARN, "tenant": "acme", "state": "Fetch", "attempt": 0},
        });
        self.events.send((event, time)).await.unwrap();
    }

    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap()
    }

    /// What it wrote to its standard output that is a metric.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        let output = self.output();
        let lines = output.lines().map(serde_json::from_str::<Value>);
        let lines = lines.map(|line| line.expect("a line of a log is JSON"));
        lines.filter(|line| line.get("_aws").is_some()).collect()
    }

    pub(crate) fn total(&self, metric: &str) -> u64 {
        let lines = self.metrics();
        lines.iter().filter_map(|line| line[metric].as_u64()).sum()
    }

    /// SIGKILL, as by Lambda at a deadline or by the kernel when memory is out.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM, as by Lambda before it ends a sandbox.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let mut kill = Command::new("kill");
        let id = self.process.id().to_string();
        assert!(kill.args(["-TERM", &id]).status().unwrap().success());
        self.ends().await
    }

    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.process.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        ended.expect("the process ends")
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may be dead already, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn trace_id() -> TraceId {
    TraceId::of_execution(&ExecutionArn::parse(ARN).unwrap())
}

/// As a throttled table does.
async fn refuse(
    State(is_refusing): State<Arc<AtomicBool>>,
    request: Request,
    next: Next,
) -> Response {
    if !is_refusing.load(Ordering::Relaxed) {
        return next.run(request).await;
    }
    let fault = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException";
    let body = json!({"__type": fault, "message": "the table is throttled"});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}
