use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use lambda_process::metrics::{Metric, MetricBatch};
use redaction::{Policy, RawSpan, RedactedSpan};
use tokio::sync::Notify;
use trace_model::{Attributes, Clock, Span, TenantId, TraceId};
use trace_store::{QueueReceipt, TraceStore, WriteReceipt};

use crate::buffer::{Buffer, Buffered, MOST_SPANS, Room, Told};
use crate::open_span::{Found, NodeTrace, OpenSpan};
use crate::span_fallback::SpanFallback;
use crate::writer::{Pending, Schedule};

/// Where masked spans go.
#[derive(Clone)]
pub struct SpanWrite(Arc<WriteFunction>);

type WriteFunction = dyn Fn(
        TenantId,
        TraceId,
        Arc<Vec<RedactedSpan>>,
    ) -> BoxFuture<'static, Result<WriteReceipt, WriteFailure>>
    + Send
    + Sync;

/// Why spans were not taken.
#[derive(Debug)]
pub struct WriteFailure {
    /// Whether the same spans may be taken later; else they are given up and counted, unless
    /// the fallback takes them.
    pub retryable: bool,
    pub source: Box<dyn Error + Send + Sync>,
}

impl SpanWrite {
    /// The spans are shared, not copied: they stay with the writer until they are taken.
    pub fn new<W, F>(write: W) -> Self
    where
        W: Fn(TenantId, TraceId, Arc<Vec<RedactedSpan>>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), WriteFailure>> + Send + 'static,
    {
        Self(Arc::new(move |tenant, trace_id, spans| {
            let receipt = WriteReceipt {
                spans: spans.len(),
                ..WriteReceipt::default()
            };
            let written = write(tenant, trace_id, spans);
            async move { written.await.map(|()| receipt) }.boxed()
        }))
    }

    /// Offers spans to it, as the writer does.
    pub fn write(
        &self,
        tenant: TenantId,
        trace_id: TraceId,
        spans: Arc<Vec<RedactedSpan>>,
    ) -> BoxFuture<'static, Result<WriteReceipt, WriteFailure>> {
        (self.0)(tenant, trace_id, spans)
    }
}

impl From<TraceStore> for SpanWrite {
    fn from(store: TraceStore) -> Self {
        Self(Arc::new(move |tenant, trace_id, spans| {
            let store = store.clone();
            async move {
                store
                    .write_borrowed_spans(&tenant, trace_id, &spans)
                    .await
                    .map_err(|error| WriteFailure {
                        retryable: error.is_retryable(),
                        source: Box::new(error),
                    })
            }
            .boxed()
        }))
    }
}

/// What all spans of a process share.
pub(crate) struct Recorder {
    clock: Clock,
    policy: Policy,
    resource: Attributes,
    buffer: Buffer,
    lost: AtomicU64,
    unreported: Mutex<Unreported>,
    pub(crate) write: SpanWrite,
    pub(crate) fallback: OnceLock<SpanFallback>,
    pub(crate) schedule: Mutex<Schedule>,
    pub(crate) schedule_changed: Notify,
    pub(crate) pending: tokio::sync::Mutex<Pending>,
}

/// What happened since the metrics were last written.
#[derive(Default)]
struct Unreported {
    written: WriteReceipt,
    queued: u64,
    texts_lost: u64,
    lost: u64,
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
            buffer: Buffer::of(MOST_SPANS),
            lost: AtomicU64::new(0),
            unreported: Mutex::default(),
            write,
            fallback: OnceLock::new(),
            schedule: Mutex::default(),
            schedule_changed: Notify::new(),
            pending: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where there is no room, the span is lost from its beginning, and counted here alone.
    pub(crate) fn opened(&self, open: &Arc<OpenSpan>) {
        let added = self.buffer.add(Buffered {
            open: Arc::clone(open),
            told: Told::No,
        });
        if matches!(added, Room::None) {
            self.give_up(open);
        }
    }

