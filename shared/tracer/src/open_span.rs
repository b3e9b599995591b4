use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// That the node is the work of.
    pub(crate) attempt: Option<SpanId>,
    pub(crate) recorder: Arc<Recorder>,
}

/// A span between its opening and its end.
pub(crate) struct OpenSpan {
    trace: Arc<NodeTrace>,
    span_id: SpanId,
    state: Mutex<State>,
}

/// The span stays where it was made until it is written: it is large, and moving costs.
struct State {
    /// `None` once it is on its way to the store, or given up.
    span: Option<Span>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Ended,
}

/// What the writer finds.
pub(crate) enum Found {
    Ended(Span),
    /// A copy.
    Open(Span),
    Nothing,
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
            state: Mutex::new(State {
                span: Some(span),
                phase: Phase::Open,
            }),
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
        if let State {
            span: Some(span),
            phase: Phase::Open,
        } = &mut *self.state()
        {
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
        let mut state = self.state();
        let State {
            span: Some(span),
            phase: phase @ Phase::Open,
        } = &mut *state
        else {
            return;
        };
        *phase = Phase::Ended;
        last(span);
        let end = self.trace.recorder.clock().now().max(span.start);
        let status = std::mem::take(&mut span.status);
        span.finish(end, status);
        if !self.trace.recorder.has_room(span) {
            state.span = None;
        }
    }

    /// For the writer: an ended span leaves, an open one is copied.
    pub(crate) fn take(&self) -> Found {
        let mut state = self.state();
        let found = match state.phase {
            Phase::Open => state.span.clone().map(Found::Open),
            Phase::Ended => state.span.take().map(Found::Ended),
        };
        found.unwrap_or(Found::Nothing)
    }

    /// Nothing is kept of it, and nothing more is told: what there was is answered.
    pub(crate) fn give_up(&self) -> Found {
        let mut state = self.state();
        let phase = state.phase;
        state
            .span
            .take()
            .map_or(Found::Nothing, |span| match phase {
                Phase::Open => Found::Open(span),
                Phase::Ended => Found::Ended(span),
            })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state().phase == Phase::Open
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
