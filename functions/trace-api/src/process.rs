//! The API's state as a process has it: from settings and clients.

use std::sync::Arc;

use identity::{Authenticator, IdentityConfig, IdentityError, IssuerConfig};
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, Config, ConfigError, StartError, http_client};
use thiserror::Error;
use trace_model::Clock;
use trace_store::{StoreConfig, TraceStore};

use crate::{ApiConfig, ApiState, CursorKey, RecorderQueue, TenantStores};

/// Why the API cannot start.
#[derive(Debug, Error)]
pub enum ProcessError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the HTTP client cannot be made")]
    HttpClient(#[source] StartError),
    #[error("the issuer's keys cannot be used")]
    Identity(#[source] IdentityError),
}

impl ApiState {
    pub fn of_process(
        config: &Config,
        clients: &AwsClients,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, ProcessError> {
        let stored_at = StoreConfig::try_from(config)?;
        let sessions = config.tenant_role.as_deref();
        let sessions = sessions.and_then(|role_arn| clients.tenant_sessions(role_arn));
        let stores = match sessions {
            Some(sessions) => TenantStores::by_tenant(sessions, stored_at, clock.clone()),
            None => TenantStores::shared(TraceStore::of_process(config, clients, clock.clone())?),
        };
        // Without the queue runs are recorded when they begin and when they end.
        let recorder = clients.sqs().zip(config.status_queue_url().ok());
        let recorder = recorder.map(|(sqs, url)| RecorderQueue::new(sqs.clone(), url));
        let http_client = http_client().map_err(ProcessError::HttpClient)?;
        let identity = IdentityConfig::new(vec![IssuerConfig::from(config.issuer()?)]);
        let authenticator = Authenticator::new(identity, &http_client);
        Ok(Self {
            stores,
            authenticator: Arc::new(authenticator.map_err(ProcessError::Identity)?),
            step_functions: clients.sfn().clone(),
            recorder,
            clock,
            metrics,
            config: Arc::new(ApiConfig {
                region: config.region()?.to_owned(),
                account_id: config.account_id()?.to_owned(),
                cursor_key: CursorKey::new(config.cursor_key()?.reveal().as_bytes()),
                allowed_origins: Vec::new(),
            }),
        })
    }
}
