//! The files that hold the bodies.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::checksums::Checksums;
use super::io_failed;
use crate::LocalStorageError;

const READ_BYTES: usize = 256 * 1024;

/// One file of an object; an object of a multipart upload has one for each part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Blob {
    pub(super) name: String,
    pub(super) size: u64,
}

pub(super) struct Blobs {
    placed: PathBuf,
    incoming: PathBuf,
    /// Begins the name of every file of this process, so that the sweep tells what is on its way
    /// from what a crash left behind.
    session: String,
    count: AtomicU64,
}

/// A synced file that is not in its place yet; dropped, it is gone.
pub(super) struct IncomingBlob {
    blob: Blob,
    path: PathBuf,
    pub(super) md5: Vec<u8>,
    pub(super) checksums: Checksums,
}

impl Drop for IncomingBlob {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Blobs {
    pub(super) fn open(root: &Path) -> Result<Self, LocalStorageError> {
        let (placed, incoming) = (root.join("blobs"), root.join("incoming"));
        for folder in [&placed, &incoming] {
            fs::create_dir_all(folder)
                .map_err(|source| LocalStorageError::file("create the folder", folder, source))?;
        }
        Ok(Self {
            placed,
            incoming,
            session: uuid::Uuid::new_v4().simple().to_string(),
            count: AtomicU64::new(0),
        })
    }

    /// Writes a body to a file of its own and syncs it, hashing on the way.
    pub(super) async fn write(
        &self,
        body: impl Stream<Item = Result<Bytes, s3s::StdError>> + Send + Unpin,
        mut hasher: ChecksumHasher,
    ) -> S3Result<IncomingBlob> {
        let name = format!(
            "{}-{:08x}",
            self.session,
            self.count.fetch_add(1, Ordering::Relaxed)
        );
        let path = self.incoming.join(&name);
        let mut file = File::create(&path).await.map_err(io_failed)?;
        let mut incoming = IncomingBlob {
            blob: Blob { name, size: 0 },
            path,
            md5: Vec::new(),
            checksums: Checksums::default(),
        };
        let mut md5 = Md5::new();
        let mut body = body;
        while let Some(bytes) = body.try_next().await.map_err(refused_body)? {
            md5.update(&bytes);
            hasher.update(&bytes);
            incoming.blob.size += bytes.len() as u64;
            file.write_all(&bytes).await.map_err(io_failed)?;
        }
        file.flush().await.map_err(io_failed)?;
        file.sync_all().await.map_err(io_failed)?;
        incoming.md5 = md5.finalize().to_vec();
        incoming.checksums = hasher.into();
        Ok(incoming)
    }

    /// Moves the file to where the index may name it, and syncs the folder.
    pub(super) async fn place(&self, incoming: IncomingBlob) -> S3Result<Blob> {
        let target = self.path(&incoming.blob.name);
        blocking(move || {
            let folder = target.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            fs::rename(&incoming.path, &target)?;
            fs::File::open(folder)?.sync_all()?;
            Ok(incoming.blob.clone())
        })
        .await
    }

    /// Deletes files that the index no longer names. One that stays is swept at the next start.
    pub(super) async fn remove(&self, names: Vec<String>) {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        let removed = blocking(move || {
            for path in paths {
                fs::remove_file(path)?;
            }
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, "a replaced object's file stays until the next start");
        }
    }

    /// The bytes of `range` of an object. The first file is open when this returns.
    pub(super) async fn read(
        &self,
        blobs: &[Blob],
        range: Range<u64>,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static + use<>> {
        let mut segments = VecDeque::new();
        let mut start = 0;
        for blob in blobs {
            let end = start + blob.size;
            let wanted = range.start.max(start)..range.end.min(end);
            if wanted.start < wanted.end {
                segments.push_back(Segment {
                    path: self.path(&blob.name),
                    skip: wanted.start - start,
                    bytes: wanted.end - wanted.start,
                });
            }
            start = end;
        }
        let first = match segments.pop_front() {
            Some(segment) => Some(segment.open().await?),
            None => None,
        };
        Ok(futures::stream::try_unfold(
            (first, segments),
            async |(mut open, mut segments)| {
                loop {
                    match open {
                        None => return Ok(None),
                        Some((_, 0)) => {
                            open = match segments.pop_front() {
                                Some(segment) => Some(segment.open().await?),
                                None => None,
                            };
                        }
                        Some((mut file, left)) => {
                            let want = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
                            let mut bytes = vec![0; want];
                            file.read_exact(&mut bytes).await?;
                            let left = left - want as u64;
                            return Ok(Some((Bytes::from(bytes), (Some((file, left)), segments))));
                        }
                    }
                }
            },
        ))
    }

    /// Deletes what earlier processes left: files in neither `named` nor this process's own.
    pub(super) fn sweep(&self, named: &HashSet<String>) -> io::Result<usize> {
        let mut swept = 0;
        let mut folders = vec![self.incoming.clone()];
        folders.extend(
            fs::read_dir(&self.placed)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()?,
        );
        for folder in folders {
            let is_incoming = folder == self.incoming;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if !name.starts_with(&self.session) && (is_incoming || !named.contains(&name)) {
                    fs::remove_file(entry.path())?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }

    /// 256 folders, by the count at the name's end.
    fn path(&self, name: &str) -> PathBuf {
        self.placed.join(&name[name.len() - 2..]).join(name)
    }
}

struct Segment {
    path: PathBuf,
    skip: u64,
    bytes: u64,
}

impl Segment {
    async fn open(self) -> io::Result<(File, u64)> {
        let mut file = File::open(&self.path).await?;
        if self.skip > 0 {
            file.seek(io::SeekFrom::Start(self.skip)).await?;
        }
        Ok((file, self.bytes))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> S3Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| io_failed(io::Error::other(error)))?
        .map_err(io_failed)
}

/// The body ended early, or is not what its signature or chunk signatures say.
fn refused_body(error: s3s::StdError) -> S3Error {
    let text = error.to_string();
    let code = if text.contains("Mismatch") {
        S3ErrorCode::BadDigest
    } else {
        S3ErrorCode::IncompleteBody
    };
    let mut refused = S3Error::with_message(
        code,
        format!("the body is not what the request announced: {text}"),
    );
    refused.set_source(error);
    refused
}
