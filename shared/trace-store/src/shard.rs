//! Reads the chunks of one of a trace's partitions, a page at a time.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::AttributeValue as SdkValue;
use serde_dynamo::Item;
use trace_model::{TenantId, Timestamp, TraceId};

use crate::chunk::{LAST_START, STRUCTURE, STRUCTURE_BYTES, STRUCTURE_OBJECT, WHAT};
use crate::item::{SdkItem, StoredItem, VERSION, number, text};
use crate::keys::{CHUNK_PREFIX, first_start, shard_partition};
use crate::service::{failed, retrying};
use crate::{ChunkKey, StoreError, StoredSpan, TABLE, TraceStore};

/// In order of the chunks' first starts.
pub(crate) struct ShardReader {
    store: TraceStore,
    tenant: TenantId,
    trace_id: TraceId,
    shard: u8,
    /// Chunks whose spans all started before this are left out.
    from: Option<Timestamp>,
    chunks: VecDeque<(String, SdkItem)>,
    progress: Progress,
}

enum Progress {
    Start,
    After(SdkItem),
    End,
}

impl ShardReader {
    pub(crate) fn new(
        store: TraceStore,
        tenant: &TenantId,
        trace_id: TraceId,
        shard: u8,
        from: Option<Timestamp>,
    ) -> Self {
        Self {
            store,
            tenant: tenant.clone(),
            trace_id,
            shard,
            from,
            chunks: VecDeque::new(),
            progress: Progress::Start,
        }
    }

    /// Makes sure that the next chunk, if there is one, is here.
    pub(crate) async fn fill(&mut self) -> Result<(), StoreError> {
        while self.chunks.is_empty() {
            let start = match &self.progress {
                Progress::End => return Ok(()),
                Progress::Start => None,
                Progress::After(key) => Some(key.clone()),
            };
            let (items, last) = self.query(start).await?;
            self.progress = last.map_or(Progress::End, Progress::After);
            for item in items {
                let sort_key = item.get(TABLE.sort_key).map(SdkValue::as_s);
                let Some(Ok(sort_key)) = sort_key else {
                    return Err(StoreError::damaged(WHAT, "it has no sort key"));
                };
                self.chunks.push_back((sort_key.clone(), item));
            }
        }
        Ok(())
    }

    /// When the first span of the next chunk started, of those that are here.
    pub(crate) fn next_start(&self) -> Option<Timestamp> {
        let (sort_key, _) = self.chunks.front()?;
        Some(first_start(sort_key).unwrap_or_default())
    }

    pub(crate) async fn next_chunk(&mut self) -> Result<Option<Vec<StoredSpan>>, StoreError> {
        self.fill().await?;
        let Some((sort_key, item)) = self.chunks.pop_front() else {
            return Ok(None);
        };
        let key = ChunkKey {
            tenant: self.tenant.clone(),
            trace_id: self.trace_id,
            shard: self.shard,
            sort_key,
        };
        // Reading may take longer than the item has left.
        let now = self.store.clock.now();
        match StoredItem::open(Item::from(item), WHAT, now)? {
            Some(stored) => self.store.spans_of(&key, &stored).await.map(Some),
            None => Ok(Some(Vec::new())),
        }
    }

    async fn query(
        &self,
        start: Option<SdkItem>,
    ) -> Result<(Vec<SdkItem>, Option<SdkItem>), StoreError> {
        let store = &self.store;
        let partition = shard_partition(&self.tenant, self.trace_id, self.shard);
        let mut filter = "#expires_at > :now".to_owned();
        if self.from.is_some() {
            filter.push_str(" AND #last_start >= :from");
        }
        retrying(|| async {
            let mut request = store
                .dynamodb
                .query()
                .table_name(&store.config.table)
                .key_condition_expression("#pk = :partition AND begins_with(#sk, :chunk)")
                .filter_expression(&filter)
                .projection_expression("#sk, #version, #expires_at, #structure, #object, #bytes")
                .expression_attribute_names("#pk", TABLE.partition_key)
                .expression_attribute_names("#sk", TABLE.sort_key)
                .expression_attribute_names("#expires_at", TABLE.ttl_attribute)
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_names("#structure", STRUCTURE)
                .expression_attribute_names("#object", STRUCTURE_OBJECT)
                .expression_attribute_names("#bytes", STRUCTURE_BYTES)
                .expression_attribute_values(":partition", text(&partition))
                .expression_attribute_values(":chunk", text(CHUNK_PREFIX))
                .expression_attribute_values(":now", number(store.clock.now().as_unix_seconds()))
                .consistent_read(true)
                .set_exclusive_start_key(start.clone());
            if let Some(from) = self.from {
                request = request
                    .expression_attribute_names("#last_start", LAST_START)
                    .expression_attribute_values(":from", number(from.as_unix_nanos()));
            }
            let answer = request.send().await.map_err(failed("Query", WHAT))?;
            Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
        })
        .await
    }
}
