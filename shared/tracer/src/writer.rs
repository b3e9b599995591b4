use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::join_all;
use redaction::RedactedSpan;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use trace_model::{Revision, TenantId, TraceId};
use trace_store::{LargeTexts, QueueReceipt};

use crate::buffer::{MOST_BYTES, MOST_SPANS, weight};
use crate::recorder::{Recorder, WriteFailure};
use crate::span_fallback::SpanFallback;

/// While a node runs, spans are written at most this often.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);
/// What is open this long before a node's deadline is written, because nothing is after it.
pub(crate) const BEFORE_DEADLINE: Duration = Duration::from_millis(500);
/// The store's time in a write whose spans may go to the fallback: longer than a throttled
/// table's usual recovery, and short beside what a sandbox has left.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// The same when Lambda is about to kill: it waits 300 ms, or 500 ms with an extension in the
/// process.
const STORE_PATIENCE_AT_THE_END: Duration = Duration::from_millis(100);
/// Left of a write's time for whoever waits for it.
const RESERVE: Duration = Duration::from_millis(50);
/// Traces written side by side: on Lambda there is one, locally a Map has many.
const WRITES_AT_ONCE: usize = 8;

/// What became of the spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    pub written: u64,
    /// Refused, and taken by the fallback.
    pub queued: u64,
    /// Refused so far, and kept for the next write.
    pub waiting: u64,
    /// Given up in the life of this process: the memory was full, or the store refused for good.
    pub lost: u64,
}

/// When the writer is to write next. It runs only while a node does.
#[derive(Default)]
pub(crate) struct Schedule {
    running: bool,
    nodes: BTreeMap<u64, Option<Instant>>,
    next_node: u64,
    last_write: Option<Instant>,
}

/// Masked spans on their way to the store.
#[derive(Default)]
pub(crate) struct Pending {
    batches: Vec<Batch>,
    losses_told: u64,
}

struct Batch {
    tenant: TenantId,
    trace_id: TraceId,
    spans: Arc<Vec<RedactedSpan>>,
    bytes: usize,
    offered: Offered,
}

/// Whether the store was offered a batch. It may have taken part of it, so that the same batch
/// must come again, and nothing is added to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offered {
    NotYet,
    Refused,
    /// It is the fallback's, or lost.
    RefusedForGood,
}

/// How long a write may take, and what it may do at its end.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// What is refused is not tried again after this.
    give_up_at: Instant,
    /// With a fallback the write is over by now; without one it waits for the store.
    until: Instant,
    /// The store's part of it, if the fallback needs the rest.
    store_patience: Duration,
    large_texts: LargeTexts,
}

impl Limits {
    /// Nothing comes after this write, or nobody knows.
    pub(crate) fn last(until: Instant) -> Self {
        Self {
            give_up_at: until,
            until: until.checked_sub(RESERVE).unwrap_or(until),
            store_patience: STORE_PATIENCE,
            large_texts: LargeTexts::GivenUp,
        }
    }

    /// The process is about to be killed.
    pub(crate) fn terminating(until: Instant) -> Self {
        Self {
            store_patience: STORE_PATIENCE_AT_THE_END,
            ..Self::last(until)
        }
    }

    /// While a node runs: texts that no queue takes are better kept for the next write.
    fn regular(now: Instant, until: Instant) -> Self {
        Self {
            give_up_at: now + BETWEEN_WRITES,
            until: until.min(now + 2 * STORE_PATIENCE),
            store_patience: STORE_PATIENCE,
            large_texts: LargeTexts::Refused,
        }
    }

    /// The fallback has as much time as the store had.
    fn store_until(&self, now: Instant) -> Instant {
        let remaining = self.until.saturating_duration_since(now);
        now + self.store_patience.min(remaining / 2)
    }
}

/// A node that runs; the writer stops when the last is dropped.
pub(crate) struct RunningNode {
    recorder: Arc<Recorder>,
    key: u64,
}

impl RunningNode {
    pub(crate) fn start(recorder: &Arc<Recorder>, deadline: Option<Instant>) -> Self {
        let mut schedule = lock(recorder);
        let key = schedule.next_node;
        schedule.next_node += 1;
        let now = Instant::now();
        let write_at = deadline.map(|deadline| {
            deadline
                .checked_sub(BEFORE_DEADLINE)
                .map_or(now, |at| at.max(now))
        });
        schedule.nodes.insert(key, write_at);
        if schedule.running {
            recorder.schedule_changed.notify_one();
        } else {
            schedule.running = true;
            // The first second is the work's own: most nodes end in it, and are written once.
            schedule.last_write = Some(now);
            tokio::spawn(write_while_nodes_run(Arc::clone(recorder)));
        }
        drop(schedule);
        Self {
            recorder: Arc::clone(recorder),
            key,
        }
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        lock(&self.recorder).nodes.remove(&self.key);
        self.recorder.schedule_changed.notify_one();
    }
}

