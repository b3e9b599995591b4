//! The index: which object is which files. Every function here is one transaction.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Row, params};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::blobs::Blob;
use super::checksums::Checksums;
use super::index_failed;
use super::preconditions::Preconditions;

/// What an object carries besides its bytes.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) checksums: Checksums,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub(super) checksum_type: Option<String>,
    /// Of a multipart upload in progress.
    pub(super) checksum_algorithm: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct StoredObject {
    pub(super) blobs: Vec<Blob>,
    pub(super) size: u64,
    pub(super) etag: String,
    /// Seconds since the epoch.
    pub(super) modified_at: i64,
    pub(super) attributes: Attributes,
}

/// An object before the index gave it its time.
pub(super) struct NewObject {
    pub(super) blobs: Vec<Blob>,
    pub(super) etag: String,
    pub(super) attributes: Attributes,
}

/// Times are the database's own clock, as S3 stamps its objects itself.
pub(super) fn create_schema(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created_at INTEGER NOT NULL) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS objects (
             bucket TEXT NOT NULL,
             key TEXT NOT NULL,
             blobs TEXT NOT NULL,
             size INTEGER NOT NULL,
             etag TEXT NOT NULL,
             modified_at INTEGER NOT NULL,
             attributes TEXT NOT NULL,
             PRIMARY KEY (bucket, key)
         ) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS uploads (
             id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, attributes TEXT NOT NULL
         ) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS parts (
             upload TEXT NOT NULL,
             number INTEGER NOT NULL,
             blob TEXT NOT NULL,
             size INTEGER NOT NULL,
             etag TEXT NOT NULL,
             modified_at INTEGER NOT NULL,
             checksums TEXT NOT NULL,
             PRIMARY KEY (upload, number)
         ) WITHOUT ROWID;",
    )
}

/// Every file that an object or a part is in.
pub(super) fn blob_names(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare(
        "SELECT json_extract(blob.value, '$.name') FROM objects, json_each(objects.blobs) AS blob
         UNION ALL SELECT blob FROM parts",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

pub(super) fn create_bucket(connection: &Connection, bucket: &str) -> S3Result<()> {
    let created = connection
        .execute(
            "INSERT OR IGNORE INTO buckets VALUES (?1, unixepoch())",
            [bucket],
        )
        .map_err(index_failed)?;
    if created == 0 {
        Err(s3_error!(BucketAlreadyOwnedByYou))
    } else {
        Ok(())
    }
}

/// Names and times of creation, in order of name.
pub(super) fn buckets(connection: &Connection) -> S3Result<Vec<(String, i64)>> {
    let read = || {
        let mut statement =
            connection.prepare_cached("SELECT name, created_at FROM buckets ORDER BY name")?;
        statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()
    };
    read().map_err(index_failed)
}

pub(super) fn expect_bucket(connection: &Connection, bucket: &str) -> S3Result<()> {
    let found = connection
        .prepare_cached("SELECT 1 FROM buckets WHERE name = ?1")
        .and_then(|mut statement| statement.exists([bucket]))
        .map_err(index_failed)?;
    if found {
        Ok(())
    } else {
        Err(s3_error!(
            NoSuchBucket,
            "The bucket {bucket} does not exist: create it first."
        ))
    }
}

pub(super) fn find(connection: &Connection, bucket: &str, key: &str) -> S3Result<StoredObject> {
    if let Some(object) = find_optional(connection, bucket, key)? {
        return Ok(object);
    }
    expect_bucket(connection, bucket)?;
    Err(s3_error!(NoSuchKey))
}

fn find_optional(
    connection: &Connection,
    bucket: &str,
    key: &str,
) -> S3Result<Option<StoredObject>> {
    connection
        .prepare_cached("SELECT blobs, size, etag, modified_at, attributes FROM objects WHERE bucket = ?1 AND key = ?2")
        .and_then(|mut statement| statement.query_row([bucket, key], read_object).optional())
        .map_err(index_failed)
}

fn read_object(row: &Row<'_>) -> rusqlite::Result<StoredObject> {
    Ok(StoredObject {
        blobs: json(row, 0)?,
        size: row.get(1)?,
        etag: row.get(2)?,
        modified_at: row.get(3)?,
        attributes: json(row, 4)?,
    })
}

pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

pub(super) fn to_json<T: Serialize>(value: &T) -> S3Result<String> {
    serde_json::to_string(value).map_err(s3s::S3Error::internal_error)
}

/// Names the object, if what is there now allows it, and says which files nobody names any more.
pub(super) fn store(
    connection: &mut Connection,
    bucket: &str,
    key: &str,
    object: &NewObject,
    preconditions: &Preconditions,
) -> S3Result<(StoredObject, Vec<String>)> {
    let transaction = connection.transaction().map_err(index_failed)?;
    let stored = store_in(&transaction, bucket, key, object, preconditions)?;
    transaction.commit().map_err(index_failed)?;
    Ok(stored)
}

/// [`store`] within a transaction of the caller.
pub(super) fn store_in(
    transaction: &Connection,
    bucket: &str,
    key: &str,
    object: &NewObject,
    preconditions: &Preconditions,
) -> S3Result<(StoredObject, Vec<String>)> {
    expect_bucket(transaction, bucket)?;
    let replaced = find_optional(transaction, bucket, key)?;
    preconditions.check_write(replaced.as_ref())?;
    let size: u64 = object.blobs.iter().map(|blob| blob.size).sum();
    let modified_at = transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5, unixepoch(), ?6) RETURNING modified_at",
        )
        .and_then(|mut statement| {
            let (blobs, attributes) = (serde_json::to_string(&object.blobs), serde_json::to_string(&object.attributes));
            let as_sql = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
            let (blobs, attributes) = (blobs.map_err(as_sql)?, attributes.map_err(as_sql)?);
            statement.query_row(params![bucket, key, blobs, size, object.etag, attributes], |row| row.get(0))
        })
        .map_err(index_failed)?;
    let stored = StoredObject {
        blobs: object.blobs.clone(),
        size,
        etag: object.etag.clone(),
        modified_at,
        attributes: object.attributes.clone(),
    };
    Ok((stored, replaced.map(names).unwrap_or_default()))
}

/// Forgets objects; what was not there counts as deleted. Says which files nobody names any more.
pub(super) fn remove(
    connection: &mut Connection,
    bucket: &str,
    keys: &[String],
    preconditions: &Preconditions,
) -> S3Result<Vec<String>> {
    let transaction = connection.transaction().map_err(index_failed)?;
    expect_bucket(&transaction, bucket)?;
    let mut unnamed = Vec::new();
    for key in keys {
        let found = find_optional(&transaction, bucket, key)?;
        preconditions.check_write(found.as_ref())?;
        unnamed.extend(found.map(names).unwrap_or_default());
        transaction
            .prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")
            .and_then(|mut statement| statement.execute([bucket, key]))
            .map_err(index_failed)?;
    }
    transaction.commit().map_err(index_failed)?;
    Ok(unnamed)
}

fn names(object: StoredObject) -> Vec<String> {
    object.blobs.into_iter().map(|blob| blob.name).collect()
}
