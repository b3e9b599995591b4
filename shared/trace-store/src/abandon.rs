use std::collections::HashMap;

use redaction::RedactedSpan;
use trace_model::{Abandonment, ContentBody, EndsFrom, Span, SpanId, TenantId, Timestamp, TraceId};

use crate::{StoreError, StoredSpan, TraceStore};

/// What was done about open spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbandonedSpans {
    pub ended: usize,
    /// Their attempts go on: to be looked at again later.
    pub undecided: usize,
}

impl TraceStore {
    /// Ends as abandoned what functions that began before `gone_before` left open, where their
    /// attempts are over: see [`Abandonment::of`]. Safe to repeat.
    pub async fn end_abandoned_spans(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        gone_before: Timestamp,
        ends_from: EndsFrom,
    ) -> Result<AbandonedSpans, StoreError> {
        let structure = self.read_structure(tenant, trace_id).await?;
        let spans = structure.spans.iter().map(StoredSpan::span);
        let Abandonment { spans, undecided } = Abandonment::of(spans, gone_before, ends_from);
        let ended = spans.len();
        if ended > 0 {
            let stored: HashMap<SpanId, &StoredSpan> = structure
                .spans
                .iter()
                .map(|stored| (stored.span().span_id, stored))
                .collect();
            let mut whole = Vec::with_capacity(ended);
            for mut span in spans {
                let stored = stored[&span.span_id];
                self.restore_content(tenant, &mut span, stored).await?;
                whole.push(RedactedSpan::from_stored(span)?);
            }
            self.write_spans(tenant, trace_id, whole).await?;
        }
        Ok(AbandonedSpans { ended, undecided })
    }

    /// Puts the texts back that lie beside the telling that was read: a new one needs its own.
    async fn restore_content(
        &self,
        tenant: &TenantId,
        span: &mut Span,
        stored: &StoredSpan,
    ) -> Result<(), StoreError> {
        let fields: Vec<String> = span.content.keys().cloned().collect();
        for field in fields {
            let read = self.read_content(tenant, span.trace_id, stored, &field);
            match read.await {
                Ok(text) => {
                    if let Some(content) = span.content.get_mut(&field) {
                        content.body = ContentBody::Text(text);
                    }
                }
                Err(StoreError::ContentGone { .. }) => {
                    span.content.remove(&field);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
