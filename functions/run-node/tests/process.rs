//! The function as Lambda runs it: its own process, polling a Runtime API, writing to a store
//! that outlives it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{any, get, post};
use lambda_process::LocalService;
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use trace_model::{Clock, ExecutionArn, Revision, Span, SpanKind, TenantId, TraceId};
use trace_store::{StoreConfig, TraceStore};

const ARN: &str = "arn:aws:states:us-east-1:000000000000:execution:triage:run-1";
const PATIENCE: Duration = Duration::from_secs(30);
const OUTPUT: &str = "standard-output";
const REGION: &str = "us-east-1";

/// What the function told its Runtime API.
#[derive(Debug)]
enum Told {
    WantsNext,
    Response(Value),
    Error(Value),
}

#[derive(Clone)]
struct RuntimeApi {
    events: Arc<Mutex<mpsc::Receiver<Value>>>,
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
        let event = api.events.lock().await.recv().await.unwrap_or_default();
        let deadline = Clock::system().now().plus(PATIENCE).as_unix_millis();
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

    async fn response(State(api): State<Self>, Path(_): Path<String>, body: Bytes) -> StatusCode {
        let body = serde_json::from_slice(&body).unwrap();
        api.told.send(Told::Response(body)).await.unwrap();
        StatusCode::ACCEPTED
    }

    async fn error(State(api): State<Self>, Path(_): Path<String>, body: Bytes) -> StatusCode {
        let body = serde_json::from_slice(&body).unwrap();
        api.told.send(Told::Error(body)).await.unwrap();
        StatusCode::ACCEPTED
    }
}

struct Function {
    process: Child,
    events: mpsc::Sender<Value>,
    told: mpsc::Receiver<Told>,
    store: TraceStore,
    target: SocketAddr,
    folder: TempDir,
}

impl Function {
    async fn start() -> Self {
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
        let aws = format!("http://{}", serve(storage.aws_router()).await);
        let service = || LocalService::at(&aws);
        let store = TraceStore::new(
            service().dynamodb(REGION),
            service().s3(REGION),
            StoreConfig::new("stepscope", "stepscope"),
            Clock::system(),
        );
        store.create_table_if_missing().await.unwrap();

        let target = serve(
            Router::new()
                .route("/answer", get(|| async { "hello" }))
                .route(
                    "/silent",
                    any(|| async { std::future::pending::<()>().await }),
                ),
        )
        .await;
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
            ("AWS_ENDPOINT_URL", aws),
            ("STEPSCOPE_TABLE", "stepscope".to_owned()),
            ("STEPSCOPE_BUCKET", "stepscope".to_owned()),
            ("STEPSCOPE_HTTP_ALLOW", target.to_string()),
        ]);
        let process = Command::new(env!("CARGO_BIN_EXE_run-node"))
            .env_clear()
            .envs(environment)
            .stdout(File::create(folder.path().join(OUTPUT)).unwrap())
            .spawn()
            .unwrap();
        let mut function = Self {
            process,
            events,
            told,
            store,
            target,
            folder,
        };
        assert!(matches!(function.told().await, Told::WantsNext));
        function
    }

    async fn told(&mut self) -> Told {
        let told = tokio::time::timeout(PATIENCE, self.told.recv()).await;
        told.expect("the function says something").unwrap()
    }

    async fn send(&self, node: &str, path: &str) {
        let event = json!({
            "node": node, "parameters": {"url": format!("http://{}{path}", self.target)},
            "input": null,
            "headers": {"traceparent": format!("00-{}-b7ad6b7169203331-01", trace_id())},
            "stepscope": {"execution": ARN, "tenant": "acme", "state": "Fetch", "attempt": 0},
        });
        self.events.send(event).await.unwrap();
    }

    /// What it wrote to its standard output that is a metric.
    fn metrics(&self) -> Vec<Value> {
        let output = fs::read_to_string(self.folder.path().join(OUTPUT)).unwrap();
        let lines = output.lines().map(serde_json::from_str::<Value>);
        let lines = lines.map(|line| line.expect("a line of a log is JSON"));
        lines.filter(|line| line.get("_aws").is_some()).collect()
    }

    async fn spans(&self) -> Vec<Span> {
        let tenant = TenantId::parse("acme").unwrap();
        let structure = self
            .store
            .read_structure(&tenant, trace_id())
            .await
            .unwrap();
        structure
            .spans
            .iter()
            .map(|span| span.span().clone())
            .collect()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may be dead already, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn trace_id() -> TraceId {
    TraceId::of_execution(&ExecutionArn::parse(ARN).unwrap())
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_response_comes_first_and_the_spans_before_the_next_event() {
    let mut function = Function::start().await;
    function.send("http", "/answer").await;
    let Told::Response(answer) = function.told().await else {
        panic!("the response comes first");
    };
    assert_eq!(answer["body"], "hello");
    assert!(matches!(function.told().await, Told::WantsNext));

    let spans = function.spans().await;
    let node = spans
        .iter()
        .find(|span| span.kind == SpanKind::Node)
        .unwrap();
    let http = spans
        .iter()
        .find(|span| span.kind == SpanKind::Http)
        .unwrap();
    assert_eq!(spans.len(), 2);
    assert_eq!(node.revision, Revision::FINISHED);
    assert_eq!(node.parent_span_id.unwrap().to_string(), "b7ad6b7169203331");
    assert_eq!(http.parent_span_id, Some(node.span_id));
    assert_eq!(node.text("faas.invocation_id"), Some("c0ffee-1"));
    assert_eq!(node.resource["faas.version"], "7".into());
    assert_eq!(
        node.resource["faas.max_memory"],
        (128_u64 * 1024 * 1024).into()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_invocation_leaves_a_line_of_metrics_before_the_next_event() {
    let mut function = Function::start().await;
    for _ in 0..2 {
        function.send("http", "/answer").await;
        assert!(matches!(function.told().await, Told::Response(_)));
        assert!(matches!(function.told().await, Told::WantsNext));
    }
    let metrics = function.metrics();
    assert_eq!(metrics.len(), 2, "{metrics:?}");
    assert_eq!(metrics[0]["ColdStarts"], 1);
    assert_eq!(metrics[1]["ColdStarts"], Value::Null);
    for line in &metrics {
        assert_eq!(line["FunctionName"], "run-node");
        assert_eq!(line["TableName"], "stepscope");
        assert_eq!(line["SpansWritten"], 2);
        assert!(line["BytesWritten"].as_u64() > Some(100));
        assert!(line["FlushDuration"].as_f64() > Some(0.0));
        assert_eq!(line["SpansLost"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_has_the_name_that_a_catch_matches() {
    let mut function = Function::start().await;
    function.send("htpp", "/answer").await;
    let Told::Error(error) = function.told().await else {
        panic!("the error comes first");
    };
    assert_eq!(error["errorType"], "Node.UnknownKind");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("did you mean \"http\"?"), "{message}");
    assert!(matches!(function.told().await, Told::WantsNext));
    let spans = function.spans().await;
    assert_eq!(spans[0].text("error.type"), Some("Node.UnknownKind"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_case_18_a_killed_function_s_open_spans_are_kept() {
    let mut function = Function::start().await;
    function.send("http", "/silent").await;
    let visible = async {
        while function.spans().await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, visible)
        .await
        .expect("a run in progress shows");
    function.process.kill().unwrap();
    function.process.wait().unwrap();
    let spans = function.spans().await;
    assert_eq!(spans.len(), 2);
    for span in spans {
        assert_eq!(
            (span.revision, span.end),
            (Revision::OPENED, None),
            "{}",
            span.name
        );
    }
}
