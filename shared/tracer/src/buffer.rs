use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use trace_model::{ContentBody, Span};

use crate::open_span::OpenSpan;

/// What a process may hold that is not yet handed to the store. A Lambda has 128 MB at least.
pub(crate) const MOST_BYTES: usize = 64 * 1024 * 1024;
pub(crate) const MOST_SPANS: usize = 100_000;

/// A span's structure in memory, roughly: what it weighs without its content.
const STRUCTURE_BYTES: usize = 1024;

/// The spans of a process that the store does not have yet: unmasked, and those that ended
/// never longer than to the next write.
pub(crate) struct Buffer {
    most_spans: usize,
    spans: Mutex<Vec<Buffered>>,
    ended_bytes: AtomicUsize,
}

pub(crate) struct Buffered {
    pub(crate) open: Arc<OpenSpan>,
    pub(crate) told: Told,
}

/// Whether the store was told already that the span is open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    No,
    Opened,
}

pub(crate) enum Room {
    Enough,
    None,
}

impl Buffer {
    pub(crate) const fn of(most_spans: usize) -> Self {
        Self {
            most_spans,
            spans: Mutex::new(Vec::new()),
            ended_bytes: AtomicUsize::new(0),
        }
    }

    pub(crate) fn add(&self, span: Buffered) -> Room {
        let mut buffered = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if buffered.len() >= self.most_spans {
            return Room::None;
        }
        buffered.push(span);
        Room::Enough
    }

    /// Takes back what was drained and is still open; answers with what has no room any more.
    pub(crate) fn put_back(&self, mut spans: Vec<Buffered>) -> Vec<Buffered> {
        let mut buffered = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.most_spans.saturating_sub(buffered.len());
        let too_many = spans.split_off(room.min(spans.len()));
        buffered.append(&mut spans);
        too_many
    }

    /// Asks for an ended span, before it is kept.
    pub(crate) fn reserve(&self, span: &Span) -> Room {
        let bytes = weight(span);
        let before = self.ended_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= MOST_BYTES {
            return Room::Enough;
        }
        self.ended_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Room::None
    }

    /// For each ended span that leaves.
    pub(crate) fn release(&self, span: &Span) {
        self.ended_bytes.fetch_sub(weight(span), Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn ended_bytes(&self) -> usize {
        self.ended_bytes.load(Ordering::Relaxed)
    }

    /// All there is. What is still open belongs back.
    pub(crate) fn drain(&self) -> Vec<Buffered> {
        let mut buffered = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *buffered)
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
