//! The embedded S3: s3s speaks the protocol, an SQLite index names the objects, files hold them.
//!
//! A body is written to a file of its own, synced, moved into place, and only then named by the
//! index; what was there before stays whole until that moment. Files nobody names are orphans of
//! a crash, and are swept at the next start.

mod blobs;
mod checksums;
mod fields;
mod index;
mod keeping;
mod listing;
mod multipart;
mod objects;
mod preconditions;
mod protocol;
mod uploads;

use std::path::PathBuf;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rusqlite::Connection;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::data_folder::DataFolder;
use crate::error::{io_advice, sqlite_advice};
use crate::worker::Worker;
use crate::{LocalStorageError, LoopbackCredentials};
use blobs::Blobs;

/// Cheap to clone; every clone shares the index's thread.
#[derive(Clone)]
pub(crate) struct EmbeddedS3 {
    service: s3s::service::S3Service,
}

/// What the S3 operations are made of.
#[derive(Clone)]
struct ObjectStore {
    index: Arc<Worker<Index>>,
    blobs: Arc<Blobs>,
}

struct Index {
    connection: Connection,
    _folder: Arc<DataFolder>,
}

impl EmbeddedS3 {
    pub(crate) fn open(
        folder: Arc<DataFolder>,
        credentials: &LoopbackCredentials,
    ) -> Result<Self, LocalStorageError> {
        let root = folder.path().join("s3");
        let blobs = Arc::new(Blobs::open(&root)?);
        let path = root.join("index.db");
        let index = Worker::start("s3-index", move || {
            let connection = open_index(&path)
                .map_err(|source| LocalStorageError::database("open", &path, source))?;
            Ok(Index {
                connection,
                _folder: folder,
            })
        })?;
        let swept = Arc::clone(&blobs);
        index.queue(move |index| sweep_orphans(index, &swept))?;
        let store = ObjectStore {
            index: Arc::new(index),
            blobs,
        };
        Ok(Self {
            service: protocol::service(store, credentials),
        })
    }

    pub(crate) fn http_client(&self) -> SharedHttpClient {
        protocol::http_client(self.service.clone())
    }

    pub(crate) fn router(&self) -> axum::Router {
        protocol::router(self.service.clone())
    }
}

impl ObjectStore {
    /// Runs `work` on the index's thread.
    async fn indexed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        self.index
            .run(move |index| work(&mut index.connection))
            .await
            .map_err(S3Error::internal_error)?
    }
}

fn open_index(path: &PathBuf) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // The file of a replaced object is deleted after its successor is indexed, so the index must
    // never fall back behind a deletion: each of its commits waits for the disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // KiB, when negative.
    connection.pragma_update(None, "cache_size", -1024)?;
    index::create_schema(&connection)?;
    Ok(connection)
}

fn sweep_orphans(index: &mut Index, blobs: &Blobs) {
    let swept = index::blob_names(&index.connection)
        .map_err(|error| sqlite_advice(&error).to_owned())
        .and_then(|names| {
            blobs
                .sweep(&names)
                .map_err(|error| io_advice(&error).to_owned())
        });
    match swept {
        Ok(0) => {}
        Ok(files) => tracing::info!(files, "removed files that a crash had left behind"),
        Err(advice) => tracing::warn!(advice, "cannot look for files that a crash left behind"),
    }
}

fn io_failed(error: std::io::Error) -> S3Error {
    tracing::error!(%error, "the embedded S3 cannot use its files");
    let message = format!(
        "the embedded S3 cannot use its files: {}",
        io_advice(&error)
    );
    failed(message, error)
}

fn index_failed(error: rusqlite::Error) -> S3Error {
    tracing::error!(%error, "the embedded S3 cannot use its index");
    let message = format!(
        "the embedded S3 cannot use its index: {}",
        sqlite_advice(&error)
    );
    failed(message, error)
}

fn failed(message: String, source: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::InternalError, message);
    error.set_source(Box::new(source));
    error
}
