use serde_dynamo::Item;
use trace_model::{TenantId, TraceId};

use crate::{StoreError, StoredSpan, TraceStore};

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
    pub spans: Vec<StoredSpan>,
}

impl ChunkKey {
    /// `None` for the keys of any other item: a run, a content chunk.
    pub fn from_keys(keys: &Item) -> Option<Self> {
        let _ = keys;
        todo!()
    }

    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }
}

impl Chunk {
    /// A body that lies in the chunk's own item; `None` for those that lie elsewhere.
    pub fn small_content(&self, span: &StoredSpan, field: &str) -> Option<&str> {
        let _ = (span, field);
        todo!()
    }
}

impl TraceStore {
    /// `None` when the chunk has expired or was deleted.
    pub async fn read_chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreError> {
        let _ = key;
        todo!()
    }

    /// The chunk from a stream record's `NewImage`, without asking the table.
    pub async fn chunk_from_image(
        &self,
        key: &ChunkKey,
        image: &Item,
    ) -> Result<Option<Chunk>, StoreError> {
        let _ = (key, image);
        todo!()
    }
}
