//! Attributes of items, read with what to say when they are not as written.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue as SdkValue;
use serde_dynamo::{AttributeValue, Item};
use trace_model::Timestamp;

use crate::keys::FORMAT_VERSION;
use crate::{StoreError, TABLE};

/// Attribute names, each once. Those of keys and time to live are in [`TABLE`].
pub(crate) const VERSION: &str = "version";

pub(crate) type SdkItem = HashMap<String, SdkValue>;

/// An item that is read: of a version we know.
pub(crate) struct StoredItem {
    what: &'static str,
    attributes: HashMap<String, AttributeValue>,
}

impl StoredItem {
    /// `None` when it has expired, whether or not DynamoDB has deleted it yet.
    pub(crate) fn open(
        item: Item,
        what: &'static str,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let item = Self {
            what,
            attributes: item.into_inner(),
        };
        let version = item.number(VERSION)?;
        if version > u64::from(FORMAT_VERSION) {
            return Err(StoreError::NewerVersion {
                what,
                found: u32::try_from(version).unwrap_or(u32::MAX),
                supported: FORMAT_VERSION,
            });
        }
        let expires_at = item.number(TABLE.ttl_attribute)?;
        Ok((expires_at > now.as_unix_seconds()).then_some(item))
    }

    pub(crate) fn number(&self, name: &'static str) -> Result<u64, StoreError> {
        self.optional_number(name)?
            .ok_or_else(|| self.damaged(name))
    }

    pub(crate) fn optional_number(&self, name: &'static str) -> Result<Option<u64>, StoreError> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(digits)) => {
                digits.parse().map(Some).map_err(|_| self.damaged(name))
            }
            Some(_) => Err(self.damaged(name)),
        }
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<&str, StoreError> {
        self.optional_text(name)?.ok_or_else(|| self.damaged(name))
    }

    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, StoreError> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.damaged(name)),
        }
    }

    pub(crate) fn optional_bytes(&self, name: &'static str) -> Result<Option<&[u8]>, StoreError> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(AttributeValue::B(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(self.damaged(name)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.attributes.get(name)
    }

    pub(crate) fn damaged(&self, attribute: &str) -> StoreError {
        let problem = format!("its attribute {attribute} is missing or not as written");
        StoreError::damaged(self.what, problem)
    }
}

pub(crate) fn text(text: impl Into<String>) -> SdkValue {
    SdkValue::S(text.into())
}

pub(crate) fn number(number: u64) -> SdkValue {
    SdkValue::N(number.to_string())
}

pub(crate) fn primary_key(partition: String, sort_key: impl Into<String>) -> SdkItem {
    HashMap::from([
        (TABLE.partition_key.to_owned(), text(partition)),
        (TABLE.sort_key.to_owned(), text(sort_key)),
    ])
}
