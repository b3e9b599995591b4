use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use redaction::RedactedSpan;
use trace_model::{TenantId, TraceId};
use trace_store::{LargeTexts, QueueReceipt, SpanQueue};

use crate::recorder::WriteFailure;

/// Where masked spans go that the store refuses.
#[derive(Clone)]
pub struct SpanFallback(Arc<SendFunction>);

type SendFunction = dyn Fn(
        TenantId,
        TraceId,
        Arc<Vec<RedactedSpan>>,
        LargeTexts,
    ) -> BoxFuture<'static, Result<QueueReceipt, WriteFailure>>
    + Send
    + Sync;

impl SpanFallback {
    pub fn new<Send, Sending>(send: Send) -> Self
    where
        Send: Fn(TenantId, TraceId, Arc<Vec<RedactedSpan>>, LargeTexts) -> Sending
            + std::marker::Send
            + Sync
            + 'static,
        Sending: Future<Output = Result<QueueReceipt, WriteFailure>> + std::marker::Send + 'static,
    {
        Self(Arc::new(move |tenant, trace_id, spans, large_texts| {
            send(tenant, trace_id, spans, large_texts).boxed()
        }))
    }

    pub(crate) fn send(
        &self,
        tenant: TenantId,
        trace_id: TraceId,
        spans: Arc<Vec<RedactedSpan>>,
        large_texts: LargeTexts,
    ) -> BoxFuture<'static, Result<QueueReceipt, WriteFailure>> {
        (self.0)(tenant, trace_id, spans, large_texts)
    }
}

impl From<SpanQueue> for SpanFallback {
    fn from(queue: SpanQueue) -> Self {
        Self::new(move |tenant, trace_id, spans, large_texts| {
            let queue = queue.clone();
            async move {
                queue
                    .send_spans(&tenant, trace_id, &spans, large_texts)
                    .await
                    .map_err(|error| WriteFailure {
                        retryable: error.is_retryable(),
                        source: Box::new(error),
                    })
            }
        })
    }
}
