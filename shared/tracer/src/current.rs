use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use trace_model::Traceparent;

use crate::layer;
use crate::open_span::OpenSpan;

/// What to send on in a `traceparent` header; `None` outside of a node.
pub fn current_traceparent() -> Option<Traceparent> {
    current().map(|span| span.traceparent())
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