    pub(crate) fn has_room(&self, ended: &Span) -> bool {
        let room = matches!(self.buffer.reserve(ended), Room::Enough);
        self.count_lost(u64::from(!room));
        room
    }

    fn give_up(&self, open: &OpenSpan) {
        match open.give_up() {
            Found::Ended(span) => self.buffer.release(&span),
            Found::Open(_) => {}
            // Its end found no room either, and was counted.
            Found::Nothing => return,
        }
        self.count_lost(1);
    }

    pub(crate) fn count_lost(&self, spans: u64) {
        self.lost.fetch_add(spans, Ordering::Relaxed);
        self.unreported().lost += spans;
    }

    pub(crate) fn count_written(&self, receipt: WriteReceipt) {
        self.unreported().written.add(receipt);
    }

    pub(crate) fn count_queued(&self, receipt: QueueReceipt) {
        {
            let mut unreported = self.unreported();
            unreported.queued += receipt.spans as u64;
            unreported.texts_lost += receipt.texts_lost as u64;
        }
        self.count_lost(receipt.spans_lost as u64);
    }

    /// Tells what happened since it was last asked.
    pub(crate) fn report(&self, batch: &mut MetricBatch) {
        let Unreported {
            written,
            queued,
            texts_lost,
            lost,
        } = std::mem::take(&mut *self.unreported());
        written.report(batch);
        batch.add(Metric::SpansQueued, queued);
        batch.add(Metric::TextsLost, texts_lost);
        batch.add(Metric::SpansLost, lost);
    }

    fn unreported(&self) -> MutexGuard<'_, Unreported> {
        self.unreported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        self.put_back(open_still);
        redacted
    }

    fn put_back(&self, open_still: Vec<Buffered>) {
        for buffered in self.buffer.put_back(open_still) {
            self.give_up(&buffered.open);
        }
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

#[cfg(test)]
mod tests {
    use trace_model::SpanKind;

    use super::*;

    fn recorder(most_spans: usize) -> Arc<Recorder> {
        let write = SpanWrite::new(|_, _, _| std::future::ready(Ok(())));
        let (clock, policy) = (Clock::system(), Policy::standard());
        let mut recorder = Recorder::new(clock, policy, Attributes::new(), write);
        recorder.buffer = Buffer::of(most_spans);
        Arc::new(recorder)
    }

    fn open(recorder: &Arc<Recorder>, count: usize) -> Vec<Arc<OpenSpan>> {
        let trace = Arc::new(NodeTrace {
            tenant: TenantId::default(),
            trace_id: TraceId::random(),
            attempt: None,
            recorder: Arc::clone(recorder),
        });
        let open = || OpenSpan::open(Arc::clone(&trace), None, "step", SpanKind::Internal, |_| {});
        std::iter::repeat_with(open).take(count).collect()
    }

    fn check(recorder: &Recorder, expected_lost: u64) {
        assert_eq!(recorder.lost(), expected_lost);
        assert_eq!(recorder.buffer.ended_bytes(), 0);
    }

    #[test]
    fn a_span_that_found_no_room_takes_none_when_it_ends() {
        let recorder = recorder(2);
        for span in open(&recorder, 5) {
            span.end(|_| {});
        }
        assert_eq!(recorder.drain_redacted().len(), 2);
        check(&recorder, 3);
    }

    #[test]
    fn an_open_span_that_finds_no_room_again_is_lost_once() {
        let recorder = recorder(3);
        let spans = open(&recorder, 3);
        let drained = recorder.buffer.drain();
        // While the writer masks, one of them ends, and others take all room but one span's.
        spans[1].end(|_| {});
        open(&recorder, 2);
        recorder.put_back(drained);
        assert_eq!(recorder.lost(), 2);
        for span in &spans {
            span.end(|_| {});
        }
        recorder.drain_redacted();
        check(&recorder, 2);
    }
}
