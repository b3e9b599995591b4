//! The operations of S3, each from its request to the index and the files.

use std::time::{Duration, UNIX_EPOCH};

use futures::stream;
use s3s::checksum::ChecksumHasher;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, ChecksumAlgorithm, ChecksumMode,
    ChecksumType, CommonPrefix, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, CreateBucketInput,
    CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput,
    DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, EncodingType,
    GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
    HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, MetadataDirective, Object, Part, PutObjectInput,
    PutObjectOutput, StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
};
use s3s::{Body, S3, S3Error, S3Request, S3Response, S3Result, TrailingHeaders, s3_error};

use super::blobs::IncomingBlob;
use super::checksums::{
    Checksums, expect_md5, hasher_for, hasher_like, read_checksums, write_checksums,
};
use super::index::{self, Attributes, NewObject, StoredObject};
use super::listing::{Listing, url_encoded};
use super::multipart::{self, StoredPart, Upload};
use super::preconditions::Preconditions;
use super::{ObjectStore, io_failed};

/// The highest number of a part.
const LAST_PART: i32 = 10_000;

/// What S3 says of an object that was stored without a type.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

macro_rules! read_attributes {
    ($input:expr) => {
        Attributes {
            cache_control: $input.cache_control.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: $input.content_encoding.clone(),
            content_language: $input.content_language.clone(),
            content_type: $input.content_type.clone(),
            metadata: $input
                .metadata
                .clone()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            ..Attributes::default()
        }
    };
}

macro_rules! describe_object {
    ($output:expr, $object:expr) => {{
        let object = &$object;
        let attributes = object.attributes.clone();
        $output.accept_ranges = Some("bytes".to_owned());
        $output.cache_control = attributes.cache_control;
        $output.content_disposition = attributes.content_disposition;
        $output.content_encoding = attributes.content_encoding;
        $output.content_language = attributes.content_language;
        $output.content_type = Some(
            attributes
                .content_type
                .unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned()),
        );
        $output.e_tag = Some(ETag::Strong(object.etag.clone()));
        $output.last_modified = Some(timestamp(object.modified_at));
        $output.metadata = Some(attributes.metadata.into_iter().collect());
    }};
}

macro_rules! read_preconditions {
    ($input:expr) => {
        Preconditions {
            if_match: $input.if_match.clone(),
            if_none_match: $input.if_none_match.clone(),
            if_modified_since: $input.if_modified_since.clone(),
            if_unmodified_since: $input.if_unmodified_since.clone(),
        }
    };
}

