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
    pub(crate) fn of(chunk: &Chunk, content: ExportContent) -> Result<Option<Self>, ExportError> {
        let mut spans = Vec::new();
        for stored in &chunk.spans {
            if is_finished(stored.span()) {
                spans.push(complete(chunk, stored, content)?);
            }
        }
        if spans.is_empty() {
            return Ok(None);
        }
        let bodies = match content {
            ExportContent::None => Bodies::Summarised,
            ExportContent::Inline => Bodies::AsAttributes {
                at_most: LARGEST_ATTRIBUTE,
            },
        };
        let count = spans.len() as u64;
        let spans: Vec<_> = spans.iter().map(RedactedSpan::span).collect();
        Ok(Some(Self {
            protobuf: encode_with(&spans, bodies).encode_to_vec(),
            spans: count,
        }))
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

/// The span as it was masked, with the texts that lie beside it.
fn complete(
    chunk: &Chunk,
    stored: &StoredSpan,
    content: ExportContent,
) -> Result<RedactedSpan, ExportError> {
    if content == ExportContent::None {
        return Ok(stored.redacted().clone());
    }
    let mut span = stored.span().clone();
    for (field, content) in &mut span.content {
        let text = chunk
            .small_content(stored, field)
            .map_err(ExportError::Store)?;
        if let Some(text) = text {
            content.body = ContentBody::Text(text.to_owned());
        }
    }
    // What was stored was masked: the mark is checked again.
    RedactedSpan::from_stored(span).map_err(|error| ExportError::Store(error.into()))
}
