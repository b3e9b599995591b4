use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use trace_model::{AttributeValue, Content, SpanId, TenantId, TraceId, Traceparent};

use crate::layer;
use crate::open_span::OpenSpan;

/// What to send on in a `traceparent` header; `None` outside of a node.
pub fn current_traceparent() -> Option<Traceparent> {
    current().map(|span| span.traceparent())
}

/// Where the work that runs now stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentTask {
    pub tenant: TenantId,
    pub trace_id: TraceId,
    /// The attempt that the node is the work of, where its payload says so.
    pub attempt: Option<SpanId>,
    /// The innermost open span.
    pub span_id: SpanId,
}

/// `None` outside of a node.
pub fn current_task() -> Option<CurrentTask> {
    let span = current()?;
    let trace = span.trace();
    Some(CurrentTask {
        tenant: trace.tenant.clone(),
        trace_id: trace.trace_id,
        attempt: trace.attempt,
        span_id: span.traceparent().span_id,
    })
}

/// Sets an attribute of the innermost open span; does nothing outside of a node.
pub fn annotate(key: &str, value: impl Into<AttributeValue>) {
    if let Some(span) = current() {
        span.change(|span| span.set(key, value));
    }
}

/// Keeps a large value of the innermost open span.
pub fn annotate_content(field: &str, content: Content) {
    if let Some(span) = current() {
        span.change(|span| {
            span.content.insert(field.to_owned(), content);
        });
    }
}

/// What put a span on the thread: a handle's scope, or one of `tracing`'s spans.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Scope(usize),
    Tracing(u64),
}

thread_local! {
    /// The spans that this thread is in, innermost last. A future is in its span only while
    /// it is polled, so that tasks sharing a thread do not see each other's.
    static ENTERED: RefCell<Vec<(Entry, Arc<OpenSpan>)>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn current() -> Option<Arc<OpenSpan>> {
    ENTERED
        .try_with(|entered| entered.borrow().last().map(|(_, span)| Arc::clone(span)))
        .ok()
        .flatten()
}

pub(crate) fn enter(entry: Entry, span: Arc<OpenSpan>) {
    // An error means that the thread is ending: nothing more opens on it.
    let _ = ENTERED.try_with(|entered| entered.borrow_mut().push((entry, span)));
}

pub(crate) fn exit(entry: Entry) {
    let left = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let position = entered.iter().rposition(|(other, _)| *other == entry)?;
        Some(entered.remove(position))
    });
    drop(left);
}

/// Runs `future` inside of `span`: what it opens becomes a child.
pub(crate) async fn within<F: Future>(span: Arc<OpenSpan>, future: F) -> F::Output {
    // For `.in_current_span()`, which carries `tracing`'s span to a spawned task and not ours.
    let tracing_span = layer::scope_span(&span);
    let mut future = pin!(future);
    poll_fn(move |task| {
        let _scope = Scope::enter(&span);
        let _entered = tracing_span.enter();
        future.as_mut().poll(task)
    })
    .await
}

pub(crate) struct Scope(Entry);

impl Scope {
    pub(crate) fn enter(span: &Arc<OpenSpan>) -> Self {
        let entry = Entry::Scope(Arc::as_ptr(span).addr());
        enter(entry, Arc::clone(span));
        Self(entry)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        exit(self.0);
    }
}
