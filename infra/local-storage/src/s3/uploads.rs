//! The operations of uploads in parts.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, ListPartsInput, ListPartsOutput, Part, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::ObjectStore;
use super::checksums::{Checksums, hasher_for, read_checksums, write_checksums};
use super::fields::{length, read_attributes, timestamp};
use super::index::{Attributes, NewObject};
use super::multipart::{self, StoredPart, Upload};
use super::preconditions::Preconditions;

/// The highest number of a part.
const LAST_PART: i32 = 10_000;

impl ObjectStore {
    pub(super) async fn begin_upload(
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

    pub(super) async fn take_part(
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

    pub(super) async fn complete_upload(
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

    pub(super) async fn abort_upload(
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

    pub(super) async fn parts_of_upload(
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
