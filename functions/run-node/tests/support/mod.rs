#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use lambda_process::{AllowedAddress, LocalService};
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use redaction::Policy;
use run_node::{ModelSettings, NodeEnvironment, NodeError, NodeSettings, handle};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use trace_model::{Attributes, Clock, ExecutionArn, Span, SpanKind, TraceId};
use trace_store::{StoreConfig, TraceStore};
use tracer::{SpanWrite, WorkflowTracer};

pub(crate) const ARN: &str = "arn:aws:states:us-east-1:000000000000:execution:triage:run-1";

const BUCKET: &str = "stepscope";

/// A task's payload as a state machine of the tenant acme writes it.
pub(crate) fn payload(node: &str, parameters: Value, input: Value) -> Value {
    let trace_id = TraceId::of_execution(&ExecutionArn::parse(ARN).unwrap());
    let mut payload = json!({
        "node": node,
        "headers": {"traceparent": format!("00-{trace_id}-b7ad6b7169203331-01")},
        "stepscope": {"execution": ARN, "tenant": "acme", "state": "Step", "attempt": 0},
    });
    payload["parameters"] = parameters;
    payload["input"] = input;
    payload
}

/// The nodes of a process, and the spans that they wrote.
pub(crate) struct Nodes {
    environment: NodeEnvironment,
    written: Arc<Mutex<Vec<Span>>>,
    pub(crate) store: TraceStore,
    pub(crate) s3: aws_sdk_s3::Client,
    _folder: TempDir,
}

impl Nodes {
    pub(crate) async fn allowing(addresses: &[SocketAddr]) -> Self {
        Self::allowing_with(addresses, ModelSettings::default()).await
    }

    pub(crate) async fn allowing_with(addresses: &[SocketAddr], models: ModelSettings) -> Self {
        let allow = addresses.iter().map(|address| AllowedAddress {
            host: address.ip().to_string(),
            port: address.port(),
        });
        Self::new(NodeSettings {
            http_allow: allow.collect(),
            models,
        })
        .await
    }

    pub(crate) async fn with_models(models: ModelSettings) -> Self {
        Self::new(NodeSettings {
            models,
            ..NodeSettings::default()
        })
        .await
    }

    /// Their store has a table, and the bucket it names is not there.
    pub(crate) async fn without_bucket() -> Self {
        Self::storing_in("missing", NodeSettings::default()).await
    }

    async fn new(settings: NodeSettings) -> Self {
        Self::storing_in(BUCKET, settings).await
    }

    async fn storing_in(bucket: &str, settings: NodeSettings) -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let spans = Arc::clone(&written);
        let write = SpanWrite::new(move |_, _, redacted| {
            let masked = redacted.iter().map(|span| span.span().clone());
            spans.lock().unwrap().extend(masked);
            std::future::ready(Ok(()))
        });
        let tracer = WorkflowTracer::new(
            write,
            Policy::standard(),
            Clock::system(),
            Attributes::new(),
        );
        let folder = tempfile::tempdir().unwrap();
        let config = LocalStorageConfig {
            durability: Durability::ProcessCrash,
            loopback_credentials: LoopbackCredentials {
                access_key_id: "local".to_owned(),
                secret_access_key: "local".to_owned(),
            },
        };
        let storage = LocalStorage::open(folder.path(), config).unwrap();
        let at = |http_client| LocalService {
            http_client,
            endpoint_url: "http://storage.internal".to_owned(),
        };
        let s3 = at(storage.s3_http_client()).s3("us-east-1");
        let dynamodb = at(storage.dynamodb_http_client()).dynamodb("us-east-1");
        let store = |bucket: &str| {
            let config = StoreConfig::new("stepscope", bucket);
            TraceStore::new(dynamodb.clone(), s3.clone(), config, Clock::system())
        };
        store(BUCKET).create_table_if_missing().await.unwrap();
        let store = store(bucket);
        Self {
            environment: NodeEnvironment::new(tracer, store.clone(), settings).unwrap(),
            written,
            store,
            s3,
            _folder: folder,
        }
    }

    pub(crate) async fn run(
        &self,
        node: &str,
        parameters: Value,
        input: Value,
    ) -> Result<Value, NodeError> {
        self.handle(json!({"node": node, "parameters": parameters, "input": input}))
            .await
    }

    pub(crate) async fn run_until(
        &self,
        remaining: Duration,
        node: &str,
        parameters: Value,
    ) -> Result<Value, NodeError> {
        let deadline = Clock::system().now().plus(remaining);
        let payload = json!({"node": node, "parameters": parameters, "input": null});
        handle(&self.environment, payload, Some(deadline)).await
    }

    pub(crate) async fn handle(&self, payload: Value) -> Result<Value, NodeError> {
        handle(&self.environment, payload, None).await
    }

    pub(crate) async fn spans(&self) -> Vec<Span> {
        self.environment.tracer().flush().await;
        self.written.lock().unwrap().clone()
    }

    pub(crate) async fn span(&self, kind: SpanKind) -> Span {
        let spans = self.spans().await;
        let span = spans.iter().rfind(|span| span.kind == kind);
        span.unwrap_or_else(|| panic!("no {kind:?} span in {spans:#?}"))
            .clone()
    }
}

pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// One that was free a moment ago.
pub(crate) async fn unused_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}
