use std::sync::Arc;

use trace_model::{
    AttributeValue, Attributes, Content, Link, Span, SpanKind, Timestamp, Traceparent,
};

use crate::current::{self, Scope};
use crate::open_span::{OpenSpan, mark_error};

/// Opens a span of one's own inside the current one; inert outside of a node.
pub fn span(name: impl Into<String>) -> SpanHandle {
    SpanHandle::child(name, SpanKind::Internal, |_| {})
}

/// An open span. Ends by [`finish`](Self::finish) or [`fail`](Self::fail); one that is dropped
/// before either ends as an error of type `cancelled`, or `panic` while the thread unwinds.
#[must_use = "a handle that is dropped ends its span as cancelled"]
pub struct SpanHandle {
    open: Option<Arc<OpenSpan>>,
}

impl SpanHandle {
    pub(crate) fn child(
        name: impl Into<String>,
        kind: SpanKind,
        fill: impl FnOnce(&mut Span),
    ) -> Self {
        Self {
            open: current::current().map(|parent| parent.open_child(name, kind, fill)),
        }
    }

    pub(crate) const fn of(open: Arc<OpenSpan>) -> Self {
        Self { open: Some(open) }
    }

    /// Whether anything is recorded: what is dear to compute need not be when it is not.
    pub const fn is_recording(&self) -> bool {
        self.open.is_some()
    }

    pub fn set(&self, key: &str, value: impl Into<AttributeValue>) {
        self.change(|span| span.set(key, value));
    }

    /// A large value, kept whole and apart from the structure.
    pub fn content(&self, field: &str, content: Content) {
        self.change(|span| {
            span.content.insert(field.to_owned(), content);
        });
    }

    pub fn event(&self, name: impl Into<String>, attributes: Attributes) {
        if let Some(open) = &self.open {
            open.event(name.into(), attributes);
        }
    }

    /// Points to a span of another trace.
    pub fn link(&self, to: Traceparent) {
        self.change(|span| {
            span.links.push(Link {
                trace_id: to.trace_id,
                span_id: to.span_id,
                attributes: Attributes::new(),
            });
        });
    }

    /// What to send on, so that the receiver's spans become children of this one.
    pub fn traceparent(&self) -> Option<Traceparent> {
        self.open.as_ref().map(|open| open.traceparent())
    }

    /// Runs `work` inside this span: what it opens becomes a child.
    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        match &self.open {
            Some(open) => current::within(Arc::clone(open), work).await,
            None => work.await,
        }
    }

    /// The same for work that does not wait.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let _scope = self.open.as_ref().map(Scope::enter);
        work()
    }

    pub fn finish(mut self) {
        self.end(|_| {});
    }

    pub fn fail(mut self, error_type: &str, message: &str) {
        self.end(|span| mark_error(span, error_type, message));
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Span)) {
        if let Some(open) = &self.open {
            open.change(change);
        }
    }

    pub(crate) fn end(&mut self, last: impl FnOnce(&mut Span)) {
        if let Some(open) = self.open.take() {
            open.end(last);
        }
    }

    pub(crate) fn now(&self) -> Option<Timestamp> {
        let open = self.open.as_ref()?;
        Some(open.trace().recorder.clock().now())
    }
}

impl Drop for SpanHandle {
    fn drop(&mut self) {
        self.end(|span| {
            if span.is_error() {
                return;
            }
            if std::thread::panicking() {
                mark_error(span, "panic", "the code that opened this span panicked");
            } else {
                mark_error(span, "cancelled", "dropped before it was finished");
            }
        });
    }
}

/// Sets an attribute when there is something to set.
pub(crate) fn set_some(span: &mut Span, key: &str, value: Option<impl Into<AttributeValue>>) {
    if let Some(value) = value {
        span.set(key, value);
    }
}

pub(crate) fn json_content(span: &mut Span, field: &str, value: &serde_json::Value) {
    span.content.insert(field.to_owned(), Content::json(value));
}
