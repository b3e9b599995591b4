use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lambda_process::metrics::{Metric, Metrics};
use redaction::Policy;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::time::Instant;
use trace_model::{
    Attributes, Clock, Content, Link, OtelKind, Span, SpanKind, TenantId, Timestamp, conventions,
};

use crate::context::TaskContext;
use crate::handle::{SpanHandle, set_some};
use crate::open_span::{NodeTrace, OpenSpan, mark_error};
use crate::recorder::{Recorder, SpanWrite};
use crate::span_fallback::SpanFallback;
use crate::writer::{Flushed, Limits, RunningNode, write_all};

/// Why the node stands in no workflow's trace, or not under its attempt.
const CONTEXT_PROBLEM: &str = "stepscope.context.problem";
const INVOCATION_ID: &str = "faas.invocation_id";
/// Step Functions adds this between a state's entry and the function's start.
const QUEUE_MS: &str = conventions::WORKFLOW_QUEUE_MS;
/// Longer than a throttled store takes to recover; short enough not to be billed for minutes.
const LONGEST_FLUSH: Duration = Duration::from_secs(10);

/// Traces the work of one process. Cheap to clone; all clones share one writer.
#[derive(Clone)]
pub struct WorkflowTracer {
    recorder: Arc<Recorder>,
    default_tenant: TenantId,
    metrics: Metrics,
}

/// One call of a function.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The span's name: the node kind, or the function's name.
    pub name: String,
    /// The registered node kind, if it is one.
    pub node_kind: Option<String>,
    /// When the work is cut off.
    pub deadline: Option<Timestamp>,
    /// Lambda's request id.
    pub request_id: Option<String>,
}

/// What a span says of work that failed.
pub trait NodeFailure {
    /// A stable name, as `Catch` and `error.type` match it.
    fn error_type(&self) -> String;
    fn message(&self) -> String;
}

impl WorkflowTracer {
    /// `resource` says whose spans they are: `service.name`, `faas.name`, `cloud.region`, ….
    pub fn new(
        write: impl Into<SpanWrite>,
        policy: Policy,
        clock: Clock,
        resource: Attributes,
    ) -> Self {
        Self {
            recorder: Arc::new(Recorder::new(clock, policy, resource, write.into())),
            default_tenant: TenantId::default(),
            metrics: Metrics::off(),
        }
    }

    /// Whose the nodes are whose payload names no tenant: the same as the recorder's, or a run
    /// that names none is in two halves.
    #[must_use]
    pub fn with_default_tenant(mut self, tenant: TenantId) -> Self {
        self.default_tenant = tenant;
        self
    }

    /// Where spans go that the store refuses. Without it they are kept in memory, which a
    /// sandbox that is never thawed takes with it.
    #[must_use]
    pub fn with_fallback(self, fallback: impl Into<SpanFallback>) -> Self {
        self.recorder.fallback.get_or_init(|| fallback.into());
        self
    }

    /// What is told after each flush of [`FlushLayer`](crate::FlushLayer).
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    pub fn clock(&self) -> &Clock {
        self.recorder.clock()
    }

