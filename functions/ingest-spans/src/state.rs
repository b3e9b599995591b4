use std::sync::Arc;

use identity::Authenticator;
use lambda_process::metrics::Metrics;
use redaction::Policy;
use trace_model::Clock;
use trace_store::TraceStore;

/// What the route works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct IngestState {
    pub store: TraceStore,
    /// With the tenants' API keys.
    pub authenticator: Arc<Authenticator>,
    pub policy: Policy,
    pub clock: Clock,
    pub metrics: Metrics,
}
