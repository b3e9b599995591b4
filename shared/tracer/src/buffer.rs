use std::sync::{Arc, Weak};

use trace_model::{ContentBody, Span};

use crate::open_span::{NodeTrace, OpenSpan};

/// What a process may hold that is not yet handed to the store. A Lambda has 128 MB at least.
pub(crate) const MOST_BYTES: usize = 64 * 1024 * 1024;
pub(crate) const MOST_SPANS: usize = 100_000;

/// A span's structure in memory, roughly: what it weighs without its content.
const STRUCTURE_BYTES: usize = 1024;
const FIRST_PRUNING: usize = 1024;

/// Spans between the work and the writer: unmasked, and never longer than to the next write.
pub(crate) struct Buffer {
    pub(crate) opened: Vec<Weak<OpenSpan>>,
    prune_at: usize,
    pub(crate) finished: Vec<(Arc<NodeTrace>, Span)>,
    bytes: usize,
}

pub(crate) enum Kept {
    Yes,
    /// The buffer is full.
    No,
}

impl Buffer {
    pub(crate) const fn new() -> Self {
        Self {
            opened: Vec::new(),
            prune_at: FIRST_PRUNING,
            finished: Vec::new(),
            bytes: 0,
        }
    }

    pub(crate) fn opened(&mut self, open: &Arc<OpenSpan>) {
        if self.opened.len() >= self.prune_at {
            self.opened.retain(|open| open.strong_count() > 0);
            self.prune_at = (self.opened.len() * 2).max(FIRST_PRUNING);
        }
        self.opened.push(Arc::downgrade(open));
    }

    pub(crate) fn finished(&mut self, trace: &Arc<NodeTrace>, span: Span) -> Kept {
        let bytes = weight(&span);
        if self.finished.len() >= MOST_SPANS || self.bytes + bytes > MOST_BYTES {
            return Kept::No;
        }
        self.bytes += bytes;
        self.finished.push((Arc::clone(trace), span));
        Kept::Yes
    }

    /// Everything since the last time: what finished, and what opened and is open still.
    pub(crate) fn drain(&mut self) -> Self {
        std::mem::replace(self, Self::new())
    }
}

pub(crate) fn weight(span: &Span) -> usize {
    let content: usize = span
        .content
        .values()
        .map(|content| match &content.body {
            ContentBody::Text(text) => text.len(),
            ContentBody::Stored(_) => 0,
        })
        .sum();
    STRUCTURE_BYTES + content
}
