//! A trace put before those who read the table's stream once more.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use trace_model::{TenantId, TraceId};

use crate::chunk::{WHAT, WRITTEN_AT};
use crate::item::{SdkItem, number, text};
use crate::keys::{CHUNK_PREFIX, SHARDS, shard_partition};
use crate::service::{failed, retrying};
use crate::{StoreError, TABLE, TraceStore};

impl TraceStore {
    /// Has one of the trace's chunks come in the table's stream again, so that its readers look
    /// at the trace: for when what they made of it was lost. Answers whether there was one.
    pub async fn announce(&self, tenant: &TenantId, trace_id: TraceId) -> Result<bool, StoreError> {
        for shard in 0..SHARDS {
            if let Some(key) = self.any_chunk(tenant, trace_id, shard).await? {
                self.touch(key).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn any_chunk(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        shard: u8,
    ) -> Result<Option<SdkItem>, StoreError> {
        let partition = shard_partition(tenant, trace_id, shard);
        retrying(|| async {
            let answer = self
                .dynamodb
                .query()
                .table_name(&self.config.table)
                .key_condition_expression("#pk = :partition AND begins_with(#sk, :chunk)")
                .projection_expression("#pk, #sk")
                .expression_attribute_names("#pk", TABLE.partition_key)
                .expression_attribute_names("#sk", TABLE.sort_key)
                .expression_attribute_values(":partition", text(&partition))
                .expression_attribute_values(":chunk", text(CHUNK_PREFIX))
                .limit(1)
                .send()
                .await
                .map_err(failed("Query", WHAT))?;
            Ok(answer.items.unwrap_or_default().pop())
        })
        .await
    }

    async fn touch(&self, key: SdkItem) -> Result<(), StoreError> {
        retrying(|| async {
            let update = self
                .dynamodb
                .update_item()
                .table_name(&self.config.table)
                .set_key(Some(key.clone()))
                .update_expression("SET #written_at = :now")
                .condition_expression("attribute_exists(#pk)")
                .expression_attribute_names("#pk", TABLE.partition_key)
                .expression_attribute_names("#written_at", WRITTEN_AT)
                .expression_attribute_values(":now", number(self.clock.now().as_unix_millis()));
            match update.send().await {
                Ok(_) => Ok(()),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
                {
                    Ok(())
                }
                Err(error) => Err(failed("UpdateItem", WHAT)(error)),
            }
        })
        .await
    }
}
