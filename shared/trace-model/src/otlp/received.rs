//! A request from outside, as its bytes: how large it may become, and which form it has.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::{Decoded, OtlpError, decode_received, from_json, weight};

/// OTLP over HTTP has two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Protobuf,
    Json,
}

/// [`decode_received`] of bytes, refused unread when what they hold would take more than
/// `most_memory`.
pub fn decode_received_bytes(
    bytes: &[u8],
    form: Form,
    most_memory: u64,
) -> Result<Decoded, OtlpError> {
    let within = |weight: u64| {
        if weight > most_memory {
            Err(OtlpError::TooLarge { most_memory })
        } else {
            Ok(())
        }
    };
    let request = match form {
        Form::Protobuf => {
            within(weight::of_protobuf(bytes))?;
            ExportTraceServiceRequest::decode(bytes).map_err(OtlpError::Protobuf)?
        }
        Form::Json => {
            within(weight::of_json(bytes).map_err(OtlpError::Json)?)?;
            let request = from_json(bytes)?;
            within(weight::of_protobuf(&request.encode_to_vec()))?;
            request
        }
    };
    Ok(decode_received(request))
}
