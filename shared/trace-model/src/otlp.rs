//! Spans as OTLP, out and in: what is stored, exported and received.
//!
//! A span's own fields that OTLP has no place for (kind, revision, content summaries) travel
//! as `stepscope.*` attributes and return to their fields. Not kept of other people's spans:
//! schema URLs, the flags and trace state of links, and of a span's flags all but whether its
//! parent is remote.

mod bodies;
mod canonical;
mod decode;
mod encode;
mod json;
mod received;
mod summary;
mod value;
mod weight;

pub use decode::{Decoded, Rejected, RejectedReason, decode, decode_received, decode_request};
pub use encode::{Bodies, encode, encode_to_vec, encode_with};
pub use json::{from_json, to_json};
pub use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
pub use received::{Form, decode_received_bytes};

use thiserror::Error;

/// Maps and arrays nested deeper than this are not written, since prost reads no deeper than
/// 100 messages and a level of a map is three: redaction masks what is deeper.
pub const DEEPEST_ATTRIBUTE: usize = 24;

#[derive(Debug, Error)]
pub enum OtlpError {
    #[error("not an OTLP ExportTraceServiceRequest in protobuf")]
    Protobuf(#[source] prost::DecodeError),
    #[error("not an OTLP ExportTraceServiceRequest in JSON")]
    Json(#[source] serde_json::Error),
    #[error(
        "the spans would take more than {} MiB of memory: send fewer spans in one request",
        most_memory >> 20
    )]
    TooLarge { most_memory: u64 },
}

#[cfg(test)]
mod tests;
