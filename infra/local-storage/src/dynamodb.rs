//! The embedded DynamoDB: dynoxide on one SQLite file, and our change feed in the same file.

mod dispatch;
mod expiry;
mod protocol;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use chrono::{DateTime, Utc};
use dynoxide::Database;
use rusqlite::Connection;
use tokio::sync::watch;

use crate::change_feed::{self, ChangeFeed};
use crate::data_folder::DataFolder;
use crate::worker::Worker;
use crate::{Durability, LocalStorageError};

pub(crate) const FILE_NAME: &str = "dynamodb.db";

/// Cheap to clone; every clone talks to the same thread.
#[derive(Clone)]
pub(crate) struct EmbeddedDynamoDb {
    worker: Arc<Worker<Tables>>,
    /// Counts writes, so that consumers of the feed wake without polling.
    writes: watch::Sender<u64>,
}

/// What the database's thread owns. Both connections are used from that thread only, so
/// neither ever waits for the other's lock.
pub(crate) struct Tables {
    pub(crate) path: PathBuf,
    pub(crate) database: Database,
    pub(crate) feed: Connection,
    _folder: Arc<DataFolder>,
}

impl EmbeddedDynamoDb {
    pub(crate) fn open(
        folder: Arc<DataFolder>,
        durability: Durability,
    ) -> Result<Self, LocalStorageError> {
        let path = folder.path().join(FILE_NAME);
        let worker = Worker::start("dynamodb", move || Tables::open(path, folder, durability))?;
        Ok(Self {
            worker: Arc::new(worker),
            writes: watch::Sender::new(0),
        })
    }

    pub(crate) fn http_client(&self) -> SharedHttpClient {
        protocol::http_client(self.clone())
    }

    pub(crate) fn router(&self, access_key_id: &str) -> axum::Router {
        protocol::router(self.clone(), access_key_id)
    }

    pub(crate) fn change_feed(&self) -> ChangeFeed {
        ChangeFeed::new(self.clone())
    }

    /// Deletes items whose time to live is before `now`, and change records past their age.
    pub(crate) async fn sweep_expired(
        &self,
        now: DateTime<Utc>,
    ) -> Result<usize, LocalStorageError> {
        expiry::sweep(self, now).await
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables) -> T + Send + 'static,
    ) -> Result<T, LocalStorageError> {
        self.worker.run(work).await
    }

    pub(crate) fn announce_write(&self) {
        self.writes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn subscribe_to_writes(&self) -> watch::Receiver<u64> {
        self.writes.subscribe()
    }
}

impl Tables {
    fn open(
        path: PathBuf,
        folder: Arc<DataFolder>,
        durability: Durability,
    ) -> Result<Self, LocalStorageError> {
        let database = Database::new(&path.to_string_lossy())
            .map_err(|source| LocalStorageError::engine("open", &path, source))?;
        if durability == Durability::ProcessCrash {
            // The name is about bulk loading; what it does is `synchronous=NORMAL`, which in WAL
            // mode writes each commit to the file at once and leaves the disk's own sync to the
            // checkpoint. A killed process loses nothing; a power cut may lose the last commits.
            database
                .disable_bulk_loading()
                .map_err(|source| LocalStorageError::engine("configure", &path, source))?;
        }
        let feed = open_feed(&path, durability)
            .and_then(|feed| change_feed::create_schema(&feed).map(|()| feed))
            .map_err(|source| LocalStorageError::database("open", &path, source))?;
        let tables = Self {
            path,
            database,
            feed,
            _folder: folder,
        };
        tables.watch_every_table()?;
        Ok(tables)
    }

    /// A crash between a table's creation and its triggers is mended here, before any write.
    fn watch_every_table(&self) -> Result<(), LocalStorageError> {
        for table in self
            .database
            .table_stats()
            .map_err(|source| LocalStorageError::engine("read", &self.path, source))?
        {
            self.watch_table(&table.table_name)?;
        }
        Ok(())
    }

    pub(crate) fn watch_table(&self, table_name: &str) -> Result<(), LocalStorageError> {
        let metadata = self
            .database
            .get_table_metadata(table_name)
            .map_err(|source| LocalStorageError::engine("read", &self.path, source))?;
        let Some(metadata) = metadata else {
            return Ok(());
        };
        change_feed::watch_table(&self.feed, table_name, &key_names(&metadata.key_schema))
            .map_err(|source| LocalStorageError::database("write", &self.path, source))
    }
}

/// The names in a stored key schema, partition key first.
pub(crate) fn key_names(key_schema: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Element {
        #[serde(rename = "AttributeName")]
        name: String,
    }
    serde_json::from_str::<Vec<Element>>(key_schema)
        .map(|elements| elements.into_iter().map(|element| element.name).collect())
        .unwrap_or_default()
}

fn open_feed(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let feed = Connection::open(path)?;
    feed.pragma_update(
        None,
        "synchronous",
        match durability {
            Durability::ProcessCrash => "NORMAL",
            Durability::PowerLoss => "FULL",
        },
    )?;
    // KiB, when negative: what a batch of change records needs, no more.
    feed.pragma_update(None, "cache_size", -1024)?;
    Ok(feed)
}
