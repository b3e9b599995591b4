use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use redaction::RedactedSpan;
use trace_model::otlp::{Bodies, encode_with};

use crate::content::LARGEST_TEXT;
use crate::{ExportError, Permanent};

/// Before compression: what collectors and what stands before them take unasked.
pub(crate) const LARGEST_REQUEST: usize = 4 << 20;

/// One export request, before compression.
pub(crate) struct Request {
    pub(crate) protobuf: Vec<u8>,
}

/// Which of the texts go out that the spans carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    Carried,
    Summarised,
}

impl Request {
    pub(crate) fn of(spans: &[RedactedSpan], texts: Texts) -> Self {
        let spans: Vec<_> = spans.iter().map(RedactedSpan::span).collect();
        let bodies = match texts {
            Texts::Carried => Bodies::AsAttributes {
                at_most: LARGEST_TEXT,
            },
            Texts::Summarised => Bodies::Summarised,
        };
        Self {
            protobuf: encode_with(&spans, bodies).encode_to_vec(),
        }
    }

    pub(crate) fn gzip(&self) -> Result<Vec<u8>, ExportError> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder
            .write_all(&self.protobuf)
            .and_then(|()| encoder.finish())
            .map_err(|error| ExportError::Permanent(Permanent::Packing(error)))
    }
}
