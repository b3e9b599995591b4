//! The table stream: every write that went through, in order, until its consumers passed it.
//!
//! How no acknowledged write can be missing here: the record is inserted by an SQLite trigger on
//! the table's own rows, in the same file and so in the same transaction as the item. There is no
//! moment between the two for a kill to fall into; either both are there after it or neither.
//! A consumer's cursor moves only by [`Consumer::commit`], so what was handed out and not
//! committed is handed out again: at least once, never at most once.
//!
//! Tables feed with `NEW_IMAGE` unless their `StreamSpecification` says otherwise: an image costs
//! one more copy of the item in the same write, and is what spares the consumers a read.

mod consumer;
mod record;
mod schema;

use std::fmt;

pub use consumer::{ChangeFilter, Consumer, StartingPosition};
pub use record::ChangeRecord;
pub(crate) use schema::{
    STREAM_LABEL, StreamSetting, WriteOrigin, create_schema, drop_aged, set_stream,
    set_write_origin, stream_arn, stream_setting, watch_table,
};

use crate::LocalStorageError;
use crate::dynamodb::EmbeddedDynamoDb;

/// Where consumers of the table stream begin. Cheap to clone.
#[derive(Clone)]
pub struct ChangeFeed {
    database: EmbeddedDynamoDb,
}

impl ChangeFeed {
    pub(crate) fn new(database: EmbeddedDynamoDb) -> Self {
        Self { database }
    }

    /// The consumer of that name, with the cursor it had; a new name begins at `position`.
    /// From here on, records are kept for it (24 hours at most) until it commits them.
    /// One value per name at a time: two of the same name hand out the same records.
    pub async fn consumer(
        &self,
        name: &str,
        position: StartingPosition,
    ) -> Result<Consumer, LocalStorageError> {
        Consumer::register(self.database.clone(), name, position).await
    }

    /// Forgets a consumer and its cursor, so that nothing is kept for it any more.
    pub async fn forget_consumer(&self, name: &str) -> Result<(), LocalStorageError> {
        consumer::forget(&self.database, name).await
    }
}

impl fmt::Debug for ChangeFeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ChangeFeed").finish_non_exhaustive()
    }
}
