use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lambda_process::logging::{self, LogFormat};
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, Config};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use redaction::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use tower::{Layer, Service};
use trace_model::{AttributeValue, Attributes, Clock, Timestamp};
use trace_store::{SpanQueue, TraceStore};

use crate::layer::{Capture, layer};
use crate::node::{Invocation, NodeFailure, WorkflowTracer};
use crate::termination::end_when_told;

/// Left of an invocation's time for the runtime itself.
const RESERVE: Duration = Duration::from_millis(100);

/// Runs a Lambda of one's own as a traced node: settings from the environment, logs, the
/// store, and a runtime that writes the spans after each response. The whole of `main`.
pub async fn run<Payload, Output, Failure, Handler, Work>(handler: Handler) -> Result<(), Error>
where
    Handler: Fn(LambdaEvent<Payload>) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<Output, Failure>> + Send + 'static,
    Payload: DeserializeOwned + Send + 'static,
    Output: Serialize + Send + 'static,
    Failure: Into<Diagnostic> + 'static,
{
    let (tracer, _) = WorkflowTracer::start(&Config::from_env()?).await?;
    let handler = Arc::new(handler);
    let flush = FlushLayer::new(tracer.clone());
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let (tracer, handler) = (tracer.clone(), Arc::clone(&handler));
        async move {
            let LambdaEvent { payload, context } = event;
            let invocation = Invocation::of(&context);
            let work = async {
                let payload =
                    Payload::deserialize(&payload).map_err(|error| Failed::unreadable(&error))?;
                let event = LambdaEvent::new(payload, context);
                (handler)(event)
                    .await
                    .map_err(|failure| Failed(failure.into()))
            };
            tracer.trace_node(&payload, &invocation, work).await
        }
    });
    Runtime::new(service).layer(flush).run().await
}

impl WorkflowTracer {
    /// The tracer of a Lambda's process, its logs started, and the store that it writes to. On
    /// SIGTERM the process writes what there is, and ends.
    pub async fn start(config: &Config) -> Result<(Self, TraceStore), Error> {
        let clock = Clock::system();
        let spans = layer(Capture::default());
        logging::init_with(LogFormat::Json, &config.log_filter, clock.clone(), spans)?;
        let clients = AwsClients::from_env().await;
        let store = TraceStore::of_process(config, &clients, clock.clone())?;
        let resource = resource(config, &lambda_runtime::Config::from_env());
        let metrics = Metrics::of_process(config, "function", clock.clone());
        let tracer = Self::new(store.clone(), Policy::standard(), clock, resource)
            .with_default_tenant(config.tenant.clone())
            .with_metrics(metrics);
        let tracer = match SpanQueue::of_process(config, &clients) {
            Some(queue) => tracer.with_fallback(queue),
            None => tracer,
        };
        end_when_told(tracer.clone())?;
        Ok((tracer, store))
    }
}

impl Invocation {
    pub fn of(context: &lambda_runtime::Context) -> Self {
        Self {
            name: context.env_config.function_name.clone(),
            node_kind: None,
            deadline: Some(Timestamp::from_unix_millis(context.deadline)),
            request_id: Some(context.request_id.clone()),
        }
    }
}

fn resource(config: &Config, function: &lambda_runtime::Config) -> Attributes {
    let megabytes = u64::try_from(function.memory).unwrap_or(0);
    let mut resource: Attributes = [
        (
            "service.name",
            AttributeValue::from(function.function_name.as_str()),
        ),
        ("cloud.provider", "aws".into()),
        ("cloud.platform", "aws_lambda".into()),
        ("faas.name", function.function_name.as_str().into()),
        ("faas.version", function.version.as_str().into()),
        ("faas.instance", function.log_stream.as_str().into()),
        ("faas.max_memory", (megabytes * 1024 * 1024).into()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if let Ok(region) = config.region() {
        resource.insert("cloud.region".to_owned(), region.into());
    }
    resource
}

/// A failure on its way to Lambda. `lambda_runtime` logs its `Debug`, so that has no words:
/// they may hold what a log must not.
struct Failed(Diagnostic);

impl Failed {
    fn unreadable(error: &serde_json::Error) -> Self {
        Self(Diagnostic {
            error_type: "Node.InvalidPayload".to_owned(),
            error_message: error.to_string(),
        })
    }
}

impl fmt::Debug for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.error_type)
    }
}

impl NodeFailure for Failed {
    fn error_type(&self) -> String {
        self.0.error_type.clone()
    }

    fn message(&self) -> String {
        self.0.error_message.clone()
    }
}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        failed.0
    }
}

/// Writes the spans after the response is posted and before the next event is polled: for
/// `lambda_runtime::Runtime::layer`, whose layers wrap outside of the one that posts.
#[derive(Clone)]
pub struct FlushLayer {
    tracer: WorkflowTracer,
}

#[derive(Clone)]
pub struct FlushService<S> {
    inner: S,
    tracer: WorkflowTracer,
}

impl FlushLayer {
    pub const fn new(tracer: WorkflowTracer) -> Self {
        Self { tracer }
    }
}

impl<S> Layer<S> for FlushLayer {
    type Service = FlushService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FlushService {
            inner,
            tracer: self.tracer.clone(),
        }
    }
}

impl<S> Service<LambdaInvocation> for FlushService<S>
where
    S: Service<LambdaInvocation>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let tracer = self.tracer.clone();
        let deadline = Timestamp::from_unix_millis(invocation.context.deadline);
        // One that has passed already is none: `cargo lambda watch` tells a length, not a time.
        let is_told = deadline > tracer.clock().now();
        let posting = self.inner.call(invocation);
        async move {
            let posted = posting.await;
            let began = Instant::now();
            let flushed = if is_told {
                let remaining = deadline.since(tracer.clock().now()).saturating_sub(RESERVE);
                tracer.flush_until(began + remaining).await
            } else {
                tracer.flush().await
            };
            tracer.report(flushed, began.elapsed());
            posted
        }
        .boxed()
    }
}
