//! The DynamoDB and the S3 of the local cloud: durable on disk, used in process by unmodified
//! AWS SDK clients, and over loopback by functions in other processes.
//!
//! Knows nothing of traces, tenants or workflows, reads no environment, opens no socket (the
//! caller serves the routers), and runs nothing on its own: expiry is swept when the caller says.
//! It is for one machine: no replicas, no IAM, no throttling.

mod change_feed;
mod data_folder;
mod dynamodb;
mod error;
mod in_process;
mod worker;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use axum::Router;
use chrono::{DateTime, Utc};

pub use change_feed::{ChangeFeed, ChangeFilter, ChangeRecord, Consumer, StartingPosition};
pub use error::LocalStorageError;

use data_folder::DataFolder;
use dynamodb::EmbeddedDynamoDb;

/// What a write that was acknowledged survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// A kill of the process at any moment; twice as fast.
    #[default]
    ProcessCrash,
    /// Also a power cut: every write waits for the disk.
    PowerLoss,
}

/// The one pair of keys that the loopback endpoint accepts.
#[derive(Clone)]
pub struct LoopbackCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl fmt::Debug for LoopbackCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LoopbackCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub struct LocalStorageConfig {
    pub durability: Durability,
    pub loopback_credentials: LoopbackCredentials,
}

/// The open data folder. Cheap to clone; the files close when the last clone, client, router
/// and consumer is gone.
#[derive(Clone)]
pub struct LocalStorage {
    config: LocalStorageConfig,
    dynamodb: EmbeddedDynamoDb,
}

impl LocalStorage {
    /// Opens or creates the folder. Blocks for some milliseconds.
    pub fn open(data_folder: &Path, config: LocalStorageConfig) -> Result<Self, LocalStorageError> {
        let folder = Arc::new(DataFolder::open(data_folder)?);
        let dynamodb = EmbeddedDynamoDb::open(folder, config.durability)?;
        Ok(Self { config, dynamodb })
    }

    /// Give it to `aws_sdk_dynamodb::config::Builder::http_client`; any region and credentials do.
    pub fn dynamodb_http_client(&self) -> SharedHttpClient {
        self.dynamodb.http_client()
    }

    /// Serves `POST /` as DynamoDB does, for `AWS_ENDPOINT_URL_DYNAMODB` of another process.
    pub fn dynamodb_router(&self) -> Router {
        self.dynamodb
            .router(&self.config.loopback_credentials.access_key_id)
    }

    /// The stream of what was written to all tables.
    pub fn change_feed(&self) -> ChangeFeed {
        self.dynamodb.change_feed()
    }

    /// Deletes what has expired at `now`: items by their time to live, and change records older
    /// than 24 hours. Says how many items went. Reads each table with a time to live once, in
    /// pages, so call it every few minutes at most.
    pub async fn sweep_expired(&self, now: DateTime<Utc>) -> Result<usize, LocalStorageError> {
        self.dynamodb.sweep_expired(now).await
    }
}

impl fmt::Debug for LocalStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LocalStorage")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
