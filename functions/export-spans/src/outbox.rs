//! Spans on their way out, no more of them in memory than a few requests.

use redaction::RedactedSpan;
use trace_model::Timestamp;
use trace_store::{Chunk, StoredSpan, TraceStore};

use crate::content::{is_finished, rejoin};
use crate::{ExportError, Exported, Exporter};

/// Texts that wait for company; then they go out.
const MOST_TEXT_BYTES: u64 = 3 << 20;
const MOST_SPANS: usize = 512;

pub(crate) struct Outbox<'a> {
    store: &'a TraceStore,
    exporter: &'a Exporter,
    until: Option<Timestamp>,
    spans: Vec<RedactedSpan>,
    text_bytes: u64,
    outcome: Exported,
}

impl<'a> Outbox<'a> {
    pub(crate) const fn new(
        store: &'a TraceStore,
        exporter: &'a Exporter,
        until: Option<Timestamp>,
    ) -> Self {
        Self {
            store,
            exporter,
            until,
            spans: Vec::new(),
            text_bytes: 0,
            outcome: Exported {
                spans: 0,
                dropped: 0,
            },
        }
    }

    /// Open spans are left out: a collector knows no revisions. `chunk` is where the span lies.
    pub(crate) async fn push(
        &mut self,
        chunk: Option<&Chunk>,
        stored: &StoredSpan,
    ) -> Result<(), ExportError> {
        if !is_finished(stored.span()) {
            return Ok(());
        }
        let span = rejoin(self.store, self.exporter.content(), chunk, stored).await?;
        let texts = span.span().content.values();
        let texts = texts.filter(|content| content.as_text().is_some());
        self.text_bytes += texts.map(|content| content.bytes).sum::<u64>();
        self.spans.push(span);
        if self.text_bytes >= MOST_TEXT_BYTES || self.spans.len() >= MOST_SPANS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends what waits; it stays if it cannot go out.
    pub(crate) async fn flush(&mut self) -> Result<(), ExportError> {
        let sent = self.exporter.send(&self.spans, self.until).await?;
        self.outcome.add(&sent);
        self.spans.clear();
        self.text_bytes = 0;
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Exported, ExportError> {
        self.flush().await?;
        Ok(self.outcome)
    }
}
