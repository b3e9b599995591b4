//! A body becomes masked spans, and those become items.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use redaction::{Policy, RawSpan, RedactedSpan};
use trace_model::otlp::{Form, Rejected, decode_received_bytes};
use trace_model::{TenantId, TraceId, apply_cost};
use trace_store::{TraceStore, WriteReceipt};

use crate::body::unpack;
use crate::error::IngestError;
use crate::headers::Coding;

/// What the spans of a request may take once they are read.
pub const MOST_MEMORY: u64 = 192 << 20;

/// A collector's largest usual batch, each span a trace of its own.
const MOST_TRACES: usize = 10_000;

/// Traces that are written at once: most have few spans, and each costs round trips.
const TRACES_AT_ONCE: usize = 16;

/// Spans of one trace that are made items of at once.
const SPANS_AT_ONCE: usize = 5_000;

/// Within what the gateway waits.
const TIME_TO_STORE: Duration = Duration::from_secs(22);

/// What a request held, masked.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) traces: BTreeMap<TraceId, Vec<RedactedSpan>>,
    pub(crate) rejected: Vec<Rejected>,
}

/// Takes a while for a large body, and blocks.
pub(crate) fn receive(
    body: Bytes,
    codings: &[Coding],
    form: Form,
    policy: &Policy,
) -> Result<Received, IngestError> {
    let body = unpack(body, codings)?;
    let decoded = decode_received_bytes(&body, form, MOST_MEMORY)
        .map_err(|source| IngestError::NotOtlp { source })?;
    let mut received = Received {
        rejected: decoded.rejected,
        ..Received::default()
    };
    for mut span in decoded.spans {
        apply_cost(&mut span);
        let trace = received.traces.entry(span.trace_id).or_default();
        trace.push(policy.redact(RawSpan::from(span)));
    }
    let found = received.traces.len();
    if found > MOST_TRACES {
        return Err(IngestError::TooManyTraces {
            found,
            limit: MOST_TRACES,
        });
    }
    Ok(received)
}

impl Received {
    pub(crate) fn spans(&self) -> usize {
        self.traces.values().map(Vec::len).sum()
    }
}

/// Returns when the store has all of it. What breaks off leaves spans that the next attempt
/// finds: the same ones make the same items.
pub(crate) async fn store_all(
    store: &TraceStore,
    tenant: &TenantId,
    received: &Received,
) -> Result<WriteReceipt, IngestError> {
    let writes: Vec<_> = received
        .traces
        .iter()
        .map(|(trace_id, spans)| write_trace(store, tenant, *trace_id, spans))
        .collect();
    let writes = stream::iter(writes)
        .buffer_unordered(TRACES_AT_ONCE)
        .try_fold(WriteReceipt::default(), async |mut all, receipt| {
            all.add(receipt);
            Ok(all)
        });
    tokio::time::timeout(TIME_TO_STORE, writes)
        .await
        .unwrap_or(Err(IngestError::TimedOut))
}

async fn write_trace(
    store: &TraceStore,
    tenant: &TenantId,
    trace_id: TraceId,
    spans: &[RedactedSpan],
) -> Result<WriteReceipt, IngestError> {
    let failed = |source| IngestError::Store { source };
    // First, so that whoever sums the spans up finds it.
    let opened = store.open_trace(tenant, trace_id).await;
    opened.map_err(failed)?;
    let mut receipt = WriteReceipt::default();
    for spans in spans.chunks(SPANS_AT_ONCE) {
        let written = store.write_borrowed_spans(tenant, trace_id, spans).await;
        receipt.add(written.map_err(failed)?);
    }
    Ok(receipt)
}