    /// Runs `work` as one node: opens its span under the attempt that `payload` names, keeps
    /// payload and output as content, and ends it as the work ends. A panic is recorded and
    /// goes on; work that is dropped (a timeout, a cancelled future) is recorded too.
    pub async fn trace_node<T, E>(
        &self,
        payload: &Value,
        invocation: &Invocation,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E>
    where
        T: Serialize,
        E: NodeFailure,
    {
        let context = TaskContext::from_payload(payload, &self.default_tenant);
        let now = self.recorder.clock().now();
        // One that has passed already is none: `cargo lambda watch` tells a length, not a time.
        let deadline = invocation.deadline.filter(|deadline| *deadline > now);
        let deadline = deadline.map(|deadline| Instant::now() + deadline.since(now));
        let open = self.open_node(&context, payload, invocation);
        let _running = RunningNode::start(&self.recorder, deadline);
        let mut handle = NodeHandle {
            span: SpanHandle::of(Arc::clone(&open)),
            deadline,
        };
        let outcome = AssertUnwindSafe(crate::current::within(open, work))
            .catch_unwind()
            .await;
        match outcome {
            Ok(Ok(output)) => {
                if let Ok(text) = serde_json::to_string(&output) {
                    let output = Content::text("application/json", text);
                    handle.span.content(conventions::OUTPUT, output);
                }
                handle.span.end(|_| {});
                Ok(output)
            }
            Ok(Err(failure)) => {
                handle.span.end(|span| {
                    mark_error(span, &failure.error_type(), &failure.message());
                });
                Err(failure)
            }
            Err(panic) => {
                let message = panic_message(&*panic);
                handle.span.end(|span| mark_error(span, "panic", &message));
                drop(handle);
                resume_unwind(panic)
            }
        }
    }

    /// Writes what is not written yet, and waits for it: after the response is posted, and
    /// before the process may stop. Answers at `until` at the latest; what the store has not
    /// taken by then is kept for the next time.
    pub async fn flush_until(&self, until: Instant) -> Flushed {
        let until = until.min(Instant::now() + LONGEST_FLUSH);
        self.flush_within(Limits::last(until), until).await
    }

    /// Answers at `until` at the latest.
    pub(crate) async fn flush_within(&self, limits: Limits, until: Instant) -> Flushed {
        let recorder = Arc::clone(&self.recorder);
        // A task of its own: if the wait ends first, the write goes on, and nothing is dropped.
        let write = tokio::spawn(async move { write_all(&recorder, limits).await });
        match tokio::time::timeout_at(until, write).await {
            Ok(Ok(flushed)) => flushed,
            Ok(Err(error)) => {
                tracing::error!(%error, "writing spans failed");
                self.nothing_flushed()
            }
            Err(_) => {
                tracing::warn!("the store is slow: spans are still being written");
                self.nothing_flushed()
            }
        }
    }

    /// [`flush_until`](Self::flush_until) with the longest wait, ten seconds.
    pub async fn flush(&self) -> Flushed {
        self.flush_until(Instant::now() + LONGEST_FLUSH).await
    }

    /// Spans given up in the life of this process.
    pub fn lost(&self) -> u64 {
        self.recorder.lost()
    }

    /// Tells what was written and lost since it was last told.
    pub(crate) fn report(&self, flushed: Flushed, took: Duration) {
        let mut batch = self.metrics.batch();
        self.recorder.report(&mut batch);
        batch.add(Metric::SpansWaiting, flushed.waiting);
        batch.add(Metric::FlushDuration, took);
    }

    /// Counts what a flush left, because no other follows.
    pub(crate) fn give_up_waiting(&self, flushed: Flushed) {
        if flushed.waiting > 0 {
            let spans = flushed.waiting;
            tracing::error!(
                spans,
                "spans were lost: the process ends, and nobody takes them"
            );
            self.recorder.count_lost(spans);
        }
    }

    fn nothing_flushed(&self) -> Flushed {
        Flushed {
            lost: self.recorder.lost(),
            ..Flushed::default()
        }
    }

    fn open_node(
        &self,
        context: &TaskContext,
        payload: &Value,
        invocation: &Invocation,
    ) -> Arc<OpenSpan> {
        let trace = Arc::new(NodeTrace {
            tenant: context.tenant.clone(),
            trace_id: context.trace_id,
            attempt: context.parent,
            recorder: Arc::clone(&self.recorder),
        });
        let name = invocation.name.as_str();
        OpenSpan::open(trace, context.parent, name, SpanKind::Node, |span| {
            span.otel_kind = OtelKind::Server;
            describe(span, context, invocation);
            if let Ok(input) = serde_json::to_string(&WithoutContext(payload)) {
                let input = Content::text("application/json", input);
                span.content.insert(conventions::INPUT.to_owned(), input);
            }
        })
    }
}

fn describe(span: &mut Span, context: &TaskContext, invocation: &Invocation) {
    if let Some(execution) = &context.execution {
        span.set(conventions::EXECUTION_ARN, execution.as_str());
        span.set(conventions::WORKFLOW_NAME, execution.workflow());
    }
    set_some(span, conventions::WORKFLOW_STATE, context.state.as_deref());
    // The machine counts retries; a trace counts attempts, on the attempt's own span as here.
    let attempt = context.attempt.map(|retries| retries.saturating_add(1));
    set_some(span, conventions::WORKFLOW_ATTEMPT, attempt);
    if let (Some(entered), Some(0) | None) = (context.entered, context.attempt) {
        let waited = span.start.since(entered).as_millis();
        span.set(QUEUE_MS, u64::try_from(waited).unwrap_or(u64::MAX));
    }
    set_some(
        span,
        conventions::NODE_KIND,
        invocation.node_kind.as_deref(),
    );
    set_some(span, INVOCATION_ID, invocation.request_id.as_deref());
    set_some(span, CONTEXT_PROBLEM, context.problem.as_deref());
    if let Some(caller) = context.caller {
        span.links.push(Link {
            trace_id: caller.trace_id,
            span_id: caller.span_id,
            attributes: Attributes::new(),
        });
    }
}

/// Tells a timeout from another cancellation, when the work is dropped.
struct NodeHandle {
    span: SpanHandle,
    deadline: Option<Instant>,
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        let is_over = |deadline: Instant| Instant::now() >= deadline;
        if self.deadline.is_some_and(is_over) {
            self.span.end(|span| {
                mark_error(span, "timeout", "the work was cut off at its deadline");
            });
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the work panicked").to_owned()
}

/// A payload less what Stepscope put there itself, and less the task token, which is a
/// credential.
struct WithoutContext<'a>(&'a Value);

impl Serialize for WithoutContext<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(fields) = self.0 else {
            return self.0.serialize(serializer);
        };
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in fields {
            if !matches!(key.as_str(), "headers" | "stepscope" | "task_token") {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}