async fn write_while_nodes_run(recorder: Arc<Recorder>) {
    while let Some(at) = next_write(&recorder) {
        tokio::select! {
            () = tokio::time::sleep_until(at) => {
                let limits = note_write(&recorder, Instant::now());
                write_all(&recorder, limits).await;
            }
            () = recorder.schedule_changed.notified() => {}
        }
    }
}

/// `None` when no node runs any more: then the writer is to end.
fn next_write(recorder: &Recorder) -> Option<Instant> {
    let mut schedule = lock(recorder);
    if schedule.nodes.is_empty() {
        schedule.running = false;
        return None;
    }
    let regular = schedule.last_write.unwrap_or_else(Instant::now) + BETWEEN_WRITES;
    let deadlines = schedule.nodes.values().flatten().copied();
    Some(deadlines.fold(regular, Instant::min))
}

fn note_write(recorder: &Recorder, now: Instant) -> Limits {
    let mut schedule = lock(recorder);
    schedule.last_write = Some(now);
    let mut is_last = false;
    for deadline in schedule.nodes.values_mut() {
        if deadline.is_some_and(|at| at <= now) {
            *deadline = None;
            is_last = true;
        }
    }
    let next_deadline = schedule.nodes.values().flatten().min();
    if is_last {
        Limits::last(now + BEFORE_DEADLINE)
    } else {
        let until = next_deadline.copied();
        Limits::regular(now, until.unwrap_or(now + 2 * STORE_PATIENCE))
    }
}

