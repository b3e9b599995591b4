use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::join_all;
use redaction::RedactedSpan;
use tokio::time::Instant;
use trace_model::{Revision, TenantId, TraceId};

use crate::buffer::{MOST_BYTES, MOST_SPANS, weight};
use crate::recorder::Recorder;

/// While a node runs, spans are written at most this often.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);
/// What is open this long before a node's deadline is written, because nothing is after it.
pub(crate) const BEFORE_DEADLINE: Duration = Duration::from_millis(500);
/// Traces written side by side: on Lambda there is one, locally a Map has many.
const WRITES_AT_ONCE: usize = 8;

/// What became of the spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    pub written: u64,
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
                let now = Instant::now();
                note_write(&recorder, now);
                write_all(&recorder, now + BETWEEN_WRITES).await;
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

fn note_write(recorder: &Recorder, now: Instant) {
    let mut schedule = lock(recorder);
    schedule.last_write = Some(now);
    for deadline in schedule.nodes.values_mut() {
        if deadline.is_some_and(|at| at <= now) {
            *deadline = None;
        }
    }
}

fn lock(recorder: &Recorder) -> std::sync::MutexGuard<'_, Schedule> {
    recorder
        .schedule
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Writes all there is; what is refused is tried again with growing pauses until
/// `give_up_at`, and then kept for the next time.
pub(crate) async fn write_all(recorder: &Arc<Recorder>, give_up_at: Instant) -> Flushed {
    let mut pending = recorder.pending.lock().await;
    take_over(recorder, &mut pending).await;
    let mut written = 0;
    let mut pauses = pauses();
    loop {
        written += pending.write_once(recorder).await;
        if pending.batches.is_empty() {
            break;
        }
        let pause = pauses.next().unwrap_or(BETWEEN_WRITES);
        if Instant::now() + pause >= give_up_at {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    pending.shrink(recorder);
    let flushed = Flushed {
        written,
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

    /// Answers how many spans the store took.
    async fn write_once(&mut self, recorder: &Recorder) -> u64 {
        let mut outcomes = Vec::with_capacity(self.batches.len());
        for batches in self.batches.chunks(WRITES_AT_ONCE) {
            let writes = batches.iter().map(|batch| {
                let spans = Arc::clone(&batch.spans);
                recorder
                    .write
                    .write(batch.tenant.clone(), batch.trace_id, spans)
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
