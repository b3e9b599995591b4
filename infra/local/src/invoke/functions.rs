//! Each function's process, as its `main.rs` makes it, less Lambda's runtime.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::Router;
use export_spans::Exporter;
use identity::{ApiKeys, Authenticator, IdentityConfig, IssuerConfig};
use ingest_spans::IngestState;
use lambda_http::request::LambdaRequest;
use lambda_process::metrics::Metrics;
use lambda_runtime::LambdaEvent;
use record_execution::Recorder;
use redaction::Policy;
use run_node::{NodeEnvironment, NodeSettings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::Service as _;
use trace_api::ApiState;
use tracer::{Invocation, WorkflowTracer};
use url::Url;
use watch_traces::{SqsStatusQueue, Watcher};

use super::{Answer, Function};
use crate::cloud::examples::DEMO_SERVICE_URL;
use crate::cloud::{nodes, watching};
use crate::deployment::{OpenDeployment, Place};

/// About as long as the deployed function has for one visit.
const VISIT: Duration = Duration::from_mins(5);

/// What the function answers; its own error is an answer too, and what keeps it from starting,
/// or from reading the event, is an error here.
pub(crate) async fn invoke(
    deployment: &OpenDeployment,
    function: Function,
    event: Value,
) -> anyhow::Result<Answer> {
    match function {
        Function::ExportSpans => export_spans(deployment, event).await,
        Function::IngestSpans => ingest_spans(deployment, event).await,
        Function::RecordExecution => record_execution(deployment, event).await,
        Function::RestoreSpans => restore_spans(deployment, event).await,
        Function::RunNode => run_node(deployment, event).await,
        Function::SummariseRun => summarise_run(deployment, event).await,
        Function::TraceApi => trace_api(deployment, event).await,
        Function::WatchTraces => watch_traces(deployment).await,
    }
}

async fn export_spans(deployment: &OpenDeployment, event: Value) -> anyhow::Result<Answer> {
    let config = &deployment.config;
    let otlp = config.otlp.clone();
    let otlp = otlp.context("no collector to export to: set OTEL_EXPORTER_OTLP_ENDPOINT")?;
    let exporter = Exporter::new(otlp, config.export_content, deployment.clock.clone())?;
    let event = parsed("a batch of a table's stream", event)?;
    let mut batch = Metrics::off().batch();
    let handled = export_spans::handle(&deployment.store, &exporter, event, None, &mut batch);
    answer(&handled.await.0)
}

async fn record_execution(deployment: &OpenDeployment, event: Value) -> anyhow::Result<Answer> {
    let recorder = recorder(deployment);
    let event = parsed("a batch of a queue", event)?;
    let mut batch = Metrics::off().batch();
    answer(&record_execution::handle(&recorder, event, &mut batch).await)
}

async fn restore_spans(deployment: &OpenDeployment, event: Value) -> anyhow::Result<Answer> {
    let event = parsed("a batch of a queue", event)?;
    answer(&restore_spans::handle(&deployment.store, &Metrics::off(), event).await)
}

async fn run_node(deployment: &OpenDeployment, event: Value) -> anyhow::Result<Answer> {
    let OpenDeployment {
        config,
        clock,
        store,
        ..
    } = deployment;
    let tracer = WorkflowTracer::new(
        store.clone(),
        Policy::standard(),
        clock.clone(),
        nodes::resource(),
    )
    .with_default_tenant(config.tenant.clone());
    let environment = match &deployment.place {
        Place::Local { endpoints, .. } => {
            let demo = endpoints.substitutions.get(DEMO_SERVICE_URL);
            let demo = demo.and_then(|service| Url::parse(service).ok()?.join(".").ok());
            let demo = demo.context("the local cloud does not say where its demo services are")?;
            nodes::environment(config, tracer, store.clone(), &demo)?
        }
        Place::Aws => {
            let settings = NodeSettings::from(config);
            Arc::new(NodeEnvironment::new(tracer, store.clone(), settings)?)
        }
    };
    let invocation = Invocation::default();
    let answered = run_node::handle_invocation(&environment, event, invocation).await;
    environment.tracer().flush().await;
    Ok(match answered {
        Ok(value) => Answer { value },
        Err(error) => failed(&error.name(), &error),
    })
}

async fn summarise_run(deployment: &OpenDeployment, event: Value) -> anyhow::Result<Answer> {
    let event = parsed("a batch of a table's stream", event)?;
    let mut batch = Metrics::off().batch();
    answer(&summarise_run::handle(&deployment.store, event, &mut batch).await)
}

async fn trace_api(deployment: &OpenDeployment, event: Value) -> anyhow::Result<Answer> {
    let OpenDeployment {
        config,
        clients,
        clock,
        ..
    } = deployment;
    let state = ApiState::of_process(config, clients, clock.clone(), Metrics::off())?;
    answer_request(trace_api::app(state), event).await
}

async fn ingest_spans(deployment: &OpenDeployment, event: Value) -> anyhow::Result<Answer> {
    let OpenDeployment {
        config,
        clock,
        store,
        ..
    } = deployment;
    let identity = IdentityConfig::new(vec![IssuerConfig::from(config.issuer()?)]);
    let authenticator = Authenticator::new(identity, &lambda_process::http_client()?)?;
    let state = IngestState {
        authenticator: Arc::new(authenticator.with_api_keys(ApiKeys::new(store.clone()))),
        store: store.clone(),
        policy: Policy::standard(),
        metrics: Metrics::off(),
        clock: clock.clone(),
    };
    answer_request(ingest_spans::app(state), event).await
}

async fn answer_request(app: Router, event: Value) -> anyhow::Result<Answer> {
    let request: LambdaRequest = parsed("a request of an HTTP API, format 2.0", event)?;
    let event = LambdaEvent::new(request, lambda_runtime::Context::default());
    let answered = lambda_http::Adapter::from(app).call(event).await;
    answer(&answered.map_err(|error| match error {})?)
}

/// A tick of the schedule says nothing that it reads.
async fn watch_traces(deployment: &OpenDeployment) -> anyhow::Result<Answer> {
    let OpenDeployment {
        config,
        clients,
        clock,
        store,
        place,
    } = deployment;
    let deadline = clock.now().plus(VISIT);
    let (sfn, store, clock) = (clients.sfn().clone(), store.clone(), clock.clone());
    let visited = match place {
        Place::Local { .. } => {
            let watcher = watching::watcher(sfn, store, recorder(deployment), clock);
            Box::pin(watcher.visit(deadline)).await
        }
        Place::Aws => {
            let queue = SqsStatusQueue::of_process(config, clients)?;
            let watcher = Watcher::new(sfn, store, queue, clock)
                .of_state_machines(&config.state_machine_prefix);
            Box::pin(watcher.visit(deadline)).await
        }
    };
    match visited {
        Ok(report) => answer(&report),
        Err(error) => Ok(failed("WatchError", &format!("{:#}", anyhow!(error)))),
    }
}

fn recorder(deployment: &OpenDeployment) -> Recorder {
    Recorder::new(
        deployment.clients.sfn().clone(),
        deployment.store.clone(),
        Policy::standard(),
        deployment.config.tenant.clone(),
    )
}

fn parsed<E: DeserializeOwned>(what: &str, event: Value) -> anyhow::Result<E> {
    serde_json::from_value(event).map_err(|error| anyhow!("the event is not {what}: {error}"))
}

fn answer(response: &impl Serialize) -> anyhow::Result<Answer> {
    let value = serde_json::to_value(response)?;
    Ok(Answer { value })
}

/// As Lambda tells of an error.
fn failed(error_type: &str, error: &impl Display) -> Answer {
    Answer {
        value: json!({"errorType": error_type, "errorMessage": error.to_string()}),
    }
}
