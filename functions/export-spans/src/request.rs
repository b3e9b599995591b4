use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_process::ExportContent;
use prost::Message as _;
use redaction::RedactedSpan;
use trace_model::otlp::{Bodies, encode_with};
use trace_model::{ContentBody, Revision, Span};
use trace_store::{Chunk, StoredSpan};

use crate::{ExportError, Permanent};

/// Collectors take 4 MB a request and some less a value; what is larger stays with us.
const LARGEST_ATTRIBUTE: u64 = 64 << 10;

/// One export request, before compression.
pub(crate) struct Request {
    pub(crate) protobuf: Vec<u8>,
    pub(crate) spans: u64,
}

impl Request {
    /// `None` when the chunk has no finished span.
    pub(crate) fn of(chunk: &Chunk, content: ExportContent) -> Option<Self> {
        let mut spans = Vec::new();
        for stored in &chunk.spans {
            if is_finished(stored.span()) {
                spans.push(complete(chunk, stored, content));
            }
        }
        if spans.is_empty() {
            return None;
        }
        let bodies = match content {
            ExportContent::None => Bodies::Summarised,
            ExportContent::Inline => Bodies::AsAttributes {
                at_most: LARGEST_ATTRIBUTE,
            },
        };
        let count = spans.len() as u64;
        let spans: Vec<_> = spans.iter().map(RedactedSpan::span).collect();
        Some(Self {
            protobuf: encode_with(&spans, bodies).encode_to_vec(),
            spans: count,
        })
    }

    pub(crate) fn gzip(&self) -> Result<Vec<u8>, ExportError> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder
            .write_all(&self.protobuf)
            .and_then(|()| encoder.finish())
            .map_err(|error| ExportError::Permanent(Permanent::Packing(error)))
    }
}

/// Abandoned spans ended too: by what gave them up. Should the real end come, it goes out
/// under the same id.
fn is_finished(span: &Span) -> bool {
    span.end.is_some() && span.revision > Revision::OPENED
}

/// The span as it was masked, with the texts that lie beside it. A text that is damaged will be
/// so next time: its span goes without, as with one that is too large.
fn complete(chunk: &Chunk, stored: &StoredSpan, content: ExportContent) -> RedactedSpan {
    if content == ExportContent::None {
        return stored.redacted().clone();
    }
    let mut span = stored.span().clone();
    let (trace_id, span_id) = (span.trace_id, span.span_id);
    for (field, content) in &mut span.content {
        match chunk.small_content(stored, field) {
            Ok(Some(text)) => content.body = ContentBody::Text(text.to_owned()),
            Ok(None) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(%trace_id, %span_id, field, error,
                    "a text cannot be read and is not exported");
            }
        }
    }
    // What was stored was masked: the mark is checked again.
    RedactedSpan::from_stored(span).unwrap_or_else(|error| {
        let error: &dyn std::error::Error = &error;
        tracing::error!(%trace_id, %span_id, error, "texts are not exported with their span");
        stored.redacted().clone()
    })
}
