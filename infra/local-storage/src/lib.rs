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
mod s3;
mod worker;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use axum::Router;
use axum::extract::Request;
use chrono::{DateTime, Utc};
use tower::ServiceExt;

pub use change_feed::{ChangeFeed, ChangeFilter, ChangeRecord, Consumer, StartingPosition};
pub use error::LocalStorageError;

use data_folder::DataFolder;
use dynamodb::EmbeddedDynamoDb;
use s3::EmbeddedS3;

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
    s3: EmbeddedS3,
}

impl LocalStorage {
    /// Opens or creates the folder. Blocks for some milliseconds.
    pub fn open(data_folder: &Path, config: LocalStorageConfig) -> Result<Self, LocalStorageError> {
        let folder = Arc::new(DataFolder::open(data_folder)?);
        let dynamodb = EmbeddedDynamoDb::open(Arc::clone(&folder), config.durability)?;
        let s3 = EmbeddedS3::open(folder, &config.loopback_credentials)?;
        Ok(Self {
            config,
            dynamodb,
            s3,
        })
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

    /// Give it to `aws_sdk_s3::config::Builder::http_client`. Requests must be signed with the
    /// loopback credentials, so that a link presigned by such a client works at [`Self::s3_router`].
    pub fn s3_http_client(&self) -> SharedHttpClient {
        self.s3.http_client()
    }

    /// Serves S3 over HTTP, for `AWS_ENDPOINT_URL_S3` of another process and for presigned links.
    pub fn s3_router(&self) -> Router {
        self.s3.router()
    }

    /// Both services at one endpoint, for `AWS_ENDPOINT_URL`: what names an operation in
    /// `x-amz-target` is for DynamoDB, all else for S3.
    pub fn aws_router(&self) -> Router {
        let (dynamodb, s3) = (self.dynamodb_router(), self.s3_router());
        Router::new().fallback(move |request: Request| {
            let service = if request.headers().contains_key("x-amz-target") {
                &dynamodb
            } else {
                &s3
            };
            service.clone().oneshot(request)
        })
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
