use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::{Map, Value};
use trace_model::{TenantId, Timestamp};

use crate::authenticator::Caller;
use crate::config::{AccessTokenMark, AudienceClaim, IssuerConfig};
use crate::error::AuthenticationError;
use crate::scope::{Scope, Scopes};

/// 9999-12-31T23:59:59Z. A later `exp` is a mistake or an attempt to overflow.
const LATEST_DATE: u64 = 253_402_300_799;

/// OpenID Connect Core, section 2, bounds `sub` so.
const LONGEST_SUBJECT: usize = 255;

/// Claims that OpenID Connect puts into id tokens and logout tokens, never into access tokens.
const ID_TOKEN_CLAIMS: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];

/// A token's payload: a JSON object, each of whose names occurs once.
pub(crate) struct Claims(Map<String, Value>);

/// The payload as it was read, duplicates told from other mistakes.
struct Payload {
    claims: Map<String, Value>,
    has_duplicate: bool,
}

impl Claims {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, AuthenticationError> {
        let payload: Payload =
            serde_json::from_slice(payload).map_err(|_| AuthenticationError::Malformed {
                problem: "its payload is not a JSON object",
            })?;
        if payload.has_duplicate {
            return Err(AuthenticationError::DuplicateClaim);
        }
        Ok(Self(payload.claims))
    }

    pub(crate) fn issuer(&self) -> Result<&str, AuthenticationError> {
        self.text("iss")
    }

    /// Everything but the signature. `media_type` is the header's `typ`.
    pub(crate) fn verify(
        &self,
        issuer: &IssuerConfig,
        media_type: Option<&str>,
        leeway: Duration,
        now: Timestamp,
    ) -> Result<Caller, AuthenticationError> {
        let expires_at = self.verify_times(leeway, now)?;
        self.verify_audience(issuer)?;
        self.verify_is_access_token(issuer.access_token_mark, media_type)?;
        Ok(Caller {
            tenant: self.tenant(&issuer.tenant_claim)?,
            subject: self.subject()?,
            scopes: self.scopes(issuer)?,
            expires_at,
        })
    }

    fn verify_times(
        &self,
        leeway: Duration,
        now: Timestamp,
    ) -> Result<Timestamp, AuthenticationError> {
        let now = now.as_unix_seconds();
        let leeway = leeway.as_secs();
        let expires = self
            .date("exp", Rounding::Down)?
            .ok_or_else(|| missing("exp"))?;
        if now >= expires.saturating_add(leeway) {
            return Err(AuthenticationError::Expired);
        }
        if let Some(not_before) = self.date("nbf", Rounding::Up)?
            && now.saturating_add(leeway) < not_before
        {
            return Err(AuthenticationError::NotYetValid);
        }
        self.date("iat", Rounding::Down)?;
        Ok(Timestamp::from_unix_millis(expires.saturating_mul(1000)))
    }

    fn verify_audience(&self, issuer: &IssuerConfig) -> Result<(), AuthenticationError> {
        let accepts = |found: &str| issuer.audiences.iter().any(|audience| audience == found);
        let accepted = match issuer.audience_claim {
            AudienceClaim::ClientId => accepts(self.text("client_id")?),
            AudienceClaim::Aud => match self.0.get("aud").ok_or_else(|| missing("aud"))? {
                Value::String(audience) => accepts(audience),
                Value::Array(audiences) => {
                    let audiences = strings(audiences)
                        .ok_or_else(|| malformed("aud", "a string or an array of strings"))?;
                    audiences.into_iter().any(accepts)
                }
                _ => return Err(malformed("aud", "a string or an array of strings")),
            },
        };
        if accepted {
            Ok(())
        } else {
            Err(AuthenticationError::WrongAudience)
        }
    }

    fn verify_is_access_token(
        &self,
        mark: AccessTokenMark,
        media_type: Option<&str>,
    ) -> Result<(), AuthenticationError> {
        let refused = |reason| Err(AuthenticationError::NotAnAccessToken { reason });
        if !matches!(media_type, None | Some("jwt" | "at+jwt")) {
            return refused("its header's `typ` says that it is something else");
        }
        // Keycloak says in the payload's `typ` what a token is.
        if self.0.get("typ").is_some_and(|kind| kind != "Bearer") {
            return refused("its claim `typ` is not Bearer");
        }
        if self.0.get("token_use").is_some_and(|kind| kind != "access") {
            return refused("its claim `token_use` is not access");
        }
        if ID_TOKEN_CLAIMS
            .iter()
            .any(|name| self.0.contains_key(*name))
        {
            return refused("it has claims of an id token");
        }
        match mark {
            AccessTokenMark::TypHeader if media_type != Some("at+jwt") => {
                refused("its header's `typ` is not at+jwt")
            }
            AccessTokenMark::TokenUseClaim if !self.0.contains_key("token_use") => {
                refused("it lacks the claim `token_use`")
            }
            _ => Ok(()),
        }
    }

