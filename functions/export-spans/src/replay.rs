//! What is stored goes out again, beyond what the table's stream remembers.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt as _;
use trace_model::{TenantId, Timestamp, TraceId};
use trace_store::{ChunkKey, StoredSpan, TraceStore};

use crate::content::{is_finished, wants_small_texts};
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::{ExportError, Exported, Exporter};

/// Spans that are in memory without their texts.
const AT_ONCE: usize = 256;

/// So long a collector may fail without a break; then the replay does.
const PATIENCE: Duration = Duration::from_mins(10);

/// Sends the finished spans of whole traces, each once in its last revision, in order of start
/// and under the ids they always had.
pub struct Replay {
    store: TraceStore,
    exporter: Exporter,
    pace: Pace,
}

impl Replay {
    pub const fn new(store: TraceStore, exporter: Exporter, spans_per_second: NonZeroU32) -> Self {
        Self {
            store,
            exporter,
            pace: Pace::new(spans_per_second),
        }
    }

    /// Waits for a collector that fails, up to ten minutes.
    pub async fn trace(
        &mut self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<Exported, ExportError> {
        let mut outcome = Exported::default();
        let mut group = Vec::new();
        let mut spans = pin!(self.store.stream_structure(tenant, trace_id));
        while let Some(span) = spans.try_next().await.map_err(ExportError::Store)? {
            if is_finished(span.span()) {
                group.push(span);
            }
            if group.len() == AT_ONCE {
                outcome.add(&self.group(std::mem::take(&mut group)).await?);
            }
        }
        outcome.add(&self.group(group).await?);
        Ok(outcome)
    }

    async fn group(&mut self, spans: Vec<StoredSpan>) -> Result<Exported, ExportError> {
        if spans.is_empty() {
            return Ok(Exported::default());
        }
        self.pace.let_out(spans.len() as u64).await;
        let mut chunks: BTreeMap<ChunkKey, Vec<StoredSpan>> = BTreeMap::new();
        for span in spans {
            chunks
                .entry(span.chunk_key().clone())
                .or_default()
                .push(span);
        }
        let clock = self.exporter.clock().clone();
        let mut failing_since: Option<Timestamp> = None;
        loop {
            let error = match self.send(&chunks).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) if error.passes() => error,
                Err(error) => return Err(error),
            };
            let now = clock.now();
            let since = *failing_since.get_or_insert(now);
            if now.since(since) >= PATIENCE {
                return Err(error);
            }
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the collector is tried again");
        }
    }

    async fn send(
        &self,
        chunks: &BTreeMap<ChunkKey, Vec<StoredSpan>>,
    ) -> Result<Exported, ExportError> {
        let mut outbox = Outbox::new(&self.store, &self.exporter, None);
        for (key, spans) in chunks {
            let has_texts = spans.iter().any(|span| !span.span().content.is_empty());
            let chunk = if has_texts && wants_small_texts(self.exporter.content()) {
                let chunk = self.store.read_chunk(key).await;
                chunk.map_err(ExportError::Store)?
            } else {
                None
            };
            for span in spans {
                outbox.push(chunk.as_ref(), span).await?;
            }
        }
        outbox.finish().await
    }
}
