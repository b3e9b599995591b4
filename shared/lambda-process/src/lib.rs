//! The start of a process: environment → [`Config`], AWS clients, an HTTP client, logs,
//! metrics.
//!
//! The only crate that reads the environment. Deliberately absent: what the settings mean to
//! a function, the keys of model providers (the model client reads them itself), and any
//! handler.

mod aws;
mod config;
mod error;
mod http;
pub mod logging;
pub mod metrics;
mod otlp;
mod secret;
mod tenant_sessions;
mod variables;

pub use aws::{AwsClients, LOCAL_KEY, LocalService};
pub use config::{AllowedAddress, Config, TrustedIssuer};
pub use error::{ConfigError, StartError};
pub use http::{http_client, http_client_builder};
pub use otlp::{ExportContent, OtlpCompression, OtlpConfig};
pub use secret::Secret;
pub use tenant_sessions::TenantSessions;
pub use variables::{Variable, reference_table};
