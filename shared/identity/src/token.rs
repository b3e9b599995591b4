use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::claims::Claims;
use crate::config::SigningAlgorithm;
use crate::error::AuthenticationError;

/// Longer than any access token in use; bounds what an unknown caller can have us parse.
const LONGEST_TOKEN: usize = 16 * 1024;

/// RFC 7515 sets no bound; real key ids are thumbprints, UUIDs or dates.
const LONGEST_KEY_ID: usize = 256;

/// A token taken apart and not yet believed: nothing in it was verified.
pub(crate) struct UnverifiedToken<'a> {
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) key_id: Option<String>,
    /// The header's `typ`, in lower case and without `application/`.
    pub(crate) media_type: Option<String>,
    pub(crate) claims: Claims,
    /// What was signed: header and payload, still encoded.
    pub(crate) message: &'a [u8],
    /// Still encoded.
    pub(crate) signature: &'a str,
}

/// The token of an `Authorization` header's value (RFC 6750, section 2.1).
pub(crate) fn bearer_token(header: Option<&str>) -> Result<&str, AuthenticationError> {
    let header = header.ok_or(AuthenticationError::Missing)?;
    let (scheme, token) = header
        .split_once(' ')
        .ok_or(AuthenticationError::NotBearer)?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(AuthenticationError::NotBearer);
    }
    Ok(token)
}

impl<'a> UnverifiedToken<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, AuthenticationError> {
        let malformed = |problem| AuthenticationError::Malformed { problem };
        if token.len() > LONGEST_TOKEN {
            return Err(malformed("it is longer than 16 KiB"));
        }
        let (message, signature) = token
            .rsplit_once('.')
            .ok_or_else(|| malformed("it does not have three parts"))?;
        let (_, payload) = message
            .split_once('.')
            .filter(|(_, payload)| !payload.contains('.'))
            .ok_or_else(|| malformed("it does not have three parts"))?;

        // `jku`, `jwk`, `x5u` and `x5c` may be in the header and are never looked at.
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| malformed("its header is not that of a signed token"))?;
        if header.crit.is_some() {
            return Err(malformed("its header demands extensions (`crit`)"));
        }
        let key_id = header.kid;
        if key_id.as_ref().is_some_and(|id| id.len() > LONGEST_KEY_ID) {
            return Err(malformed("its key id is longer than 256 bytes"));
        }
        let algorithm = SigningAlgorithm::from_header(header.alg)
            .ok_or(AuthenticationError::AlgorithmNotAllowed)?;

        let payload = URL_SAFE_NO_PAD
            .decode(payload)
            .map_err(|_| malformed("its payload is not base64url"))?;
        Ok(Self {
            algorithm,
            key_id,
            media_type: header.typ.map(|typ| media_type(&typ)),
            claims: Claims::parse(&payload)?,
            message: message.as_bytes(),
            signature,
        })
    }
}

/// RFC 7515, section 4.1.9: compared without regard to case, `application/` is optional.
fn media_type(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    lower
        .strip_prefix("application/")
        .unwrap_or(&lower)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(header: Option<&str>, expected: Option<&str>) {
        assert_eq!(bearer_token(header).ok(), expected, "{header:?}");
    }

    #[test]
    fn only_a_bearer_token_is_taken() {
        check(Some("Bearer abc"), Some("abc"));
        check(Some("bearer abc"), Some("abc"));
        check(Some("Bearer  abc "), Some("abc"));
        check(None, None);
        check(Some(""), None);
        check(Some("Bearer"), None);
        check(Some("Bearer "), None);
        check(Some("Basic abc"), None);
        check(Some("abc"), None);
    }

    proptest! {
        #[test]
        fn no_token_makes_the_parser_panic(token in "[A-Za-z0-9_.-]{0,200}|.{0,80}") {
            let _ = UnverifiedToken::parse(&token);
        }
    }
}
