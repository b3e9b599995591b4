use std::io;

use http::StatusCode;
use identity::{AuthenticationError, MissingScope};
use thiserror::Error;
use trace_model::otlp::OtlpError;
use trace_store::StoreError;

/// Why a request is not acknowledged. Messages are for the sender: they say what to change, and
/// of this side's inside nothing.
#[derive(Debug, Error)]
pub(crate) enum IngestError {
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error(transparent)]
    MissingScope(#[from] MissingScope),
    #[error("spans are sent with POST")]
    WrongMethod,
    #[error("the Content-Type is neither application/x-protobuf nor application/json")]
    WrongMediaType,
    #[error("the Content-Encoding is not known here: send gzip, zstd or none")]
    UnknownCoding,
    #[error("the body is packed more than twice: once is enough")]
    TooManyCodings,
    #[error(
        "the body is larger than {} MiB: send fewer spans in one request (in the collector's \
         batch processor, send_batch_max_size)",
        limit >> 20
    )]
    TooLarge { limit: usize },
    #[error(
        "the spans belong to {found} traces, and one request may have {limit}: send fewer in one \
         request"
    )]
    TooManyTraces { found: usize, limit: usize },
    #[error("the body ended before it was whole")]
    BrokenOff {
        #[source]
        source: axum::Error,
    },
    #[error("the body cannot be unpacked as its Content-Encoding says")]
    Damaged {
        #[source]
        source: io::Error,
    },
    #[error("{}", said(source))]
    NotOtlp {
        #[source]
        source: OtlpError,
    },
    #[error("the spans cannot be stored at the moment: send them again")]
    Store {
        #[source]
        source: StoreError,
    },
    #[error("the spans could not be stored in time: send them again, or fewer in one request")]
    TimedOut,
    #[error("the request failed on this side; the log has the reason under the request id")]
    Internal,
}

impl IngestError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Authentication(error) if error.is_unavailable() => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Authentication(_) => StatusCode::UNAUTHORIZED,
            Self::MissingScope(_) => StatusCode::FORBIDDEN,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::WrongMediaType | Self::UnknownCoding | Self::TooManyCodings => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::TooLarge { .. }
            | Self::TooManyTraces { .. }
            | Self::NotOtlp {
                source: OtlpError::TooLarge { .. },
            } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokenOff { .. } | Self::Damaged { .. } | Self::NotOtlp { .. } => {
                StatusCode::BAD_REQUEST
            }
            // What is stored is to blame: the same spans meet it again.
            Self::Store { source } if source.is_of_what_is_stored() => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Store { .. } | Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// gRPC's number for it, which is what OTLP's `Status` has.
    pub(crate) fn code(&self) -> i32 {
        const INVALID_ARGUMENT: i32 = 3;
        const PERMISSION_DENIED: i32 = 7;
        const RESOURCE_EXHAUSTED: i32 = 8;
        const UNIMPLEMENTED: i32 = 12;
        const INTERNAL: i32 = 13;
        const UNAVAILABLE: i32 = 14;
        const UNAUTHENTICATED: i32 = 16;
        match self.status() {
            StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
            StatusCode::FORBIDDEN => PERMISSION_DENIED,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNSUPPORTED_MEDIA_TYPE => UNIMPLEMENTED,
            StatusCode::PAYLOAD_TOO_LARGE => RESOURCE_EXHAUSTED,
            StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
            StatusCode::INTERNAL_SERVER_ERROR => INTERNAL,
            _ => INVALID_ARGUMENT,
        }
    }
}

/// With what the parser says of the place, which is about the sender's own body.
fn said(error: &OtlpError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
