use std::sync::{Arc, Mutex, PoisonError};

use trace_model::{
    Attributes, Event, Span, SpanId, SpanKind, Status, TenantId, TraceId, Traceparent, conventions,
};

use crate::recorder::Recorder;

/// OpenTelemetry's SDKs keep 128; a loop that logs must not fill the memory.
const MOST_EVENTS: usize = 1_000;

/// The trace that the spans of one node belong to.
pub(crate) struct NodeTrace {
    pub(crate) tenant: TenantId,
    pub(crate) trace_id: TraceId,
    pub(crate) recorder: Arc<Recorder>,
}

/// A span between its opening and its end.
pub(crate) struct OpenSpan {
    trace: Arc<NodeTrace>,
    span_id: SpanId,
    /// `None` once it ended.
    span: Mutex<Option<Span>>,
}

impl OpenSpan {
    pub(crate) fn open(
        trace: Arc<NodeTrace>,
        parent: Option<SpanId>,
        name: impl Into<String>,
        kind: SpanKind,
        fill: impl FnOnce(&mut Span),
    ) -> Arc<Self> {
        let span_id = SpanId::random();
        let start = trace.recorder.clock().now();
        let mut span = Span::open(trace.trace_id, span_id, parent, name, kind, start);
        fill(&mut span);
        let open = Arc::new(Self {
            trace,
            span_id,
            span: Mutex::new(Some(span)),
        });
        open.trace.recorder.opened(&open);
        open
    }

    pub(crate) fn open_child(
        &self,
        name: impl Into<String>,
        kind: SpanKind,
        fill: impl FnOnce(&mut Span),
    ) -> Arc<Self> {
        Self::open(
            Arc::clone(&self.trace),
            Some(self.span_id),
            name,
            kind,
            fill,
        )
    }

    /// Does nothing once the span ended: what was written is not told differently later.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Span)) {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(span) = span.as_mut() {
            change(span);
        }
    }

    pub(crate) fn event(&self, name: String, attributes: Attributes) {
        let time = self.trace.recorder.clock().now();
        self.change(|span| {
            if span.events.len() < MOST_EVENTS {
                span.events.push(Event {
                    name,
                    time,
                    attributes,
                });
            } else {
                let dropped = span.int(conventions::DROPPED_EVENTS).unwrap_or(0);
                span.set(conventions::DROPPED_EVENTS, dropped + 1);
            }
        });
    }

    /// Ends the span once; later calls do nothing. An error told while it was open stays.
    pub(crate) fn end(&self, last: impl FnOnce(&mut Span)) {
        let mut guard = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut span) = guard.take() else { return };
        drop(guard);
        last(&mut span);
        let end = self.trace.recorder.clock().now().max(span.start);
        let status = std::mem::take(&mut span.status);
        span.finish(end, status);
        self.trace.recorder.finished(&self.trace, span);
    }

    /// As it is now; `None` once it ended.
    pub(crate) fn snapshot(&self) -> Option<Span> {
        let span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        span.clone()
    }

    pub(crate) fn trace(&self) -> &Arc<NodeTrace> {
        &self.trace
    }

    pub(crate) fn traceparent(&self) -> Traceparent {
        Traceparent {
            trace_id: self.trace.trace_id,
            span_id: self.span_id,
            flags: 1,
        }
    }
}

/// Marks a span as failed: `error.type` as OpenTelemetry has it, and the words.
pub(crate) fn mark_error(span: &mut Span, error_type: &str, message: &str) {
    span.set(conventions::ERROR_TYPE, error_type);
    span.status = Status::Error {
        message: message.to_owned(),
    };
}
