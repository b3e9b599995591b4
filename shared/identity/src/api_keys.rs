use std::time::Duration;

use moka::sync::Cache;
use trace_model::{TenantId, Timestamp};
use trace_store::{Revocation, StoreError, StoredApiKey, TraceStore};

use crate::api_key::{ApiKey, PresentedKey};
use crate::authenticator::Caller;
use crate::claims::is_subject;
use crate::error::{AuthenticationError, IdentityError};
use crate::scope::{Scope, Scopes};

/// How long a key that was looked up is believed: a revoked one stops within it.
pub const API_KEY_CACHE: Duration = Duration::from_mins(1);

/// How long a key is believed not to be: one that is used a moment before it is made works soon
/// after.
const UNKNOWN_CACHE: Duration = Duration::from_secs(5);

const MOST_CACHED: u64 = 10_000;

const LONGEST_LIFETIME: Duration = Duration::from_hours(24 * 3650);

/// The tenants' API keys, in the store. Cheap to clone; clones share what they looked up.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    store: TraceStore,
    looked_up: Cache<(TenantId, String), LookedUp>,
}

/// A key that is to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    pub tenant: TenantId,
    /// What people call it: 1 to 255 printable characters.
    pub name: String,
    pub scopes: Scopes,
    /// Whole seconds; one second to ten years.
    pub lifetime: Duration,
}

#[derive(Clone, Debug)]
struct LookedUp {
    key: Option<StoredApiKey>,
    at: Timestamp,
}

impl ApiKeys {
    pub fn new(store: TraceStore) -> Self {
        Self {
            store,
            looked_up: Cache::new(MOST_CACHED),
        }
    }

    /// The key is in the answer and nowhere else: the store keeps its hash.
    pub async fn create(
        &self,
        new: &NewApiKey,
        now: Timestamp,
    ) -> Result<(ApiKey, StoredApiKey), IdentityError> {
        let seconds = new.lifetime.as_secs();
        if seconds == 0 || new.lifetime > LONGEST_LIFETIME {
            let longest = LONGEST_LIFETIME.as_secs();
            return Err(IdentityError::KeyLifetime { seconds, longest });
        }
        if !is_subject(&new.name) {
            let found = new.name.chars().take(80).collect();
            return Err(IdentityError::KeyName { found });
        }
        if new.scopes.is_empty() {
            return Err(IdentityError::KeyWithoutScope);
        }
        let (key, id) = ApiKey::generate(&new.tenant);
        let presented = key.presented();
        let expires_at = now.as_unix_seconds().saturating_add(seconds);
        let stored = StoredApiKey {
            tenant: new.tenant.clone(),
            id,
            secret_sha256: presented.secret_sha256(),
            last_four: presented.last_four().to_owned(),
            name: new.name.clone(),
            scopes: new.scopes.iter().map(|scope| scope.to_string()).collect(),
            created_at: Timestamp::from_unix_millis(now.as_unix_millis()),
            expires_at: Timestamp::from_unix_millis(expires_at.saturating_mul(1000)),
            revoked_at: None,
        };
        let created = self.store.create_api_key(&stored).await;
        created.map_err(|source| IdentityError::KeyStore {
            operation: "create",
            source,
        })?;
        Ok((key, stored))
    }

    /// In the order in which they were made, revoked ones too, expired ones not.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<StoredApiKey>, IdentityError> {
        let keys = self.store.api_keys(tenant).await;
        keys.map_err(|source| IdentityError::KeyStore {
            operation: "list",
            source,
        })
    }

    /// Other processes go on believing it for up to [`API_KEY_CACHE`].
    pub async fn revoke(&self, tenant: &TenantId, id: &str) -> Result<Revocation, IdentityError> {
        let revoked = self.store.revoke_api_key(tenant, id).await;
        self.looked_up.invalidate(&(tenant.clone(), id.to_owned()));
        revoked.map_err(|source| IdentityError::KeyStore {
            operation: "revoke",
            source,
        })
    }

    pub(crate) async fn authenticate(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Result<Caller, AuthenticationError> {
        let presented = PresentedKey::parse(key).ok_or(AuthenticationError::MalformedApiKey)?;
        let stored = self.look_up(&presented, now).await;
        let stored = stored.map_err(|source| AuthenticationError::ApiKeysUnavailable { source })?;
        stored
            .filter(|stored| {
                // The hash first, whatever else is wrong.
                presented.has_sha256(&stored.secret_sha256)
                    && stored.revoked_at.is_none()
                    && now < stored.expires_at
            })
            .map(|stored| Caller {
                tenant: stored.tenant,
                subject: format!("key:{}", stored.id),
                scopes: known_scopes(&stored.scopes),
                expires_at: stored.expires_at,
            })
            .ok_or(AuthenticationError::UnknownApiKey)
    }

    async fn look_up(
        &self,
        presented: &PresentedKey<'_>,
        now: Timestamp,
    ) -> Result<Option<StoredApiKey>, StoreError> {
        let name = (presented.tenant.clone(), presented.id.to_owned());
        if let Some(looked_up) = self.looked_up.get(&name)
            && looked_up.holds_at(now)
        {
            return Ok(looked_up.key);
        }
        let key = self.store.api_key(&presented.tenant, presented.id).await?;
        let looked_up = LookedUp {
            key: key.clone(),
            at: now,
        };
        self.looked_up.insert(name, looked_up);
        Ok(key)
    }
}

impl LookedUp {
    fn holds_at(&self, now: Timestamp) -> bool {
        let life = match self.key {
            Some(_) => API_KEY_CACHE,
            None => UNKNOWN_CACHE,
        };
        now.since(self.at) < life
    }
}

/// A newer version of this program may have given a key scopes that this one does not know.
fn known_scopes(names: &[String]) -> Scopes {
    let scopes = names.iter().filter_map(|name| name.parse::<Scope>().ok());
    scopes.collect()
}
