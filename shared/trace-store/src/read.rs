use futures::Stream;
use redaction::RedactedSpan;
use trace_model::{Span, SpanId, TenantId, Timestamp, TraceId};

use crate::{ChunkKey, StoreError, TraceStore};

/// A span's structure; its content stays in the store until [`TraceStore::read_content`].
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSpan {
    pub(crate) span: RedactedSpan,
    pub(crate) chunk: ChunkKey,
}

/// A whole trace's structure.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceStructure {
    /// Each span once, in its highest revision, in order of start and then span id.
    pub spans: Vec<StoredSpan>,
    /// How many chunks the trace has: grows with each write and never otherwise.
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
}

impl TraceStore {
    /// The whole structure; empty for a trace that is not there. A very large trace is better
    /// read in pages.
    pub async fn read_structure(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<TraceStructure, StoreError> {
        let _ = (tenant, trace_id);
        todo!()
    }

    /// Up to `limit` spans after `after`, in the same order as [`Self::read_structure`].
    pub async fn read_structure_page(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        after: Option<SpanPosition>,
        limit: usize,
    ) -> Result<StructurePage, StoreError> {
        let _ = (tenant, trace_id, after, limit);
        todo!()
    }

    /// The structure in the same order, holding only the chunks that overlap in time.
    pub fn stream_structure(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> impl Stream<Item = Result<StoredSpan, StoreError>> + Send + use<> {
        let _ = (tenant, trace_id);
        futures::stream::empty()
    }

    pub async fn read_span(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        span_id: SpanId,
    ) -> Result<Option<StoredSpan>, StoreError> {
        let _ = (tenant, trace_id, span_id);
        todo!()
    }

    /// One body, whole, from wherever it lies, its hash checked.
    pub async fn read_content(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        span: &StoredSpan,
        field: &str,
    ) -> Result<String, StoreError> {
        let _ = (tenant, trace_id, span, field);
        todo!()
    }
}
