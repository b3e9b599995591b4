//! Multipart uploads: parts are files of their own, and the completed object names them in order.

use rusqlite::{Connection, OptionalExtension, params};
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::CompletedPart;
use s3s::{S3Result, s3_error};

use super::blobs::Blob;
use super::checksums::{Checksums, read_checksums};
use super::index::{self, Attributes, NewObject, StoredObject};
use super::index_failed;
use super::preconditions::Preconditions;

/// S3's own limit of all parts but the last, in bytes.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

pub(super) struct StoredPart {
    pub(super) number: i32,
    pub(super) blob: Blob,
    pub(super) etag: String,
    pub(super) modified_at: i64,
    pub(super) checksums: Checksums,
}

/// The upload that a request is about.
#[derive(Clone)]
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) bucket: String,
    pub(super) key: String,
}

pub(super) fn create(
    connection: &Connection,
    upload: &Upload,
    attributes: &Attributes,
) -> S3Result<()> {
    index::expect_bucket(connection, &upload.bucket)?;
    connection
        .execute(
            "INSERT INTO uploads VALUES (?1, ?2, ?3, ?4)",
            params![
                upload.id,
                upload.bucket,
                upload.key,
                index::to_json(attributes)?
            ],
        )
        .map(|_| ())
        .map_err(index_failed)
}

/// What the object will carry.
pub(super) fn attributes(connection: &Connection, upload: &Upload) -> S3Result<Attributes> {
    index::expect_bucket(connection, &upload.bucket)?;
    connection
        .query_row(
            "SELECT attributes FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3",
            [&upload.id, &upload.bucket, &upload.key],
            |row| index::json(row, 0),
        )
        .optional()
        .map_err(index_failed)?
        .ok_or_else(|| {
            s3_error!(
                NoSuchUpload,
                "The upload is not in progress: it was completed or aborted, or never began."
            )
        })
}

/// Keeps the part, and says which file of an earlier try nobody names any more.
pub(super) fn put_part(
    connection: &mut Connection,
    upload: &Upload,
    part: &StoredPart,
) -> S3Result<Vec<String>> {
    let transaction = connection.transaction().map_err(index_failed)?;
    attributes(&transaction, upload)?;
    let replaced: Option<String> = transaction
        .query_row(
            "SELECT blob FROM parts WHERE upload = ?1 AND number = ?2",
            params![upload.id, part.number],
            |row| row.get(0),
        )
        .optional()
        .map_err(index_failed)?;
    transaction
        .execute(
            "INSERT OR REPLACE INTO parts VALUES (?1, ?2, ?3, ?4, ?5, unixepoch(), ?6)",
            params![
                upload.id,
                part.number,
                part.blob.name,
                part.blob.size,
                part.etag,
                index::to_json(&part.checksums)?
            ],
        )
        .map_err(index_failed)?;
    transaction.commit().map_err(index_failed)?;
    Ok(replaced.into_iter().collect())
}

/// In order of number.
pub(super) fn parts(connection: &Connection, upload: &Upload) -> S3Result<Vec<StoredPart>> {
    attributes(connection, upload)?;
    let read = || {
        let mut statement = connection.prepare_cached(
            "SELECT number, blob, size, etag, modified_at, checksums FROM parts WHERE upload = ?1 ORDER BY number",
        )?;
        statement
            .query_map([&upload.id], |row| {
                Ok(StoredPart {
                    number: row.get(0)?,
                    blob: Blob {
                        name: row.get(1)?,
                        size: row.get(2)?,
                    },
                    etag: row.get(3)?,
                    modified_at: row.get(4)?,
                    checksums: index::json(row, 5)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()
    };
    read().map_err(index_failed)
}

/// The parts that the request lists, checked as S3 checks them.
pub(super) fn chosen(
    stored: Vec<StoredPart>,
    listed: &[CompletedPart],
) -> S3Result<Vec<StoredPart>> {
    if listed.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "You must specify at least one part"
        ));
    }
    if !listed.is_sorted_by(|one, next| one.part_number < next.part_number) {
        return Err(s3_error!(InvalidPartOrder));
    }
    let mut stored = stored.into_iter();
    let mut chosen = Vec::with_capacity(listed.len());
    for part in listed {
        let found = stored
            .find(|stored| Some(stored.number) == part.part_number)
            .filter(|stored| {
                part.e_tag
                    .as_ref()
                    .is_none_or(|etag| etag.value() == stored.etag)
            })
            .ok_or_else(|| {
                s3_error!(
                    InvalidPart,
                    "Part {} was not uploaded, or has another ETag.",
                    part.part_number.unwrap_or(0)
                )
            })?;
        found
            .checksums
            .expect_as_far_as_known(&read_checksums!(part))?;
        chosen.push(found);
    }
    if let Some(small) = chosen
        .iter()
        .rev()
        .skip(1)
        .find(|part| part.blob.size < SMALLEST_PART)
    {
        return Err(s3_error!(
            EntityTooSmall,
            "Part {} has {} bytes; all parts but the last need {SMALLEST_PART}.",
            small.number,
            small.blob.size
        ));
    }
    Ok(chosen)
}

/// The `ETag` of such an object: the MD5 of the parts' MD5s, and their number.
pub(super) fn etag(parts: &[StoredPart]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&hex::decode(&part.etag).unwrap_or_default());
    }
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

/// Names the object, forgets the upload, and says which files nobody names any more.
pub(super) fn complete(
    connection: &mut Connection,
    upload: &Upload,
    object: &NewObject,
    preconditions: &Preconditions,
) -> S3Result<(StoredObject, Vec<String>)> {
    let transaction = connection.transaction().map_err(index_failed)?;
    let all = parts(&transaction, upload)?;
    let (stored, mut unnamed) = index::store_in(
        &transaction,
        &upload.bucket,
        &upload.key,
        object,
        preconditions,
    )?;
    unnamed.extend(
        all.into_iter()
            .map(|part| part.blob)
            .filter(|blob| !object.blobs.contains(blob))
            .map(|blob| blob.name),
    );
    forget(&transaction, upload)?;
    transaction.commit().map_err(index_failed)?;
    Ok((stored, unnamed))
}

pub(super) fn abort(connection: &mut Connection, upload: &Upload) -> S3Result<Vec<String>> {
    let transaction = connection.transaction().map_err(index_failed)?;
    let unnamed = parts(&transaction, upload)?
        .into_iter()
        .map(|part| part.blob.name)
        .collect();
    forget(&transaction, upload)?;
    transaction.commit().map_err(index_failed)?;
    Ok(unnamed)
}

fn forget(transaction: &Connection, upload: &Upload) -> S3Result<()> {
    transaction
        .execute("DELETE FROM parts WHERE upload = ?1", [&upload.id])
        .and_then(|_| transaction.execute("DELETE FROM uploads WHERE id = ?1", [&upload.id]))
        .map(|_| ())
        .map_err(index_failed)
}
