use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::pin;
use std::time::Duration;

use futures::future::{self, try_join_all};
use futures::{Stream, TryStreamExt as _, stream};
use redaction::RedactedSpan;
use trace_model::{ContentBody, ContentLocation, Span, SpanId, TenantId, Timestamp, TraceId};

use crate::body::unfold;
use crate::chunk::{self, small_content_of};
use crate::item::{StoredItem, primary_key};
use crate::keys::{SHARDS, content_key};
use crate::merge::StructureReader;
use crate::shard::ShardReader;
use crate::write::{BODY, BODY_BYTES, CONTENT_ITEM};
use crate::{ChunkKey, StoreError, TraceStore};

/// A span may start a little before the run it belongs to, by another machine's clock.
const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// A span's structure; its content stays in the store until [`TraceStore::read_content`].
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSpan {
    pub(crate) span: RedactedSpan,
    pub(crate) chunk: ChunkKey,
}

/// A whole trace's structure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceStructure {
    /// Each span once, in its highest revision, in order of start and then span id.
    pub spans: Vec<StoredSpan>,
    /// How many chunks the trace has: grows with each write, and otherwise stays.
    pub revision: u64,
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanPosition {
    pub start: Timestamp,
    pub span_id: SpanId,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StructurePage {
    /// In order of start and then span id.
    pub spans: Vec<StoredSpan>,
    /// `None` when this was the last page.
    pub next: Option<SpanPosition>,
}

impl StoredSpan {
    pub const fn redacted(&self) -> &RedactedSpan {
        &self.span
    }

    pub const fn span(&self) -> &Span {
        self.span.span()
    }

    /// Where it lies.
    pub const fn chunk_key(&self) -> &ChunkKey {
        &self.chunk
    }

    pub fn into_redacted(self) -> RedactedSpan {
        self.span
    }

    pub const fn position(&self) -> SpanPosition {
        let span = self.span.span();
        SpanPosition {
            start: span.start,
            span_id: span.span_id,
        }
    }

    /// Of two tellings of one span the higher revision counts, and what comes from the history
    /// is displaced by nothing that claims its id. Of two of the same revision, which only a
    /// fault of a writer makes, always the same one.
    pub(crate) fn outranks(&self, other: &Self) -> bool {
        let rank = |span: &Self| {
            let span = span.span();
            (span.kind.is_of_history(), span.revision, span.end)
        };
        (rank(self), &self.chunk.sort_key) > (rank(other), &other.chunk.sort_key)
    }
}

/// Which spans belong to the newest run of the trace's name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generation(Option<Timestamp>);

impl Generation {
    pub(crate) fn holds(self, start: Timestamp) -> bool {
        self.0.is_none_or(|from| start.plus(CLOCK_SKEW) >= from)
    }
}

impl TraceStore {
    /// The whole structure, every acknowledged write included; empty for a trace that is not
    /// there. A very large trace is better read in pages.
    pub async fn read_structure(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<TraceStructure, StoreError> {
        let (merged, revision) = self.collect_spans(tenant, trace_id, |_| true).await?;
        let mut spans: Vec<_> = merged.into_values().collect();
        spans.sort_by_key(StoredSpan::position);
        Ok(TraceStructure { spans, revision })
    }

    /// Up to `limit` spans after `after`, in the same order as [`Self::read_structure`]. The
    /// table looks at every chunk again for each page (a chunk's key says when its first span
    /// started, and its last may be later than any), and sends only those with spans from there
    /// on: for many pages in a row [`Self::stream_structure_after`] reads once.
    pub async fn read_structure_page(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        after: Option<SpanPosition>,
        limit: usize,
    ) -> Result<StructurePage, StoreError> {
        let limit = limit.max(1);
        let mut spans = pin!(self.stream_structure_after(tenant, trace_id, after));
        let mut page = StructurePage {
            spans: Vec::new(),
            next: None,
        };
        while let Some(span) = spans.try_next().await? {
            if page.spans.len() == limit {
                page.next = page.spans.last().map(StoredSpan::position);
                break;
            }
            page.spans.push(span);
        }
        Ok(page)
    }

    /// The structure in the same order, holding only the chunks that overlap in time. Should
    /// two revisions of one span disagree on when it started, the earlier start is shown.
    pub fn stream_structure(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> impl Stream<Item = Result<StoredSpan, StoreError>> + Send + use<> {
        self.stream_structure_after(tenant, trace_id, None)
    }

    /// The same from behind a position on: the chunks are read once, and only as far as the
    /// stream is taken.
    pub fn stream_structure_after(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        after: Option<SpanPosition>,
    ) -> impl Stream<Item = Result<StoredSpan, StoreError>> + Send + use<> {
        let reader = self.structure_reader(tenant, trace_id, after);
        let spans = stream::try_unfold(reader, |mut reader| async move {
            let span = reader.next().await?;
            Ok(span.map(|span| (span, reader)))
        });
        spans.try_filter(move |span: &StoredSpan| {
            future::ready(after.is_none_or(|after| span.position() > after))
        })
    }

    pub async fn read_span(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        span_id: SpanId,
    ) -> Result<Option<StoredSpan>, StoreError> {
        let wanted = |span: &Span| span.span_id == span_id;
        let (mut merged, _) = self.collect_spans(tenant, trace_id, wanted).await?;
        Ok(merged.remove(&span_id))
    }

    /// One body, whole, from wherever it lies, its hash checked.
    pub async fn read_content(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        span: &StoredSpan,
        field: &str,
    ) -> Result<String, StoreError> {
        let content = span.span().content.get(field);
        let content = content.ok_or_else(|| StoreError::NoSuchField {
            field: field.to_owned(),
        })?;
        let is_own = span.chunk.tenant == *tenant && span.chunk.trace_id == trace_id;
        let text = match &content.body {
            _ if !is_own => None,
            ContentBody::Text(text) => Some(text.clone()),
            ContentBody::Stored(ContentLocation::Item) => self.small_text(span, field).await?,
            ContentBody::Stored(ContentLocation::Chunk(id)) => {
                self.item_text(tenant, trace_id, id, content.bytes).await?
            }
            ContentBody::Stored(ContentLocation::Object(key)) => {
                self.object_text(tenant, trace_id, key, content.bytes)
                    .await?
            }
        };
        text.ok_or_else(|| StoreError::ContentGone {
            field: field.to_owned(),
        })
    }

    /// All spans that are wanted, merged, and the number of chunks that were looked at.
    async fn collect_spans(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        wanted: impl Fn(&Span) -> bool,
    ) -> Result<(HashMap<SpanId, StoredSpan>, u64), StoreError> {
        let wanted = &wanted;
        let generation = self.generation(tenant, trace_id);
        let shards = (0..SHARDS).map(|shard| async move {
            let mut reader = ShardReader::new(self.clone(), tenant, trace_id, shard, None);
            let (mut found, mut chunks) = (Vec::new(), Vec::new());
            while let Some(spans) = reader.next_chunk().await? {
                let last_start = spans.iter().map(|span| span.span().start).max();
                chunks.extend(last_start);
                found.extend(spans.into_iter().filter(|span| wanted(span.span())));
            }
            Ok::<_, StoreError>((found, chunks))
        });
        let (generation, shards) = futures::try_join!(generation, try_join_all(shards))?;
        let mut merged = HashMap::new();
        let mut revision = 0;
        for (spans, chunks) in shards {
            revision += chunks
                .into_iter()
                .filter(|last_start| generation.holds(*last_start))
                .count() as u64;
            for span in spans {
                if generation.holds(span.span().start) {
                    merge(&mut merged, span);
                }
            }
        }
        Ok((merged, revision))
    }

    pub(crate) async fn generation(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<Generation, StoreError> {
        self.name_reused_at(tenant, trace_id).await.map(Generation)
    }

    fn structure_reader(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        after: Option<SpanPosition>,
    ) -> StructureReader {
        let from = after.map(|after| after.start);
        StructureReader::new(self.clone(), tenant, trace_id, from)
    }

    async fn small_text(
        &self,
        span: &StoredSpan,
        field: &str,
    ) -> Result<Option<String>, StoreError> {
        const PROJECTION: &str = "content, version, expires_at";
        let Some(item) = self.chunk_item(&span.chunk, Some(PROJECTION)).await? else {
            return Ok(None);
        };
        let Some(stored) = StoredItem::open(item, chunk::WHAT, self.clock.now())? else {
            return Ok(None);
        };
        let content = small_content_of(&stored)?;
        let (span_id, revision) = (span.span().span_id, span.span().revision);
        Ok(content.get(span_id, revision, field)?.map(str::to_owned))
    }

    async fn item_text(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        id: &str,
        bytes: u64,
    ) -> Result<Option<String>, StoreError> {
        let (partition, sort_key) = content_key(tenant, trace_id, id);
        let key = primary_key(partition, sort_key);
        let Some(item) = self.item(&key, CONTENT_ITEM).await? else {
            return Ok(None);
        };
        let Some(stored) = StoredItem::open(item.into(), CONTENT_ITEM, self.clock.now())? else {
            return Ok(None);
        };
        let body = stored.optional_bytes(BODY)?;
        let body = body.ok_or_else(|| stored.damaged(BODY))?;
        let stored_bytes = stored.number(BODY_BYTES)?;
        if stored_bytes != bytes {
            return Err(stored.damaged(BODY_BYTES));
        }
        unfold(body, bytes, id, CONTENT_ITEM).map(Some)
    }
}

fn merge(merged: &mut HashMap<SpanId, StoredSpan>, span: StoredSpan) {
    match merged.entry(span.span().span_id) {
        Entry::Vacant(free) => {
            free.insert(span);
        }
        Entry::Occupied(mut taken) => {
            if span.outranks(taken.get()) {
                taken.insert(span);
            }
        }
    }
}
