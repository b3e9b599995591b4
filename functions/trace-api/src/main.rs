//! The Lambda function behind the HTTP API.

use std::sync::Arc;

use identity::{Authenticator, IdentityConfig, IssuerConfig};
use lambda_process::logging::{self, LogFormat};
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, Config, http_client};
use trace_api::{ApiConfig, ApiState, CursorKey, TenantStores, app};
use trace_model::Clock;
use trace_store::{StoreConfig, TraceStore};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let config = Config::from_env()?;
    let clock = Clock::system();
    logging::init(LogFormat::Json, &config.log_filter, clock.clone())?;
    let clients = AwsClients::from_env().await;
    let stored_at = StoreConfig::try_from(&config)?;
    let sessions = config.tenant_role.as_deref();
    let sessions = sessions.and_then(|role_arn| clients.tenant_sessions(role_arn));
    let stores = match sessions {
        Some(sessions) => TenantStores::by_tenant(sessions, stored_at, clock.clone()),
        None => TenantStores::shared(TraceStore::of_process(&config, &clients, clock.clone())?),
    };
    let identity = IdentityConfig::new(vec![IssuerConfig::from(config.issuer()?)]);
    let state = ApiState {
        stores,
        authenticator: Arc::new(Authenticator::new(identity, &http_client()?)?),
        step_functions: clients.sfn().clone(),
        metrics: Metrics::of_process(&config, "trace-api", clock.clone()),
        clock,
        config: Arc::new(ApiConfig {
            region: config.region()?.to_owned(),
            account_id: config.account_id()?.to_owned(),
            cursor_key: CursorKey::new(config.cursor_key()?.reveal().as_bytes()),
            allowed_origins: Vec::new(),
        }),
    };
    lambda_http::run(app(state)).await
}
