//! Cursors, sealed: bound to the tenant and the query they came from.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::problem::Problem;

/// HMAC-SHA256, cut to 128 bits.
const SEAL_BYTES: usize = 16;

/// Longer than any cursor made here: Step Functions' page tokens are the longest part.
const LONGEST: usize = 8 * 1024;

/// Seals positions in lists. Every process that serves the API needs the same key.
#[derive(Clone)]
pub struct CursorKey(Hmac<Sha256>);

/// Which list, of whom, under which filters.
pub(crate) struct CursorScope<'request> {
    pub tenant: &'request str,
    pub list: &'request str,
    pub query: String,
}

impl CursorKey {
    /// Any length of key will do for HMAC; 32 random bytes are best.
    pub fn new(key: &[u8]) -> Self {
        // The error is for ciphers with keys of one size.
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    pub(crate) fn seal(&self, scope: &CursorScope<'_>, position: &str) -> String {
        let seal = self.mac(scope, position).finalize().into_bytes();
        let mut bytes = seal[..SEAL_BYTES].to_vec();
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position that was sealed, if nothing about it was altered.
    pub(crate) fn open(&self, scope: &CursorScope<'_>, cursor: &str) -> Result<String, Problem> {
        let invalid = Problem::invalid_cursor;
        if cursor.len() > LONGEST {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
        let (seal, position) = bytes.split_at_checked(SEAL_BYTES).ok_or_else(invalid)?;
        let position = std::str::from_utf8(position).map_err(|_| invalid())?;
        self.mac(scope, position)
            .verify_truncated_left(seal)
            .map_err(|_| invalid())?;
        Ok(position.to_owned())
    }

    fn mac(&self, scope: &CursorScope<'_>, position: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [scope.tenant, scope.list, &scope.query, position] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CursorKey([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope<'a>(tenant: &'a str, list: &'a str, query: &str) -> CursorScope<'a> {
        CursorScope {
            tenant,
            list,
            query: query.to_owned(),
        }
    }

    #[test]
    fn a_cursor_opens_only_where_it_was_sealed() {
        let key = CursorKey::new(b"key");
        let cursor = key.seal(&scope("acme", "runs", "q"), "position");
        let opened = key.open(&scope("acme", "runs", "q"), &cursor).unwrap();
        assert_eq!(opened, "position");
        for elsewhere in [
            scope("globex", "runs", "q"),
            scope("acme", "spans", "q"),
            scope("acme", "runs", "r"),
            scope("acmer", "uns", "q"),
        ] {
            assert!(key.open(&elsewhere, &cursor).is_err());
        }
        let other = CursorKey::new(b"other");
        assert!(other.open(&scope("acme", "runs", "q"), &cursor).is_err());
    }

    #[test]
    fn no_altered_cursor_opens() {
        let key = CursorKey::new(b"key");
        let cursor = key.seal(&scope("acme", "runs", "q"), "position");
        for at in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(
                key.open(&scope("acme", "runs", "q"), &altered).is_err(),
                "{at}"
            );
        }
        for bad in ["", "A", "not base64!", &"A".repeat(10_000)] {
            assert!(key.open(&scope("acme", "runs", "q"), bad).is_err());
        }
    }
}
