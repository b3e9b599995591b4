use std::time::Duration;

use thiserror::Error;
use trace_model::Timestamp;
use trace_store::StoreError;

/// Why spans did not go out. All but [`ExportError::Permanent`] and [`ExportError::Client`]
/// pass with time.
#[derive(Debug, Error)]
pub enum ExportError {
    #[error("the store did not give the changed chunk")]
    Store(#[source] StoreError),
    #[error("the collector answered {status}: try again{}", after(*retry_after))]
    Refused {
        status: u16,
        /// As the collector asked; held within the exporter's bounds.
        retry_after: Option<Duration>,
    },
    #[error("the collector cannot be reached, or hung up")]
    Unreachable(#[source] reqwest::Error),
    #[error(
        "the collector is not to be called before {not_before}: it failed, or asked for patience"
    )]
    TooEarly { not_before: Timestamp },
    #[error("no time is left to send more")]
    NoTimeLeft,
    #[error("the collector did not answer within {} ms", .0.as_millis())]
    TooSlow(Duration),
    #[error(transparent)]
    Permanent(Permanent),
    #[error("the HTTP client cannot be made")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What no repetition mends.
#[derive(Debug, Error)]
pub enum Permanent {
    #[error("the collector answered {status}, which OTLP does not retry")]
    Status { status: u16 },
    #[error("the request cannot be built: check OTEL_EXPORTER_OTLP_HEADERS")]
    Request(#[source] reqwest::Error),
    #[error("the spans cannot be packed")]
    Packing(#[source] std::io::Error),
}

impl ExportError {
    /// Whether the collector may take the same spans later.
    pub const fn passes(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::Unreachable(_)
            | Self::TooEarly { .. }
            | Self::NoTimeLeft
            | Self::TooSlow(_) => true,
            Self::Store(_) | Self::Permanent(_) | Self::Client(_) => false,
        }
    }
}

fn after(delay: Option<Duration>) -> String {
    delay.map_or_else(String::new, |delay| format!(" after {} s", delay.as_secs()))
}
