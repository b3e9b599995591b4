use redaction::RedactedSpan;
use trace_model::{TenantId, TraceId};

use crate::{StoreError, TraceStore};

/// What a write did. All of it is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteReceipt {
    pub spans: usize,
    /// Structure chunks that are new.
    pub chunks: usize,
    /// Structure chunks that were there already: a retried write.
    pub chunks_already_stored: usize,
    /// Bodies in items of their own.
    pub content_items: usize,
    /// Bodies, or spans too large for an item, in the bucket.
    pub objects: usize,
}

impl TraceStore {
    /// Stores spans of one trace. Safe to repeat: the same spans make the same items.
    pub async fn write_spans(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        spans: Vec<RedactedSpan>,
    ) -> Result<WriteReceipt, StoreError> {
        let _ = (tenant, trace_id, spans);
        todo!()
    }
}