fn lock(recorder: &Recorder) -> std::sync::MutexGuard<'_, Schedule> {
    recorder
        .schedule
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Writes all there is; what is refused is tried again with growing pauses, then goes to the
/// fallback, and if that refuses it too it is kept for the next time.
pub(crate) async fn write_all(recorder: &Arc<Recorder>, limits: Limits) -> Flushed {
    let mut pending = recorder.pending.lock().await;
    take_over(recorder, &mut pending).await;
    let fallback = recorder.fallback.get();
    let store_until = fallback.map(|_| limits.store_until(Instant::now()));
    let give_up_at = store_until.map_or(limits.give_up_at, |at| at.min(limits.give_up_at));
    let mut written = 0;
    let mut queued = 0;
    let mut pauses = pauses();
    loop {
        written += pending.write_once(recorder, store_until).await;
        if !pending.may_be_written() {
            break;
        }
        let pause = pauses.next().unwrap_or(BETWEEN_WRITES);
        if Instant::now() + pause >= give_up_at {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    if let Some(fallback) = fallback {
        queued = pending.queue(recorder, fallback, limits).await;
    }
    pending.shrink(recorder);
    let flushed = Flushed {
        written,
        queued,
        waiting: pending.spans(),
        lost: recorder.lost(),
    };
    pending.tell(&flushed);
    flushed
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .build()
}

async fn take_over(recorder: &Arc<Recorder>, pending: &mut Pending) {
    let draining = Arc::clone(recorder);
    // The task is never aborted and does not panic; were it to end otherwise, there is nothing
    // masked to write.
    let spans = tokio::task::spawn_blocking(move || draining.drain_redacted()).await;
    for (trace, span) in spans.unwrap_or_default() {
        pending.add(&trace.tenant, trace.trace_id, span);
    }
}

impl Pending {
    fn add(&mut self, tenant: &TenantId, trace_id: TraceId, span: RedactedSpan) {
        let bytes = weight(span.span());
        let batch = self.batches.iter_mut().find(|batch| {
            batch.offered == Offered::NotYet
                && batch.trace_id == trace_id
                && batch.tenant == *tenant
        });
        match batch {
            Some(batch) => {
                batch.bytes += bytes;
                Arc::make_mut(&mut batch.spans).push(span);
            }
            None => self.batches.push(Batch {
                tenant: tenant.clone(),
                trace_id,
                spans: Arc::new(vec![span]),
                bytes,
                offered: Offered::NotYet,
            }),
        }
    }

    /// Answers how many spans the store took. It is not waited for longer than `until`; what it
    /// takes after that is stored once all the same.
    async fn write_once(&mut self, recorder: &Recorder, until: Option<Instant>) -> u64 {
        let mut outcomes = Vec::with_capacity(self.batches.len());
        for batches in self.batches.chunks(WRITES_AT_ONCE) {
            let writes = batches.iter().map(|batch| {
                let spans = Arc::clone(&batch.spans);
                let write = recorder
                    .write
                    .write(batch.tenant.clone(), batch.trace_id, spans);
                async move {
                    match until {
                        Some(until) => timeout_at(until, write).await.unwrap_or_else(no_answer),
                        None => write.await,
                    }
                }
            });
            outcomes.extend(join_all(writes.collect::<Vec<_>>()).await);
        }
        let mut written = 0;
        let mut outcomes = outcomes.into_iter();
        self.batches.retain_mut(|batch| match outcomes.next() {
            Some(Ok(receipt)) => {
                written += batch.spans.len() as u64;
                recorder.count_written(receipt);
                false
            }
            Some(Err(failure)) if !failure.retryable && recorder.fallback.get().is_some() => {
                let error = &*failure.source;
                tracing::error!(error, spans = batch.spans.len(), "the store refused spans");
                batch.offered = Offered::RefusedForGood;
                true
            }
            Some(Err(failure)) if !failure.retryable => {
                let error = &*failure.source;
                tracing::error!(
                    error,
                    spans = batch.spans.len(),
                    "the store takes these spans never"
                );
                recorder.count_lost(batch.spans.len() as u64);
                false
            }
            Some(Err(failure)) => {
                let error = &*failure.source;
                tracing::debug!(error, "the store refused spans");
                batch.offered = Offered::Refused;
                true
            }
            None => true,
        });
        written
    }

    fn may_be_written(&self) -> bool {
        let mut batches = self.batches.iter();
        batches.any(|batch| batch.offered != Offered::RefusedForGood)
    }

    /// Answers how many spans the fallback took.
    async fn queue(&mut self, recorder: &Recorder, fallback: &SpanFallback, limits: Limits) -> u64 {
        let mut outcomes = Vec::with_capacity(self.batches.len());
        for batches in self.batches.chunks(WRITES_AT_ONCE) {
            let sends = batches.iter().map(|batch| {
                let (tenant, spans) = (batch.tenant.clone(), Arc::clone(&batch.spans));
                let send = fallback.send(tenant, batch.trace_id, spans, limits.large_texts);
                async move {
                    let answer = timeout_at(limits.until, send).await;
                    answer.unwrap_or_else(no_answer)
                }
            });
            outcomes.extend(join_all(sends.collect::<Vec<_>>()).await);
        }
        let mut queued = 0;
        let mut outcomes = outcomes.into_iter();
        self.batches.retain_mut(|batch| match outcomes.next() {
            Some(Ok(receipt)) => {
                queued += receipt.spans as u64;
                tell_queued(receipt);
                recorder.count_queued(receipt);
                false
            }
            Some(Err(failure)) => {
                let error = &*failure.source;
                tracing::warn!(error, spans = batch.spans.len(), "the queue refused spans");
                let is_lost = batch.offered == Offered::RefusedForGood;
                if is_lost {
                    recorder.count_lost(batch.spans.len() as u64);
                }
                !is_lost
            }
            None => true,
        });
        queued
    }

    /// Keeps the memory bounded: of what waits, first spans that are only opened go (their
    /// finished revision is still to come), then the oldest.
    fn shrink(&mut self, recorder: &Recorder) {
        let is_too_much = |batches: &[Batch]| {
            batches.iter().map(|batch| batch.bytes).sum::<usize>() > MOST_BYTES
                || batches.iter().map(|batch| batch.spans.len()).sum::<usize>() > MOST_SPANS
        };
        if is_too_much(&self.batches) {
            for batch in &mut self.batches {
                let before = batch.spans.len();
                Arc::make_mut(&mut batch.spans)
                    .retain(|span| span.span().revision != Revision::OPENED);
                recorder.count_lost((before - batch.spans.len()) as u64);
                batch.bytes = batch.spans.iter().map(|span| weight(span.span())).sum();
            }
            self.batches.retain(|batch| !batch.spans.is_empty());
        }
        while is_too_much(&self.batches) {
            let oldest = self.batches.remove(0);
            recorder.count_lost(oldest.spans.len() as u64);
        }
    }

    /// Losses are never silent: each is told once.
    fn tell(&mut self, flushed: &Flushed) {
        let Flushed { waiting, lost, .. } = *flushed;
        if waiting > 0 {
            tracing::warn!(
                waiting,
                "the store refuses spans: they are kept and tried again"
            );
        }
        if lost > self.losses_told {
            tracing::error!(
                spans = lost - self.losses_told,
                in_all = lost,
                "spans were lost"
            );
            self.losses_told = lost;
        }
    }

    fn spans(&self) -> u64 {
        self.batches
            .iter()
            .map(|batch| batch.spans.len() as u64)
            .sum()
    }
}

fn no_answer<T>(_: Elapsed) -> Result<T, WriteFailure> {
    Err(WriteFailure {
        retryable: true,
        source: "no answer in time".into(),
    })
}

fn tell_queued(receipt: QueueReceipt) {
    tracing::warn!(
        spans = receipt.spans,
        messages = receipt.messages,
        "the store refuses spans: they are queued"
    );
    if receipt.texts_lost > 0 {
        tracing::error!(
            texts = receipt.texts_lost,
            "texts were lost: the store refuses them, and the queue takes none so large"
        );
    }
}
