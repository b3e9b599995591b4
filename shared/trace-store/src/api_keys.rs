//! API keys as they are stored: never the secret, only its hash.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue as SdkValue;
use serde_dynamo::from_attribute_value;
use trace_model::{TenantId, Timestamp};

use crate::item::{self, SdkItem, StoredItem, number, primary_key, text};
use crate::keys::{FORMAT_VERSION, api_key_sort_key, api_keys_partition};
use crate::service::{failed, retrying};
use crate::{StoreError, TABLE, TraceStore};

const WHAT: &str = "API key";

const SECRET_SHA256: &str = "secret_sha256";
const LAST_FOUR: &str = "last_four";
const NAME: &str = "name";
const SCOPES: &str = "scopes";
const CREATED_AT: &str = "created_at";
const REVOKED_AT: &str = "revoked_at";

/// One key of a tenant. What a scope is called, and how a secret is made and compared, is
/// `identity`'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredApiKey {
    pub tenant: TenantId,
    pub id: String,
    /// In hex.
    pub secret_sha256: String,
    /// Of the secret, so that people know one key from another.
    pub last_four: String,
    /// What people call it.
    pub name: String,
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
    /// To the second. Its item goes then too.
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    Revoked,
    /// It was before.
    AlreadyRevoked,
    /// There is no such key, or it has expired.
    NoSuchKey,
}

impl TraceStore {
    /// The id must be new.
    pub async fn create_api_key(&self, key: &StoredApiKey) -> Result<(), StoreError> {
        let mut item = key_of(&key.tenant, &key.id);
        let attributes = [
            (item::VERSION, number(u64::from(FORMAT_VERSION))),
            (
                TABLE.ttl_attribute,
                number(key.expires_at.as_unix_seconds()),
            ),
            (SECRET_SHA256, text(key.secret_sha256.as_str())),
            (LAST_FOUR, text(key.last_four.as_str())),
            (NAME, text(key.name.as_str())),
            (
                SCOPES,
                SdkValue::L(
                    key.scopes
                        .iter()
                        .map(|scope| text(scope.as_str()))
                        .collect(),
                ),
            ),
            (CREATED_AT, number(key.created_at.as_unix_millis())),
        ];
        item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
        retrying(|| async {
            let put = self
                .dynamodb
                .put_item()
                .table_name(&self.config.table)
                .set_item(Some(item.clone()))
                // A retry finds its own first attempt.
                .condition_expression("attribute_not_exists(#pk) OR #secret = :secret")
                .expression_attribute_names("#pk", TABLE.partition_key)
                .expression_attribute_names("#secret", SECRET_SHA256)
                .expression_attribute_values(":secret", text(key.secret_sha256.as_str()))
                .send()
                .await;
            match put {
                Ok(_) => Ok(()),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
                {
                    Err(StoreError::Contended(WHAT))
                }
                Err(error) => Err(failed("PutItem", WHAT)(error)),
            }
        })
        .await
    }

    /// `None` for what never was and what has expired; a revoked one says so.
    pub async fn api_key(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<StoredApiKey>, StoreError> {
        match self.item(&key_of(tenant, id), WHAT).await? {
            Some(item) => self.decode_api_key(tenant, item),
            None => Ok(None),
        }
    }

    /// A tenant's keys, revoked ones too, in the order in which they were made.
    pub async fn api_keys(&self, tenant: &TenantId) -> Result<Vec<StoredApiKey>, StoreError> {
        let mut keys = Vec::new();
        let mut start = None;
        loop {
            let page = retrying(|| async {
                self.dynamodb
                    .query()
                    .table_name(&self.config.table)
                    .key_condition_expression("#pk = :pk")
                    .expression_attribute_names("#pk", TABLE.partition_key)
                    .expression_attribute_values(":pk", text(api_keys_partition(tenant)))
                    .consistent_read(true)
                    .set_exclusive_start_key(start.clone())
                    .send()
                    .await
                    .map_err(failed("Query", WHAT))
            })
            .await?;
            for item in page.items.unwrap_or_default() {
                keys.extend(self.decode_api_key(tenant, item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        keys.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(keys)
    }

    /// For good: nothing makes a revoked key valid again.
    pub async fn revoke_api_key(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Revocation, StoreError> {
        let now = self.clock.now();
        match self.api_key(tenant, id).await? {
            None => return Ok(Revocation::NoSuchKey),
            Some(key) if key.revoked_at.is_some() => return Ok(Revocation::AlreadyRevoked),
            Some(_) => {}
        }
        retrying(|| async {
            let update = self
                .dynamodb
                .update_item()
                .table_name(&self.config.table)
                .set_key(Some(key_of(tenant, id)))
                .update_expression("SET #revoked_at = if_not_exists(#revoked_at, :now)")
                // An update makes an item where none is: expired between the two calls, say.
                .condition_expression("attribute_exists(#pk)")
                .expression_attribute_names("#revoked_at", REVOKED_AT)
                .expression_attribute_names("#pk", TABLE.partition_key)
                .expression_attribute_values(":now", number(now.as_unix_millis()))
                .send()
                .await;
            match update {
                Ok(_) => Ok(Revocation::Revoked),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
                {
                    Ok(Revocation::NoSuchKey)
                }
                Err(error) => Err(failed("UpdateItem", WHAT)(error)),
            }
        })
        .await
    }

    fn decode_api_key(
        &self,
        tenant: &TenantId,
        item: SdkItem,
    ) -> Result<Option<StoredApiKey>, StoreError> {
        let Some(stored) = StoredItem::open(item.into(), WHAT, self.clock.now())? else {
            return Ok(None);
        };
        let id = stored
            .text(TABLE.sort_key)?
            .strip_prefix(&api_key_sort_key(""));
        let scopes = stored.get(SCOPES).cloned();
        let scopes = scopes.ok_or_else(|| stored.damaged(SCOPES))?;
        let expires_at = stored.number(TABLE.ttl_attribute)?;
        Ok(Some(StoredApiKey {
            tenant: tenant.clone(),
            id: id.ok_or_else(|| stored.damaged(TABLE.sort_key))?.to_owned(),
            secret_sha256: stored.text(SECRET_SHA256)?.to_owned(),
            last_four: stored.text(LAST_FOUR)?.to_owned(),
            name: stored.text(NAME)?.to_owned(),
            scopes: from_attribute_value(scopes).map_err(|_| stored.damaged(SCOPES))?,
            created_at: Timestamp::from_unix_millis(stored.number(CREATED_AT)?),
            expires_at: Timestamp::from_unix_millis(expires_at.saturating_mul(1000)),
            revoked_at: stored
                .optional_number(REVOKED_AT)?
                .map(Timestamp::from_unix_millis),
        }))
    }
}

fn key_of(tenant: &TenantId, id: &str) -> SdkItem {
    primary_key(api_keys_partition(tenant), api_key_sort_key(id))
}
