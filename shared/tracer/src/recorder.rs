use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use redaction::{Policy, RawSpan, RedactedSpan};
use tokio::sync::Notify;
use trace_model::{Attributes, Clock, Span, TenantId, TraceId};
use trace_store::TraceStore;

use crate::buffer::{Buffer, Buffered, Room, Told};
use crate::open_span::{Found, NodeTrace, OpenSpan};
use crate::writer::{Pending, Schedule};

/// Where masked spans go.
#[derive(Clone)]
pub struct SpanWrite(Arc<WriteFunction>);

type WriteFunction = dyn Fn(TenantId, TraceId, Vec<RedactedSpan>) -> BoxFuture<'static, Result<(), WriteFailure>>
    + Send
    + Sync;

/// Why spans were not taken.
#[derive(Debug)]
pub struct WriteFailure {
    /// Whether the same spans may be taken later; else they are given up, and counted.
    pub retryable: bool,
    pub source: Box<dyn Error + Send + Sync>,
}

impl SpanWrite {
    pub fn new<W, F>(write: W) -> Self
    where
        W: Fn(TenantId, TraceId, Vec<RedactedSpan>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), WriteFailure>> + Send + 'static,
    {
        Self(Arc::new(move |tenant, trace_id, spans| {
            write(tenant, trace_id, spans).boxed()
        }))
    }

    pub(crate) fn write(
        &self,
        tenant: TenantId,
        trace_id: TraceId,
        spans: Vec<RedactedSpan>,
    ) -> BoxFuture<'static, Result<(), WriteFailure>> {
        (self.0)(tenant, trace_id, spans)
    }
}

impl From<TraceStore> for SpanWrite {
    fn from(store: TraceStore) -> Self {
        Self::new(move |tenant, trace_id, spans| {
            let store = store.clone();
            async move {
                store
                    .write_spans(&tenant, trace_id, spans)
                    .await
                    .map(|_| ())
                    .map_err(|error| WriteFailure {
                        retryable: error.is_retryable(),
                        source: Box::new(error),
                    })
            }
        })
    }
}

/// What all spans of a process share.
pub(crate) struct Recorder {
    clock: Clock,
    policy: Policy,
    resource: Attributes,
    buffer: Buffer,
    lost: AtomicU64,
    pub(crate) write: SpanWrite,
    pub(crate) schedule: Mutex<Schedule>,
    pub(crate) schedule_changed: Notify,
    pub(crate) pending: tokio::sync::Mutex<Pending>,
}

impl Recorder {
    pub(crate) fn new(
        clock: Clock,
        policy: Policy,
        resource: Attributes,
        write: SpanWrite,
    ) -> Self {
        Self {
            clock,
            policy,
            resource,
            buffer: Buffer::new(),
            lost: AtomicU64::new(0),
            write,
            schedule: Mutex::default(),
            schedule_changed: Notify::new(),
            pending: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn opened(&self, open: &Arc<OpenSpan>) {
        let added = self.buffer.add([Buffered {
            open: Arc::clone(open),
            told: Told::No,
        }]);
        self.count_without(&added);
    }

    pub(crate) fn has_room(&self, ended: &Span) -> bool {
        let room = self.buffer.reserve(ended);
        self.count_without(&room);
        matches!(room, Room::Enough)
    }

    fn count_without(&self, room: &Room) {
        self.count_lost(u64::from(matches!(room, Room::None)));
    }

    pub(crate) fn count_lost(&self, spans: u64) {
        self.lost.fetch_add(spans, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Masks all that was not written yet. Long texts take milliseconds: not for the thread
    /// that a handler runs on.
    pub(crate) fn drain_redacted(&self) -> Vec<(Arc<NodeTrace>, RedactedSpan)> {
        let mut redacted = Vec::new();
        let mut open_still = Vec::new();
        for buffered in self.buffer.drain() {
            if buffered.told == Told::Opened && buffered.open.is_open() {
                open_still.push(buffered);
                continue;
            }
            let open = buffered.open;
            let trace = Arc::clone(open.trace());
            let span = match open.take() {
                Found::Ended(span) => {
                    self.buffer.release(&span);
                    span
                }
                Found::Open(span) => {
                    let told = Told::Opened;
                    open_still.push(Buffered { open, told });
                    span
                }
                Found::Nothing => continue,
            };
            // Fails closed: a span that cannot be masked is lost, and none goes unmasked.
            match catch_unwind(AssertUnwindSafe(|| self.redact(span))) {
                Ok(span) => redacted.push((trace, span)),
                Err(_) => self.count_lost(1),
            }
        }
        let count = open_still.len() as u64;
        if matches!(self.buffer.add(open_still), Room::None) {
            self.count_lost(count);
        }
        redacted
    }

    fn redact(&self, mut span: Span) -> RedactedSpan {
        span.resource.clone_from(&self.resource);
        if span.scope.0.is_empty() {
            env!("CARGO_PKG_NAME").clone_into(&mut span.scope.0);
        }
        env!("CARGO_PKG_VERSION").clone_into(&mut span.scope.1);
        if span.end.is_some() {
            trace_model::apply_cost(&mut span);
        }
        self.policy.redact(RawSpan::from(span))
    }
}
