//! A run that goes on while somebody looks at it: who has it recorded on, and from where.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue as SdkValue, ReturnValue};
use trace_model::{TenantId, TraceId};

use crate::item::{number, primary_key};
use crate::keys::{RUN_SORT_KEY, run_partition};
use crate::service::{failed, retrying};
use crate::{StoreError, TABLE, TraceStore};

const WHAT: &str = "run";
/// Milliseconds; when the run was last to be recorded on.
const LOOKED_AT: &str = "looked_at";
const RECORDED_UP_TO: &str = "recorded_up_to";

impl TraceStore {
    /// Of all who ask, one in each `pace` is answered: with the event of the run's history up to
    /// which everything is stored. It is to have the rest recorded.
    pub async fn claim_look(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        pace: Duration,
    ) -> Result<Option<u64>, StoreError> {
        let now = self.clock.now();
        let key = primary_key(run_partition(tenant, trace_id), RUN_SORT_KEY);
        let claimed = retrying(|| async {
            let update = self
                .dynamodb
                .update_item()
                .table_name(&self.config.table)
                .set_key(Some(key.clone()))
                .update_expression("SET #looked_at = :now")
                .condition_expression(
                    "attribute_exists(#pk) AND \
                     (attribute_not_exists(#looked_at) OR #looked_at <= :before)",
                )
                .expression_attribute_names("#pk", TABLE.partition_key)
                .expression_attribute_names("#looked_at", LOOKED_AT)
                .expression_attribute_values(":now", number(now.as_unix_millis()))
                .expression_attribute_values(":before", number(now.minus(pace).as_unix_millis()))
                .return_values(ReturnValue::AllNew);
            match update.send().await {
                Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
                Err(error) if is_refused(error.as_service_error()) => Ok(None),
                Err(error) => Err(failed("UpdateItem", WHAT)(error)),
            }
        });
        let claimed = claimed.await?;
        Ok(claimed.map(|run| match run.get(RECORDED_UP_TO) {
            Some(SdkValue::N(digits)) => digits.parse().unwrap_or_default(),
            _ => 0,
        }))
    }

    /// Everything up to that event of the run's history is stored. A smaller one than is known,
    /// or a run that is not there, changes nothing.
    pub async fn note_recorded(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        event_id: u64,
    ) -> Result<(), StoreError> {
        let key = primary_key(run_partition(tenant, trace_id), RUN_SORT_KEY);
        retrying(|| async {
            let update = self
                .dynamodb
                .update_item()
                .table_name(&self.config.table)
                .set_key(Some(key.clone()))
                .update_expression("SET #up_to = :event")
                .condition_expression(
                    "attribute_exists(#pk) AND \
                     (attribute_not_exists(#up_to) OR #up_to < :event)",
                )
                .expression_attribute_names("#pk", TABLE.partition_key)
                .expression_attribute_names("#up_to", RECORDED_UP_TO)
                .expression_attribute_values(":event", number(event_id));
            match update.send().await {
                Ok(_) => Ok(()),
                Err(error) if is_refused(error.as_service_error()) => Ok(()),
                Err(error) => Err(failed("UpdateItem", WHAT)(error)),
            }
        })
        .await
    }
}

fn is_refused(error: Option<&UpdateItemError>) -> bool {
    error.is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
