use std::sync::Arc;
use std::time::Duration;

use lambda_process::TenantSessions;
use moka::sync::Cache;
use trace_model::{Clock, TenantId};
use trace_store::{StoreConfig, TraceStore};

/// Tenants whose sessions are kept in a warm process.
const MOST_TENANTS: u64 = 1_000;
/// No longer than a session lives without being renewed.
const IDLE: Duration = Duration::from_hours(1);

/// Which credentials read a tenant's traces. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TenantStores(Credentials);

#[derive(Clone, Debug)]
enum Credentials {
    /// The process's own: the filter by tenant is the only wall.
    Shared(TraceStore),
    /// A session of the tenant's own, a second wall.
    ByTenant(Arc<OwnStores>),
}

#[derive(Debug)]
struct OwnStores {
    sessions: TenantSessions,
    config: StoreConfig,
    clock: Clock,
    stores: Cache<TenantId, TraceStore>,
}

impl TenantStores {
    pub const fn shared(store: TraceStore) -> Self {
        Self(Credentials::Shared(store))
    }

    pub fn by_tenant(sessions: TenantSessions, config: StoreConfig, clock: Clock) -> Self {
        Self(Credentials::ByTenant(Arc::new(OwnStores {
            sessions,
            config,
            clock,
            stores: Cache::builder()
                .max_capacity(MOST_TENANTS)
                .time_to_idle(IDLE)
                .build(),
        })))
    }

    pub fn of(&self, tenant: &TenantId) -> TraceStore {
        match &self.0 {
            Credentials::Shared(store) => store.clone(),
            Credentials::ByTenant(own) => own.store(tenant),
        }
    }
}

impl OwnStores {
    fn store(&self, tenant: &TenantId) -> TraceStore {
        self.stores.get_with_by_ref(tenant, || {
            let (dynamodb, s3) = self.sessions.of(tenant);
            TraceStore::new(dynamodb, s3, self.config.clone(), self.clock.clone())
        })
    }
}
