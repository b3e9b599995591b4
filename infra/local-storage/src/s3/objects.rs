//! The operations of S3, each from its request to the index and the files.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, ChecksumMode, ChecksumType,
    CommonPrefix, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput,
    CopyObjectOutput, CopyObjectResult, CopySource, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, EncodingType, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListBucketsInput, ListBucketsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, MetadataDirective, Object, PutObjectInput, PutObjectOutput, StreamingBlob,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::checksums::{hasher_for, hasher_like, read_checksums, write_checksums};
use super::fields::{
    DEFAULT_CONTENT_TYPE, describe_object, length, read_attributes, read_preconditions, timestamp,
};
use super::index::{self, Attributes};
use super::keeping::boxed;
use super::listing::{Listing, url_encoded};
use super::preconditions::Preconditions;
use super::{ObjectStore, io_failed};

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
        self.begin_upload(request).await
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.take_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete_upload(request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort_upload(request).await
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        self.parts_of_upload(request).await
    }
}

fn checksums_wanted(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}