#[async_trait::async_trait]
impl S3 for ObjectStore {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket;
        let location = Some(format!("/{bucket}"));
        self.indexed(move |connection| index::create_bucket(connection, &bucket))
            .await?;
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let bucket = request.input.bucket;
        self.indexed(move |connection| index::expect_bucket(connection, &bucket))
            .await?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self
            .indexed(|connection| index::buckets(connection))
            .await?;
        let describe = |(name, created_at)| Bucket {
            name: Some(name),
            creation_date: Some(timestamp(created_at)),
            ..Bucket::default()
        };
        let buckets = Some(buckets.into_iter().map(describe).collect());
        Ok(S3Response::new(ListBucketsOutput {
            buckets,
            ..ListBucketsOutput::default()
        }))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let S3Request {
            mut input,
            headers,
            trailing_headers,
            ..
        } = request;
        let announced = read_checksums!(input);
        let hasher = hasher_for(&announced, input.checksum_algorithm.as_ref(), &headers);
        let incoming = self
            .receive(
                input.body.take(),
                hasher,
                &announced,
                trailing_headers,
                input.content_md5.as_deref(),
            )
            .await?;
        let mut attributes = read_attributes!(input);
        attributes.checksums = incoming.checksums.clone();
        let preconditions = Preconditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            ..Preconditions::default()
        };
        let stored = self
            .keep(input.bucket, input.key, incoming, attributes, preconditions)
            .await?;
        let mut output = PutObjectOutput {
            e_tag: Some(ETag::Strong(stored.etag)),
            ..PutObjectOutput::default()
        };
        write_checksums!(output, stored.attributes.checksums);
        Ok(S3Response::new(output))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let preconditions = read_preconditions!(input);
        // An overwrite may remove the file between the index and the file: then the index knows
        // the new one.
        let mut tries_left = 3;
        let (object, range, body) = loop {
            let object = self.find(&input.bucket, &input.key).await?;
            preconditions.check_read(&object)?;
            let range = match &input.range {
                Some(range) => range.check(object.size)?,
                None => 0..object.size,
            };
            match self.blobs.read(&object.blobs, range.clone()).await {
                Ok(body) => break (object, range, body),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && tries_left > 0 => {
                    tries_left -= 1;
                }
                Err(error) => return Err(io_failed(error)),
            }
        };
        let mut output = GetObjectOutput {
            body: Some(StreamingBlob::wrap(body)),
            content_length: Some(length(range.end - range.start)?),
            ..GetObjectOutput::default()
        };
        describe_object!(output, object);
        if input.range.is_some() {
            output.content_range = Some(format!(
                "bytes {}-{}/{}",
                range.start,
                range.end.saturating_sub(1),
                object.size
            ));
        } else if checksums_wanted(input.checksum_mode.as_ref()) {
            write_checksums!(output, object.attributes.checksums);
            output.checksum_type = object.attributes.checksum_type.map(ChecksumType::from);
        }
        Ok(S3Response::new(output))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.find(&input.bucket, &input.key).await?;
        read_preconditions!(input).check_read(&object)?;
        let mut output = HeadObjectOutput {
            content_length: Some(length(object.size)?),
            ..HeadObjectOutput::default()
        };
        describe_object!(output, object);
        if checksums_wanted(input.checksum_mode.as_ref()) {
            write_checksums!(output, object.attributes.checksums);
            output.checksum_type = object.attributes.checksum_type.map(ChecksumType::from);
        }
        Ok(S3Response::new(output))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let preconditions = Preconditions {
            if_match: input.if_match,
            ..Preconditions::default()
        };
        self.forget(input.bucket, vec![input.key], preconditions)
            .await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let keys: Vec<String> = input
            .delete
            .objects
            .into_iter()
            .map(|object| object.key)
            .collect();
        self.forget(input.bucket, keys.clone(), Preconditions::default())
            .await?;
        let deleted = match input.delete.quiet {
            Some(true) => Vec::new(),
            _ => keys
                .into_iter()
                .map(|key| DeletedObject {
                    key: Some(key),
                    ..DeletedObject::default()
                })
                .collect(),
        };
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            ..DeleteObjectsOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let listing = Listing {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            start_after: input.start_after.clone(),
            token: input.continuation_token.clone(),
            max_keys: input
                .max_keys
                .map_or(Ok(1_000), usize::try_from)
                .map_err(|_| s3_error!(InvalidArgument))?,
        };
        let page = self
            .indexed(move |connection| listing.read(connection))
            .await?;
        let encode = |text: String| match &input.encoding_type {
            Some(encoding) if encoding.as_str() == EncodingType::URL => url_encoded(&text),
            _ => text,
        };
        let key_count = page.objects.len() + page.common_prefixes.len();
        let contents = page.objects.into_iter().map(|object| {
            Ok(Object {
                key: Some(encode(object.key)),
                size: Some(length(object.size)?),
                e_tag: Some(ETag::Strong(object.etag)),
                last_modified: Some(timestamp(object.modified_at)),
                ..Object::default()
            })
        });
        let contents = contents.collect::<S3Result<_>>()?;
        let common_prefixes = page.common_prefixes.into_iter().map(|prefix| CommonPrefix {
            prefix: Some(encode(prefix)),
        });
        let output = ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix.map(encode),
            delimiter: input.delimiter.map(encode),
            start_after: input.start_after.map(encode),
            max_keys: Some(input.max_keys.unwrap_or(1_000)),
            key_count: i32::try_from(key_count).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.next_token.is_some()),
            next_continuation_token: page.next_token,
            contents: Some(contents),
            common_prefixes: Some(common_prefixes.collect()),
            encoding_type: input.encoding_type.clone(),
            ..ListObjectsV2Output::default()
        };
        Ok(S3Response::new(output))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(
                NotImplemented,
                "copy from a bucket and key: access points do not exist here"
            ));
        };
        let replaces = input
            .metadata_directive
            .as_ref()
            .is_some_and(|name| name.as_str() == MetadataDirective::REPLACE);
        if **bucket == *input.bucket && **key == *input.key && !replaces {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing its metadata."
            ));
        }
        let source = self.find(bucket, key).await?;
        let preconditions = Preconditions {
            if_match: input.copy_source_if_match.clone(),
            if_none_match: input.copy_source_if_none_match.clone(),
            if_modified_since: input.copy_source_if_modified_since.clone(),
            if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
        };
        // A copy answers 412 where a read answers 304.
        preconditions
            .check_read(&source)
            .map_err(|_| s3_error!(PreconditionFailed))?;
        let body = self
            .blobs
            .read(&source.blobs, 0..source.size)
            .await
            .map_err(io_failed)?;
        let incoming = self
            .blobs
            .write(
                boxed(StreamingBlob::wrap(body)),
                hasher_like(&source.attributes.checksums),
            )
            .await?;
        let mut attributes = if replaces {
            read_attributes!(input)
        } else {
            source.attributes
        };
        attributes.checksums = incoming.checksums.clone();
        attributes.checksum_type = None;
        let stored = self
            .keep(
                input.bucket,
                input.key,
                incoming,
                attributes,
                Preconditions::default(),
            )
            .await?;
        let mut result = CopyObjectResult {
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(timestamp(stored.modified_at)),
            ..CopyObjectResult::default()
        };
        write_checksums!(result, stored.attributes.checksums);
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..CopyObjectOutput::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let mut attributes = read_attributes!(input);
        attributes.checksum_type = input
            .checksum_type
            .as_ref()
            .map(|name| name.as_str().to_owned());
        attributes.checksum_algorithm = input
            .checksum_algorithm
            .as_ref()
            .map(|name| name.as_str().to_owned());
        let id = uuid::Uuid::new_v4().simple().to_string();
        let upload = Upload {
            id: id.clone(),
            bucket: input.bucket.clone(),
            key: input.key.clone(),
        };
        self.indexed(move |connection| multipart::create(connection, &upload, &attributes))
            .await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let S3Request {
            mut input,
            headers,
            trailing_headers,
            ..
        } = request;
        if !(1..=LAST_PART).contains(&input.part_number) {
            return Err(s3_error!(
                InvalidArgument,
                "Part number must be an integer between 1 and {LAST_PART}, inclusive"
            ));
        }
        let announced = read_checksums!(input);
        let upload = Upload {
            id: input.upload_id,
            bucket: input.bucket,
            key: input.key,
        };
        let checked = upload.clone();
        let wanted = self
            .indexed(move |connection| multipart::attributes(connection, &checked))
            .await?;
        let algorithm = input
            .checksum_algorithm
            .or_else(|| wanted.checksum_algorithm.map(ChecksumAlgorithm::from));
        let hasher = hasher_for(&announced, algorithm.as_ref(), &headers);
        let incoming = self
            .receive(
                input.body.take(),
                hasher,
                &announced,
                trailing_headers,
                input.content_md5.as_deref(),
            )
            .await?;
        let (etag, checksums) = (hex::encode(&incoming.md5), incoming.checksums.clone());
        let mut output = UploadPartOutput {
            e_tag: Some(ETag::Strong(etag.clone())),
            ..UploadPartOutput::default()
        };
        write_checksums!(output, checksums);
        let blob = self.blobs.place(incoming).await?;
        let part = StoredPart {
            number: input.part_number,
            blob: blob.clone(),
            etag,
            modified_at: 0,
            checksums,
        };
        let put = self
            .indexed(move |connection| multipart::put_part(connection, &upload, &part))
            .await;
        self.after_indexing(put.map(|unnamed| ((), unnamed)), vec![blob.name])
            .await?;
        Ok(S3Response::new(output))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let announced = read_checksums!(input);
        let upload = Upload {
            id: input.upload_id,
            bucket: input.bucket.clone(),
            key: input.key.clone(),
        };
        let listed = input
            .multipart_upload
            .and_then(|upload| upload.parts)
            .unwrap_or_default();
        let read = upload.clone();
        let (mut attributes, parts) = self
            .indexed(move |connection| {
                let parts = multipart::chosen(multipart::parts(connection, &read)?, &listed)?;
                Ok((multipart::attributes(connection, &read)?, parts))
            })
            .await?;
        let etag = multipart::etag(&parts);
        let part_checksums: Vec<Checksums> =
            parts.iter().map(|part| part.checksums.clone()).collect();
        let blobs: Vec<_> = parts.into_iter().map(|part| part.blob).collect();
        let whole = attributes.checksum_type.as_deref() == Some(ChecksumType::FULL_OBJECT);
        attributes.checksums = if whole {
            let algorithm = attributes
                .checksum_algorithm
                .clone()
                .map(ChecksumAlgorithm::from);
            self.hash(
                &blobs,
                hasher_for(&announced, algorithm.as_ref(), &http::HeaderMap::new()),
            )
            .await?
        } else {
            attributes.checksum_type = Some(ChecksumType::COMPOSITE.to_owned());
            Checksums::composite(&part_checksums)
        };
        attributes.checksums.expect_as_far_as_known(&announced)?;
        let preconditions = Preconditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            ..Preconditions::default()
        };
        let object = NewObject {
            blobs,
            etag,
            attributes,
        };
        let completed = self
            .indexed(move |connection| {
                multipart::complete(connection, &upload, &object, &preconditions)
            })
            .await;
        // Refused, the parts stay: the upload is still in progress.
        let stored = self.after_indexing(completed, Vec::new()).await?;
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(stored.etag)),
            checksum_type: stored.attributes.checksum_type.map(ChecksumType::from),
            ..CompleteMultipartUploadOutput::default()
        };
        write_checksums!(output, stored.attributes.checksums);
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let upload = Upload {
            id: input.upload_id,
            bucket: input.bucket,
            key: input.key,
        };
        let aborted = self
            .indexed(move |connection| multipart::abort(connection, &upload))
            .await;
        self.after_indexing(aborted.map(|unnamed| ((), unnamed)), Vec::new())
            .await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let upload = Upload {
            id: input.upload_id.clone(),
            bucket: input.bucket.clone(),
            key: input.key.clone(),
        };
        let parts = self
            .indexed(move |connection| multipart::parts(connection, &upload))
            .await?;
        let limit = input.max_parts.unwrap_or(1_000).clamp(0, 1_000);
        let after = input.part_number_marker.unwrap_or(0);
        let mut left = parts
            .into_iter()
            .filter(|part| part.number > after)
            .peekable();
        let mut page = Vec::new();
        while page.len() < usize::try_from(limit).unwrap_or(0)
            && let Some(stored) = left.next()
        {
            let mut part = Part {
                part_number: Some(stored.number),
                e_tag: Some(ETag::Strong(stored.etag)),
                size: Some(length(stored.blob.size)?),
                last_modified: Some(timestamp(stored.modified_at)),
                ..Part::default()
            };
            write_checksums!(part, stored.checksums);
            page.push(part);
        }
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: Some(after),
            max_parts: Some(limit),
            is_truncated: Some(left.peek().is_some()),
            next_part_number_marker: page.last().and_then(|part| part.part_number),
            parts: Some(page),
            ..ListPartsOutput::default()
        }))
    }
}

impl ObjectStore {
    async fn find(&self, bucket: &str, key: &str) -> S3Result<StoredObject> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.indexed(move |connection| index::find(connection, &bucket, &key))
            .await
    }

    /// Writes a body beside everything and checks it against what was announced; a body that is
    /// refused leaves nothing.
    async fn receive(
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

    async fn keep(
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

    async fn forget(
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
    async fn after_indexing<T>(
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

    async fn hash(
        &self,
        blobs: &[super::blobs::Blob],
        mut hasher: ChecksumHasher,
    ) -> S3Result<Checksums> {
        use futures::TryStreamExt;
        let size = blobs.iter().map(|blob| blob.size).sum();
        let body = self.blobs.read(blobs, 0..size).await.map_err(io_failed)?;
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = body.try_next().await.map_err(io_failed)? {
            hasher.update(&bytes);
        }
        Ok(hasher.into())
    }
}

fn boxed(body: StreamingBlob) -> stream::BoxStream<'static, Result<bytes::Bytes, s3s::StdError>> {
    Box::pin(body)
}

fn checksums_wanted(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

fn length(bytes: u64) -> S3Result<i64> {
    i64::try_from(bytes).map_err(S3Error::internal_error)
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}
