use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

use crate::ExecutionArn;

/// 16 bytes, never all zero; 32 lower-case hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId([u8; 16]);

/// 8 bytes, never all zero; 16 lower-case hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpanId([u8; 8]);

/// W3C Trace Context, version 00: `00-<trace id>-<parent span id>-<flags>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// Bit 0 is `sampled`.
    pub flags: u8,
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("invalid {what} {found:?}: expected {digits} lower-case hex digits, not all zero")]
pub struct InvalidId {
    what: &'static str,
    digits: usize,
    found: String,
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "invalid traceparent {found:?}: expected 00-<32 hex digits>-<16 hex digits>-<2 hex digits>"
)]
pub struct InvalidTraceparent {
    found: String,
}

impl TraceId {
    /// `md5(execution ARN)`: an identifier that both of Step Functions' query languages can
    /// compute, so that anyone who knows the ARN knows the trace. No security rests on it.
    pub fn of_execution(arn: &ExecutionArn) -> Self {
        Self(Md5::digest(arn.as_str().as_bytes()).into())
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    pub fn random() -> Self {
        let mut bytes = [0; 16];
        while bytes == [0; 16] {
            rand::rng().fill_bytes(&mut bytes);
        }
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// The run's own span: the first 8 bytes of `sha256(execution ARN)`.
    pub fn of_execution(arn: &ExecutionArn) -> Self {
        Self::of_text(arn.as_str())
    }

    /// A span that comes from the history alone: the first 8 bytes of
    /// `sha256(execution ARN + "#" + history event id)`.
    pub fn of_history_event(arn: &ExecutionArn, event_id: i64) -> Self {
        Self::of_text(&format!("{}#{event_id}", arn.as_str()))
    }

    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    pub fn random() -> Self {
        let mut bytes = [0; 8];
        while bytes == [0; 8] {
            rand::rng().fill_bytes(&mut bytes);
        }
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    fn of_text(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        Self(bytes)
    }
}

impl Traceparent {
    pub fn parse(text: &str) -> Result<Self, InvalidTraceparent> {
        let invalid = || InvalidTraceparent {
            found: text.chars().take(80).collect(),
        };
        let mut parts = text.split('-');
        let (Some("00"), Some(trace), Some(span), Some(flags), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(invalid());
        };
        let trace_id = trace.parse().map_err(|_| invalid())?;
        let span_id = span.parse().map_err(|_| invalid())?;
        if flags.len() != 2 {
            return Err(invalid());
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|_| invalid())?;
        Ok(Self {
            trace_id,
            span_id,
            flags,
        })
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "00-{}-{}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

macro_rules! hex_id {
    ($name:ident, $what:literal, $bytes:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let mut bytes = [0; $bytes];
                let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
                let decoded = hex::decode_to_slice(text, &mut bytes).is_ok();
                if lower && decoded && bytes != [0; $bytes] {
                    Ok(Self(bytes))
                } else {
                    Err(InvalidId {
                        what: $what,
                        digits: $bytes * 2,
                        found: text.chars().take(80).collect(),
                    })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

hex_id!(TraceId, "trace id", 16);
hex_id!(SpanId, "span id", 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_an_execution_are_what_the_contract_says() {
        let arn =
            ExecutionArn::parse("arn:aws:states:us-east-1:000000000000:execution:a:b").unwrap();
        // printf %s ARN | md5sum; printf %s ARN | sha256sum; printf %s ARN#7 | sha256sum
        assert_eq!(
            TraceId::of_execution(&arn).to_string(),
            "49c36d07a1497446181f8426bc79eedd"
        );
        assert_eq!(SpanId::of_execution(&arn).to_string(), "f17213fcca5e88d1");
        assert_eq!(
            SpanId::of_history_event(&arn, 7).to_string(),
            "ad8d5cfde5082425"
        );
    }

    #[test]
    fn traceparent_round_trips_and_refuses_the_rest() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(Traceparent::parse(text).unwrap().to_string(), text);
        for bad in [
            "",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert!(Traceparent::parse(bad).is_err(), "{bad:?}");
        }
    }
}
