//! The Lambda function behind `POST /v1/traces`.

use std::sync::Arc;

use identity::{ApiKeys, Authenticator, IdentityConfig, IssuerConfig};
use ingest_spans::{IngestState, app};
use lambda_process::logging::{self, LogFormat};
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, Config, http_client};
use redaction::Policy;
use trace_model::Clock;
use trace_store::TraceStore;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let config = Config::from_env()?;
    let clock = Clock::system();
    logging::init(LogFormat::Json, &config.log_filter, clock.clone())?;
    let clients = AwsClients::from_env().await;
    let store = TraceStore::of_process(&config, &clients, clock.clone())?;
    let identity = IdentityConfig::new(vec![IssuerConfig::from(config.issuer()?)]);
    let authenticator = Authenticator::new(identity, &http_client()?)?;
    let state = IngestState {
        authenticator: Arc::new(authenticator.with_api_keys(ApiKeys::new(store.clone()))),
        store,
        policy: Policy::standard(),
        metrics: Metrics::of_process(&config, "ingest-spans", clock.clone()),
        clock,
    };
    lambda_http::run(app(state)).await
}
