//! Which tenants there are, for what looks after all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use trace_model::{TenantId, Timestamp};

use crate::item::{self, StoredItem, number, primary_key, text};
use crate::keys::{FORMAT_VERSION, TENANTS_PARTITION};
use crate::service::{failed, retrying};
use crate::{StoreError, TABLE, TraceStore};

const WHAT: &str = "tenant";

/// How often a process says again that a tenant is there.
const RENEWED_AFTER: Duration = Duration::from_hours(24);

/// Tenants that this process has registered, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegisteredTenants(Arc<Mutex<HashMap<TenantId, Timestamp>>>);

impl RegisteredTenants {
    fn is_fresh(&self, tenant: &TenantId, now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let registered = known.get(tenant);
        registered.is_some_and(|at| now.since(*at) < RENEWED_AFTER)
    }

    fn remember(&self, tenant: &TenantId, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(tenant.clone(), now);
    }
}

impl TraceStore {
    /// Every tenant that has a run which has not expired, in order.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let mut tenants = Vec::new();
        let mut start = None;
        loop {
            let page = retrying(|| async {
                self.dynamodb
                    .query()
                    .table_name(&self.config.table)
                    .key_condition_expression("#pk = :pk")
                    .expression_attribute_names("#pk", TABLE.partition_key)
                    .expression_attribute_values(":pk", text(TENANTS_PARTITION))
                    .set_exclusive_start_key(start.clone())
                    .send()
                    .await
                    .map_err(failed("Query", WHAT))
            })
            .await?;
            for item in page.items.unwrap_or_default() {
                let Some(stored) = StoredItem::open(item.into(), WHAT, self.clock.now())? else {
                    continue;
                };
                let tenant = TenantId::parse(stored.text(TABLE.sort_key)?);
                tenants.push(tenant.map_err(|_| stored.damaged(TABLE.sort_key))?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(tenants);
            }
        }
    }

    /// Before a tenant's run is written, so that no run is out of sight. One write a day for
    /// each tenant and process.
    pub(crate) async fn register_tenant(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let now = self.clock.now();
        if self.registered.is_fresh(tenant, now) {
            return Ok(());
        }
        let lives = self.config.retention + RENEWED_AFTER * 2;
        let expires_at = now.plus(lives).as_unix_seconds();
        let mut item = primary_key(TENANTS_PARTITION.to_owned(), tenant.as_str());
        item.insert(item::VERSION.to_owned(), number(u64::from(FORMAT_VERSION)));
        item.insert(TABLE.ttl_attribute.to_owned(), number(expires_at));
        retrying(|| async {
            self.dynamodb
                .put_item()
                .table_name(&self.config.table)
                .set_item(Some(item.clone()))
                .send()
                .await
                .map_err(failed("PutItem", WHAT))
        })
        .await?;
        self.registered.remember(tenant, now);
        Ok(())
    }
}
