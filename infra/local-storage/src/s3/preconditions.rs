//! Conditional requests.

use s3s::dto::{ETag, ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};

use super::index::StoredObject;

#[derive(Clone, Default)]
#[expect(clippy::struct_field_names, reason = "the names of the headers")]
pub(super) struct Preconditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl Preconditions {
    /// In the order of RFC 9110, section 13.2.2: an `ETag` condition outweighs a date.
    pub(super) fn check_read(&self, object: &StoredObject) -> S3Result<()> {
        let holds = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => matches(condition, object),
            (None, Some(date)) => object.modified_at <= seconds(date),
            (None, None) => true,
        };
        if !holds {
            return Err(s3_error!(PreconditionFailed));
        }
        let unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition, object),
            (None, Some(date)) => object.modified_at <= seconds(date),
            (None, None) => false,
        };
        if unchanged {
            Err(s3_error!(NotModified))
        } else {
            Ok(())
        }
    }

    /// `current` is what the write would replace.
    pub(super) fn check_write(&self, current: Option<&StoredObject>) -> S3Result<()> {
        match (&self.if_match, current) {
            (Some(_), None) => return Err(s3_error!(NoSuchKey)),
            (Some(condition), Some(object)) if !matches(condition, object) => {
                return Err(s3_error!(PreconditionFailed));
            }
            _ => {}
        }
        match (&self.if_none_match, current) {
            (Some(condition), Some(object)) if matches(condition, object) => {
                Err(s3_error!(PreconditionFailed))
            }
            _ => Ok(()),
        }
    }
}

fn matches(condition: &ETagCondition, object: &StoredObject) -> bool {
    condition.is_any() || condition.as_etag().map(ETag::value) == Some(object.etag.as_str())
}

fn seconds(date: &Timestamp) -> i64 {
    let mut text = Vec::new();
    let written = date
        .format(TimestampFormat::EpochSeconds, &mut text)
        .is_ok();
    let text = String::from_utf8(text).unwrap_or_default();
    let whole = text.split('.').next().unwrap_or_default();
    if written {
        whole.parse().unwrap_or(0)
    } else {
        0
    }
}
