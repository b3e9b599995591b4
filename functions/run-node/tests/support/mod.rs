#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use lambda_process::AllowedAddress;
use redaction::Policy;
use run_node::{ModelSettings, NodeEnvironment, NodeError, NodeSettings, handle};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trace_model::{Attributes, Clock, Span, SpanKind};
use tracer::{SpanWrite, WorkflowTracer};

/// The nodes of a process, and the spans that they wrote.
pub(crate) struct Nodes {
    environment: NodeEnvironment,
    written: Arc<Mutex<Vec<Span>>>,
}

impl Nodes {
    pub(crate) fn allowing(addresses: &[SocketAddr]) -> Self {
        let allow = addresses.iter().map(|address| AllowedAddress {
            host: address.ip().to_string(),
            port: address.port(),
        });
        Self::new(NodeSettings {
            http_allow: allow.collect(),
            ..NodeSettings::default()
        })
    }

    pub(crate) fn with_models(models: ModelSettings) -> Self {
        Self::new(NodeSettings {
            models,
            ..NodeSettings::default()
        })
    }

    fn new(settings: NodeSettings) -> Self {
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
        Self {
            environment: NodeEnvironment::new(tracer, settings).unwrap(),
            written,
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
