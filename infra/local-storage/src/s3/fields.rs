//! Fields that several requests or answers share: s3s has a type for each operation.

use std::time::{Duration, UNIX_EPOCH};

use s3s::dto::Timestamp;
use s3s::{S3Error, S3Result};

/// What S3 says of an object that was stored without a type.
pub(super) const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

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

pub(super) use {describe_object, read_attributes, read_preconditions};

pub(super) fn length(bytes: u64) -> S3Result<i64> {
    i64::try_from(bytes).map_err(S3Error::internal_error)
}

pub(super) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}
