//! A named reader of the feed with a durable cursor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::watch;
use tokio::time::Instant;

use super::record::{ChangeRecord, StoredRecord};
use crate::LocalStorageError;
use crate::dynamodb::{EmbeddedDynamoDb, Tables};

/// Lambda's limit of what one invocation carries.
const BATCH_BYTES: usize = 6 * 1024 * 1024;

/// Which records a consumer is given; the others are passed over, as with the filter of an
/// event source mapping.
pub type ChangeFilter = Arc<dyn Fn(&ChangeRecord) -> bool + Send + Sync>;

/// Where a consumer begins that was never seen before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartingPosition {
    /// The oldest record that is still kept.
    TrimHorizon,
    /// What is written from now on.
    Latest,
}

pub struct Consumer {
    database: EmbeddedDynamoDb,
    writes: watch::Receiver<u64>,
    name: String,
    cursor: u64,
    filter: Option<ChangeFilter>,
}

impl Consumer {
    pub(super) async fn register(
        database: EmbeddedDynamoDb,
        name: &str,
        position: StartingPosition,
    ) -> Result<Self, LocalStorageError> {
        let writes = database.subscribe_to_writes();
        let row_name = name.to_owned();
        let cursor = database
            .run(move |tables| {
                register_row(&tables.feed, &row_name, position)
                    .map_err(|source| failed(tables, "register a consumer in", source))
            })
            .await??;
        Ok(Self {
            database,
            writes,
            name: name.to_owned(),
            cursor,
            filter: None,
        })
    }

    /// The same consumer, given only the records `filter` accepts.
    #[must_use]
    pub fn with_filter(
        mut self,
        filter: impl Fn(&ChangeRecord) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last sequence that was committed.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The records after the cursor in order, at most `max` of them and 6 MB; waits up to `wait`
    /// for the first, without polling. The same records come again until they are committed.
    /// Safe to drop while waiting.
    pub async fn next_batch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ChangeRecord>, LocalStorageError> {
        let deadline = Instant::now() + wait;
        loop {
            self.writes.mark_unchanged();
            let batch = self.read(max).await?;
            if !batch.records.is_empty() {
                return Ok(batch.records);
            }
            if let Some(passed) = batch.passed {
                self.commit(passed).await?;
                continue;
            }
            match tokio::time::timeout_at(deadline, self.writes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(Vec::new()),
            }
        }
    }

    /// Moves the cursor on to `sequence`, durably, and drops what every consumer has passed.
    /// Committing an older sequence changes nothing.
    pub async fn commit(&mut self, sequence: u64) -> Result<(), LocalStorageError> {
        if sequence <= self.cursor {
            return Ok(());
        }
        let name = self.name.clone();
        self.database
            .run(move |tables| {
                move_cursor(&mut tables.feed, &name, sequence)
                    .map_err(|source| failed(tables, "move a cursor in", source))
            })
            .await??;
        self.cursor = sequence;
        Ok(())
    }

    async fn read(&self, max: usize) -> Result<Batch, LocalStorageError> {
        let (cursor, filter) = (self.cursor, self.filter.clone());
        self.database
            .run(move |tables| read_batch(tables, cursor, max, filter.as_ref()))
            .await?
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Consumer")
            .field("name", &self.name)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

pub(super) async fn forget(
    database: &EmbeddedDynamoDb,
    name: &str,
) -> Result<(), LocalStorageError> {
    let name = name.to_owned();
    database
        .run(move |tables| {
            let forgotten = tables
                .feed
                .execute(r#"DELETE FROM "feed:consumers" WHERE name = ?1"#, [name]);
            forgotten
                .and_then(|_| drop_passed(&tables.feed))
                .map_err(|source| failed(tables, "forget a consumer in", source))
        })
        .await?
}

struct Batch {
    records: Vec<ChangeRecord>,
    /// The last sequence read, when the filter left nothing of what was there.
    passed: Option<u64>,
}

fn read_batch(
    tables: &mut Tables,
    cursor: u64,
    max: usize,
    filter: Option<&ChangeFilter>,
) -> Result<Batch, LocalStorageError> {
    let read = |source| failed(tables, "read change records from", source);
    let mut statement = tables
        .feed
        .prepare_cached(
            r#"SELECT sequence, table_name, event_name, view, origin, created_at, size, key_names, keys, new_image, old_image
               FROM "feed:records" WHERE sequence > ?1 ORDER BY sequence"#,
        )
        .map_err(read)?;
    let mut rows = statement.query([cursor]).map_err(read)?;
    let (mut records, mut passed, mut bytes, mut seen) = (Vec::new(), None, 0, 0_usize);
    while records.len() < max
        // Bounds how long other requests wait for a consumer whose filter takes nothing.
        && seen < max.saturating_add(SCANNED_AT_ONCE)
        && let Some(row) = rows.next().map_err(read)?
    {
        let stored = stored_record(row).map_err(read)?;
        bytes += stored.bytes();
        if bytes > BATCH_BYTES && seen > 0 {
            break;
        }
        seen += 1;
        let (sequence, table) = (stored.sequence, stored.table_name.clone());
        let record = stored
            .read()
            .map_err(|source| LocalStorageError::ChangeRecord {
                sequence,
                table,
                path: tables.path.clone(),
                source,
            })?;
        passed = Some(sequence);
        if filter.is_none_or(|accepts| accepts(&record)) {
            records.push(record);
        }
    }
    Ok(Batch { records, passed })
}

const SCANNED_AT_ONCE: usize = 1_000;

fn stored_record(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredRecord> {
    Ok(StoredRecord {
        sequence: row.get(0)?,
        table_name: row.get(1)?,
        event_name: row.get(2)?,
        view: row.get(3)?,
        origin: row.get(4)?,
        created_at: row.get(5)?,
        size: row.get(6)?,
        key_names: row.get(7)?,
        keys: row.get(8)?,
        new_image: row.get(9)?,
        old_image: row.get(10)?,
    })
}

fn register_row(
    feed: &Connection,
    name: &str,
    position: StartingPosition,
) -> rusqlite::Result<u64> {
    let start = match position {
        StartingPosition::TrimHorizon => 0,
        StartingPosition::Latest => feed.query_row(
            "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'feed:records'",
            [],
            |row| row.get(0),
        )?,
    };
    feed.execute(
        r#"INSERT OR IGNORE INTO "feed:consumers" VALUES (?1, ?2)"#,
        params![name, start],
    )?;
    feed.query_row(
        r#"SELECT sequence FROM "feed:consumers" WHERE name = ?1"#,
        [name],
        |row| row.get(0),
    )
}

fn move_cursor(feed: &mut Connection, name: &str, sequence: u64) -> rusqlite::Result<()> {
    let transaction = feed.transaction()?;
    transaction.execute(
        r#"INSERT INTO "feed:consumers" VALUES (?1, ?2)
           ON CONFLICT (name) DO UPDATE SET sequence = MAX(sequence, excluded.sequence)"#,
        params![name, sequence],
    )?;
    drop_passed(&transaction)?;
    transaction.commit()
}

fn drop_passed(feed: &Connection) -> rusqlite::Result<()> {
    feed.execute(r#"DELETE FROM "feed:records" WHERE sequence <= (SELECT MIN(sequence) FROM "feed:consumers")"#, [])
        .map(|_| ())
}

fn failed(tables: &Tables, operation: &'static str, source: rusqlite::Error) -> LocalStorageError {
    LocalStorageError::database(operation, &tables.path, source)
}
