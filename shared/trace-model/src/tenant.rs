use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Whose data it is: `^[a-z0-9][a-z0-9_-]{0,62}$`, refused otherwise and never normalised,
/// so that no two spellings ever meet in one partition key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "invalid tenant id {found:?}: use 1 to 63 of a-z, 0-9, '_' and '-', beginning with a letter or digit"
)]
pub struct InvalidTenantId {
    found: String,
}

impl TenantId {
    pub fn parse(text: &str) -> Result<Self, InvalidTenantId> {
        let mut bytes = text.bytes();
        let first_fits = bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let rest_fits = bytes.all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
        });
        if first_fits && rest_fits && text.len() <= 63 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTenantId {
                found: text.chars().take(80).collect(),
            })
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_contract_s_form_is_a_tenant() {
        for good in ["a", "acme", "0-x_y", &"a".repeat(63)] {
            assert!(TenantId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "A",
            "acme#b",
            "-a",
            "_a",
            "a b",
            "ä",
            "ａ",
            "a\n",
            "a/b",
            &"a".repeat(64),
        ] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
