use serde_dynamo::{AttributeValue, Item};
use trace_model::{TenantId, Timestamp, TraceId};

use crate::body::SmallContent;
use crate::chunk::{self, Structure, decode, small_content_of, structure_of};
use crate::item::{StoredItem, primary_key};
use crate::service::{failed, retrying};
use crate::{StoreError, StoredSpan, TABLE, TraceStore};

/// Which structure chunk changed, from a stream record's `Keys`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    pub(crate) tenant: TenantId,
    pub(crate) trace_id: TraceId,
    pub(crate) shard: u8,
    pub(crate) sort_key: String,
}

/// One structure chunk with its small content.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// As they were written together: not merged with those of other chunks.
    pub spans: Vec<StoredSpan>,
    small_content: SmallContent,
}

impl ChunkKey {
    /// `None` for the keys of any other item: a run, a content chunk.
    pub fn from_keys(keys: &Item) -> Option<Self> {
        let text = |name: &str| match keys.get(name) {
            Some(AttributeValue::S(text)) => Some(text.as_str()),
            _ => None,
        };
        Self::parse(text(TABLE.partition_key)?, text(TABLE.sort_key)?)
    }

    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }
}

/// When a structure chunk was written, from a stream record's `NewImage`. `None` for any other
/// item, and for a record without an image.
pub fn written_at(image: &Item) -> Option<Timestamp> {
    match image.get(chunk::WRITTEN_AT) {
        Some(AttributeValue::N(millis)) => millis.parse().ok().map(Timestamp::from_unix_millis),
        _ => None,
    }
}

impl Chunk {
    /// A body that lies in the chunk's own item, its hash checked; `None` for those that lie
    /// elsewhere.
    pub fn small_content(
        &self,
        span: &StoredSpan,
        field: &str,
    ) -> Result<Option<&str>, StoreError> {
        let span = span.span();
        self.small_content.get(span.span_id, span.revision, field)
    }
}

impl TraceStore {
    /// `None` when the chunk has expired or was deleted.
    pub async fn read_chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreError> {
        match self.chunk_item(key, None).await? {
            Some(item) => self.chunk_from_image(key, item).await,
            None => Ok(None),
        }
    }

    /// The chunk from a stream record's `NewImage`, without asking the table.
    pub async fn chunk_from_image(
        &self,
        key: &ChunkKey,
        image: Item,
    ) -> Result<Option<Chunk>, StoreError> {
        let Some(stored) = StoredItem::open(image, chunk::WHAT, self.clock.now())? else {
            return Ok(None);
        };
        Ok(Some(Chunk {
            spans: self.spans_of(key, &stored).await?,
            small_content: small_content_of(&stored)?,
        }))
    }

    /// The chunk's item, or of it what `projection` names.
    pub(crate) async fn chunk_item(
        &self,
        key: &ChunkKey,
        projection: Option<&'static str>,
    ) -> Result<Option<Item>, StoreError> {
        let primary = primary_key(key.partition(), key.sort_key.as_str());
        retrying(|| async {
            let answer = self
                .dynamodb
                .get_item()
                .table_name(&self.config.table)
                .set_key(Some(primary.clone()))
                .set_projection_expression(projection.map(str::to_owned))
                .consistent_read(true)
                .send()
                .await
                .map_err(failed("GetItem", chunk::WHAT))?;
            Ok(answer.item.map(Item::from))
        })
        .await
    }

    pub(crate) async fn spans_of(
        &self,
        key: &ChunkKey,
        stored: &StoredItem,
    ) -> Result<Vec<StoredSpan>, StoreError> {
        let structure = match structure_of(stored)? {
            Structure::Here(structure) => structure,
            Structure::Object { key: object, bytes } => {
                self.object_structure(&key.tenant, key.trace_id, &object, bytes)
                    .await?
            }
        };
        decode(&structure, key)
    }
}
