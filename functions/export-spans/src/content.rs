//! Texts back beside their spans, as far as the policy and a collector's size allow.

use lambda_process::ExportContent;
use redaction::RedactedSpan;
use trace_model::{Content, ContentBody, ContentLocation, Revision, Span};
use trace_store::{Chunk, StoreError, StoredSpan, TraceStore};

use crate::ExportError;

/// As an attribute a longer one would be refused or cut on its way: its span tells its size
/// and where it lies.
pub(crate) const LARGEST_TEXT: u64 = 1 << 20;

/// Of one span, so that it fits a request.
const LARGEST_TEXTS: u64 = 3 << 20;

/// Abandoned spans ended too: by what gave them up. Should the real end come, it goes out
/// under the same id.
pub(crate) fn is_finished(span: &Span) -> bool {
    span.end.is_some() && span.revision > Revision::OPENED
}

/// Whether texts that lie beside their structure are wanted: they come with the chunk.
pub(crate) fn wants_small_texts(content: ExportContent) -> bool {
    content != ExportContent::None
}

/// The span as it was masked, with its texts: those of `chunk`, which is its own, and if the
/// policy says so those that lie in items of their own and in the bucket. A text that is
/// damaged or gone will be so next time: its span goes without, as with one that is too large.
pub(crate) async fn rejoin(
    store: &TraceStore,
    policy: ExportContent,
    chunk: Option<&Chunk>,
    stored: &StoredSpan,
) -> Result<RedactedSpan, ExportError> {
    if policy == ExportContent::None || stored.span().content.is_empty() {
        return Ok(stored.redacted().clone());
    }
    let mut span = stored.span().clone();
    let (trace_id, span_id) = (span.trace_id, span.span_id);
    let mut left = LARGEST_TEXTS;
    for (field, content) in &mut span.content {
        if content.bytes > LARGEST_TEXT.min(left) {
            continue;
        }
        match text(store, policy, chunk, stored, field, content).await {
            Ok(Some(text)) => {
                left -= content.bytes;
                content.body = ContentBody::Text(text);
            }
            Ok(None) => {}
            Err(error) if error.is_of_what_is_stored() => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(%trace_id, %span_id, field, error,
                    "a text cannot be read and is not exported");
            }
            Err(error) => return Err(ExportError::Store(error)),
        }
    }
    // What was stored was masked: the mark is checked again.
    Ok(RedactedSpan::from_stored(span).unwrap_or_else(|error| {
        let error: &dyn std::error::Error = &error;
        tracing::error!(%trace_id, %span_id, error, "texts are not exported with their span");
        stored.redacted().clone()
    }))
}

/// `None` for one that the policy leaves where it is.
async fn text(
    store: &TraceStore,
    policy: ExportContent,
    chunk: Option<&Chunk>,
    stored: &StoredSpan,
    field: &str,
    content: &Content,
) -> Result<Option<String>, StoreError> {
    match (&content.body, policy) {
        (ContentBody::Text(_), _) | (_, ExportContent::None) => Ok(None),
        (ContentBody::Stored(ContentLocation::Item), _) => match chunk {
            Some(chunk) => Ok(chunk.small_content(stored, field)?.map(str::to_owned)),
            None => Ok(None),
        },
        (ContentBody::Stored(_), ExportContent::Inline) => Ok(None),
        (ContentBody::Stored(_), ExportContent::All) => {
            let key = stored.chunk_key();
            let text = store.read_content(key.tenant(), key.trace_id(), stored, field);
            text.await.map(Some)
        }
    }
}