    fn tenant(&self, claim: &str) -> Result<TenantId, AuthenticationError> {
        TenantId::parse(self.text(claim)?).map_err(|source| AuthenticationError::InvalidTenant {
            claim: claim.to_owned(),
            source,
        })
    }

    fn subject(&self) -> Result<String, AuthenticationError> {
        let subject = self.text("sub")?;
        if is_subject(subject) {
            Ok(subject.to_owned())
        } else {
            Err(malformed("sub", "1 to 255 printable characters"))
        }
    }

    fn scopes(&self, issuer: &IssuerConfig) -> Result<Scopes, AuthenticationError> {
        let claim = issuer.scope_claim.as_str();
        let names = match self.0.get(claim) {
            None => Vec::new(),
            Some(Value::String(names)) => names.split_ascii_whitespace().collect(),
            Some(Value::Array(names)) => {
                strings(names).ok_or_else(|| malformed(claim, "a string or an array of strings"))?
            }
            Some(_) => return Err(malformed(claim, "a string or an array of strings")),
        };
        let ours = names
            .into_iter()
            .filter_map(|name| match &issuer.scope_prefix {
                Some(prefix) => name.strip_prefix(prefix.as_str()),
                None => Some(name),
            });
        Ok(ours.filter_map(|name| name.parse::<Scope>().ok()).collect())
    }

    fn text(&self, claim: &str) -> Result<&str, AuthenticationError> {
        let value = self.0.get(claim).ok_or_else(|| missing(claim))?;
        value.as_str().ok_or_else(|| malformed(claim, "a string"))
    }

    /// RFC 7519's `NumericDate` may have a fraction; it is rounded against the token.
    fn date(&self, claim: &str, rounding: Rounding) -> Result<Option<u64>, AuthenticationError> {
        let Some(value) = self.0.get(claim) else {
            return Ok(None);
        };
        value
            .as_u64()
            .or_else(|| whole_seconds(value.as_f64()?, rounding))
            .filter(|seconds| *seconds <= LATEST_DATE)
            .map(Some)
            .ok_or_else(|| malformed(claim, "seconds since 1970, up to the year 9999"))
    }
}

pub(crate) fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_SUBJECT && !text.chars().any(char::is_control)
}

#[derive(Clone, Copy)]
enum Rounding {
    Down,
    Up,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the range is checked first, and lies far below 2^53"
)]
fn whole_seconds(seconds: f64, rounding: Rounding) -> Option<u64> {
    let in_range = (0.0..=LATEST_DATE as f64).contains(&seconds);
    in_range.then(|| match rounding {
        Rounding::Down => seconds.floor() as u64,
        Rounding::Up => seconds.ceil() as u64,
    })
}

fn strings(values: &[Value]) -> Option<Vec<&str>> {
    values.iter().map(Value::as_str).collect()
}

fn missing(claim: &str) -> AuthenticationError {
    AuthenticationError::ClaimMissing {
        claim: claim.to_owned(),
    }
}

fn malformed(claim: &str, expected: &'static str) -> AuthenticationError {
    AuthenticationError::ClaimMalformed {
        claim: claim.to_owned(),
        expected,
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PayloadVisitor;

        impl<'de> Visitor<'de> for PayloadVisitor {
            type Value = Payload;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Payload, A::Error> {
                let mut payload = Payload {
                    claims: Map::new(),
                    has_duplicate: false,
                };
                while let Some((name, value)) = entries.next_entry::<String, Value>()? {
                    payload.has_duplicate |= payload.claims.insert(name, value).is_some();
                }
                Ok(payload)
            }
        }

        deserializer.deserialize_map(PayloadVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_payload_makes_the_claims_panic(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Claims::parse(&payload);
        }

        #[test]
        fn a_date_is_never_rounded_in_the_token_s_favour(seconds in 0.0..3e11_f64) {
            let floor = whole_seconds(seconds, Rounding::Down);
            let ceiling = whole_seconds(seconds, Rounding::Up);
            match (floor, ceiling) {
                (Some(floor), Some(ceiling)) => prop_assert!(ceiling - floor <= 1),
                neither => prop_assert_eq!(neither, (None, None)),
            }
        }
    }

    #[test]
    fn a_name_written_with_escapes_is_the_same_name() {
        let twice = br#"{"tenant":"acme","ten\u0061nt":"globex"}"#;
        assert!(matches!(
            Claims::parse(twice),
            Err(AuthenticationError::DuplicateClaim)
        ));
        assert!(Claims::parse(b"[]").is_err());
        assert!(Claims::parse(b"{} {}").is_err());
        let deep = "{\"a\":".repeat(10_000);
        assert!(Claims::parse(deep.as_bytes()).is_err());
    }
}
