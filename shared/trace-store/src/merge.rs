//! Merges a trace's partitions into one order, in memory that overlapping chunks bound.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::future::try_join_all;
use trace_model::{SpanId, TenantId, Timestamp, TraceId};

use crate::keys::SHARDS;
use crate::read::Generation;
use crate::shard::ShardReader;
use crate::{SpanPosition, StoreError, StoredSpan, TraceStore};

pub(crate) struct StructureReader {
    store: TraceStore,
    tenant: TenantId,
    trace_id: TraceId,
    shards: Vec<ShardReader>,
    /// Known once the first span is asked for.
    generation: Option<Generation>,
    pending: Pending,
}

/// Spans that are read and not given out, each in its highest revision so far.
#[derive(Default)]
struct Pending {
    spans: BTreeMap<SpanPosition, StoredSpan>,
    starts: HashMap<SpanId, Timestamp>,
    given: HashSet<SpanId>,
}

impl StructureReader {
    pub(crate) fn new(
        store: TraceStore,
        tenant: &TenantId,
        trace_id: TraceId,
        from: Option<Timestamp>,
    ) -> Self {
        let shards = (0..SHARDS)
            .map(|shard| ShardReader::new(store.clone(), tenant, trace_id, shard, from))
            .collect();
        Self {
            store,
            tenant: tenant.clone(),
            trace_id,
            shards,
            generation: None,
            pending: Pending::default(),
        }
    }

    /// A chunk's key says when its first span started: what started before every chunk still
    /// to come is complete.
    pub(crate) async fn next(&mut self) -> Result<Option<StoredSpan>, StoreError> {
        let generation = if let Some(generation) = self.generation {
            generation
        } else {
            let generation = self.store.generation(&self.tenant, self.trace_id).await?;
            *self.generation.insert(generation)
        };
        loop {
            try_join_all(self.shards.iter_mut().map(ShardReader::fill)).await?;
            let upcoming = self.shards.iter_mut();
            let upcoming = upcoming.filter_map(|shard| Some((shard.next_start()?, shard)));
            let Some((horizon, shard)) = upcoming.min_by_key(|(start, _)| *start) else {
                return Ok(self.pending.pop_before(None));
            };
            if let Some(span) = self.pending.pop_before(Some(horizon)) {
                return Ok(Some(span));
            }
            for span in shard.next_chunk().await?.unwrap_or_default() {
                if generation.holds(span.span().start) {
                    self.pending.push(span);
                }
            }
        }
    }
}

impl Pending {
    fn push(&mut self, span: StoredSpan) {
        let position = span.position();
        if self.given.contains(&position.span_id) {
            return;
        }
        if let Some(start) = self.starts.get(&position.span_id).copied() {
            let known = SpanPosition { start, ..position };
            if let Some(other) = self.spans.remove(&known)
                && !span.outranks(&other)
            {
                self.spans.insert(known, other);
                return;
            }
        }
        self.starts.insert(position.span_id, position.start);
        self.spans.insert(position, span);
    }

    /// The first span, if it started before the horizon; without a horizon the first of all.
    fn pop_before(&mut self, horizon: Option<Timestamp>) -> Option<StoredSpan> {
        let first = self.spans.first_entry()?;
        if horizon.is_some_and(|horizon| first.key().start >= horizon) {
            return None;
        }
        let (position, span) = first.remove_entry();
        self.starts.remove(&position.span_id);
        self.given.insert(position.span_id);
        Some(span)
    }
}
