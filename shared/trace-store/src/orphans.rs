//! Objects that nothing points to: a write broke off between a body and the item that was to
//! point to it.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::try_join_all;
use trace_model::{ContentBody, ContentLocation, TenantId, Timestamp, TraceId};

use crate::keys::{
    OBJECTS_PREFIX, SHARDS, artifact_object_key, chunk_id, object_prefix, owner_of_object,
};
use crate::objects::FRESH;
use crate::service::{failed, retrying};
use crate::shard::ShardReader;
use crate::{StoreError, TraceStore};

const WHAT: &str = "object";

/// How old an object must be before it may count as orphaned. A writer takes an object that is
/// younger than a day for its own and writes the item seconds later; an older one it writes
/// again, so that it is young. Twice that is beyond both.
pub const ORPHAN_GRACE: Duration = FRESH.saturating_mul(2);

/// An object of a trace, as the bucket lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceObject {
    pub tenant: TenantId,
    pub trace_id: TraceId,
    pub key: String,
    pub written_at: Timestamp,
}

/// In order of the keys, so that a trace's objects come together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    pub objects: Vec<TraceObject>,
    /// The last key that was looked at; `None` when this was the last page.
    pub next: Option<String>,
}

impl TraceStore {
    /// All tenants' objects but payloads, whose only pointers are in the workflows' own data:
    /// those expire. One request for each 1,000.
    pub async fn list_trace_objects(&self, after: Option<&str>) -> Result<ObjectPage, StoreError> {
        let listed = retrying(|| async {
            self.s3
                .list_objects_v2()
                .bucket(&self.config.bucket)
                .prefix(OBJECTS_PREFIX)
                .set_start_after(after.map(str::to_owned))
                .send()
                .await
                .map_err(failed("ListObjectsV2", WHAT))
        })
        .await?;
        let has_more = listed.is_truncated == Some(true);
        let listed = listed.contents.unwrap_or_default();
        let next = listed.last().and_then(|object| object.key.clone());
        let objects = listed.into_iter().filter_map(|object| {
            let key = object.key?;
            let (tenant, trace_id) = owner_of_object(&key)?;
            Some(TraceObject {
                tenant,
                trace_id,
                key,
                written_at: timestamp(object.last_modified.as_ref())?,
            })
        });
        Ok(ObjectPage {
            objects: objects.collect(),
            next: next.filter(|_| has_more),
        })
    }

    /// Deletes those of one trace's objects that neither a chunk nor an artifact points to, and
    /// that were not written again since they were listed. Answers how many. The caller gives
    /// only objects that are older than [`ORPHAN_GRACE`].
    pub async fn delete_orphans(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        objects: &[TraceObject],
    ) -> Result<usize, StoreError> {
        let pointed_to = self.pointers(tenant, trace_id).await?;
        let prefix = object_prefix(tenant, trace_id);
        let mut deleted = 0;
        for object in objects {
            if !object.key.starts_with(&prefix) || pointed_to.contains(&object.key) {
                continue;
            }
            let written_at = self.object_written_at(&object.key).await?;
            if written_at == Some(object.written_at) {
                self.delete_object(&object.key).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// The keys that any telling of any span, any chunk or any artifact of the trace names, of
    /// earlier runs of the name too.
    async fn pointers(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<HashSet<String>, StoreError> {
        let shards = (0..SHARDS).map(|shard| self.pointers_of_shard(tenant, trace_id, shard));
        let shards = try_join_all(shards).await?;
        let mut keys: HashSet<String> = shards.into_iter().flatten().collect();
        for artifact in self.all_artifacts(tenant, trace_id).await? {
            keys.insert(artifact_object_key(tenant, trace_id, &artifact.sha256));
        }
        Ok(keys)
    }

    async fn pointers_of_shard(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        shard: u8,
    ) -> Result<HashSet<String>, StoreError> {
        let prefix = object_prefix(tenant, trace_id);
        let mut reader = ShardReader::new(self.clone(), tenant, trace_id, shard, None);
        let mut keys = HashSet::new();
        while let Some(spans) = reader.next_chunk().await? {
            for span in spans {
                // Whether the chunk's structure lies there or not.
                let structure = chunk_id(&span.chunk.sort_key);
                keys.extend(structure.map(|id| format!("{prefix}{id}")));
                for content in span.span().content.values() {
                    if let ContentBody::Stored(ContentLocation::Object(key)) = &content.body {
                        keys.insert(key.clone());
                    }
                }
            }
        }
        Ok(keys)
    }

    async fn object_written_at(&self, key: &str) -> Result<Option<Timestamp>, StoreError> {
        let head = self.head_object(key).await?;
        Ok(head.and_then(|head| timestamp(head.last_modified())))
    }

    async fn delete_object(&self, key: &str) -> Result<(), StoreError> {
        retrying(|| async {
            self.s3
                .delete_object()
                .bucket(&self.config.bucket)
                .key(key)
                .send()
                .await
                .map(drop)
                .map_err(failed("DeleteObject", WHAT))
        })
        .await
    }
}

/// To the second: listings may say more than a request for one object does.
fn timestamp(time: Option<&aws_smithy_types::DateTime>) -> Option<Timestamp> {
    let seconds = u64::try_from(time?.secs()).ok()?;
    Some(Timestamp::from_unix_millis(seconds.saturating_mul(1_000)))
}
