//! Bodies on their way into files, and what the index says of them afterwards.

use futures::{TryStreamExt as _, stream};
use s3s::checksum::ChecksumHasher;
use s3s::dto::StreamingBlob;
use s3s::{Body, S3Result, TrailingHeaders};

use super::blobs::{Blob, IncomingBlob};
use super::checksums::{Checksums, expect_md5};
use super::index::{self, Attributes, NewObject, StoredObject};
use super::preconditions::Preconditions;
use super::{ObjectStore, io_failed};

impl ObjectStore {
    pub(super) async fn find(&self, bucket: &str, key: &str) -> S3Result<StoredObject> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.indexed(move |connection| index::find(connection, &bucket, &key))
            .await
    }

    /// Writes a body beside everything and checks it against what was announced; a body that is
    /// refused leaves nothing.
    pub(super) async fn receive(
        &self,
        body: Option<StreamingBlob>,
        hasher: ChecksumHasher,
        announced: &Checksums,
        trailers: Option<TrailingHeaders>,
        content_md5: Option<&str>,
    ) -> S3Result<IncomingBlob> {
        let body = body.unwrap_or_else(|| StreamingBlob::from(Body::empty()));
        let incoming = self.blobs.write(boxed(body), hasher).await?;
        incoming.checksums.expect(announced)?;
        if let Some(trailers) = trailers.and_then(|trailers| trailers.take()) {
            incoming
                .checksums
                .expect(&Checksums::of_trailers(&trailers))?;
        }
        expect_md5(content_md5, &incoming.md5)?;
        Ok(incoming)
    }

    pub(super) async fn keep(
        &self,
        bucket: String,
        key: String,
        incoming: IncomingBlob,
        attributes: Attributes,
        preconditions: Preconditions,
    ) -> S3Result<StoredObject> {
        let etag = hex::encode(&incoming.md5);
        let blob = self.blobs.place(incoming).await?;
        let name = blob.name.clone();
        let object = NewObject {
            blobs: vec![blob],
            etag,
            attributes,
        };
        let stored = self
            .indexed(move |connection| {
                index::store(connection, &bucket, &key, &object, &preconditions)
            })
            .await;
        self.after_indexing(stored, vec![name]).await
    }

    pub(super) async fn forget(
        &self,
        bucket: String,
        keys: Vec<String>,
        preconditions: Preconditions,
    ) -> S3Result<()> {
        let removed = self
            .indexed(move |connection| index::remove(connection, &bucket, &keys, &preconditions))
            .await;
        self.after_indexing(removed.map(|unnamed| ((), unnamed)), Vec::new())
            .await
    }

    /// Deletes the files that the index no longer names; or, when it refused, the new ones.
    pub(super) async fn after_indexing<T>(
        &self,
        indexed: S3Result<(T, Vec<String>)>,
        placed: Vec<String>,
    ) -> S3Result<T> {
        match indexed {
            Ok((value, unnamed)) => {
                self.blobs.remove(unnamed).await;
                Ok(value)
            }
            Err(error) => {
                self.blobs.remove(placed).await;
                Err(error)
            }
        }
    }

    pub(super) async fn hash(
        &self,
        blobs: &[Blob],
        mut hasher: ChecksumHasher,
    ) -> S3Result<Checksums> {
        let size = blobs.iter().map(|blob| blob.size).sum();
        let body = self.blobs.read(blobs, 0..size).await.map_err(io_failed)?;
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = body.try_next().await.map_err(io_failed)? {
            hasher.update(&bytes);
        }
        Ok(hasher.into())
    }
}

pub(super) fn boxed(
    body: StreamingBlob,
) -> stream::BoxStream<'static, Result<bytes::Bytes, s3s::StdError>> {
    Box::pin(body)
}
