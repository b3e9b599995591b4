use std::fmt;

use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use trace_model::TenantId;

/// What every key begins with: secret scanners and `redaction` know it by that.
const PREFIX: &str = "stepscope_";

const ID_BYTES: usize = 8;

/// As many as no one guesses, which is why a plain SHA-256 is enough at rest: there is nothing
/// to try out.
const SECRET_BYTES: usize = 32;

/// The longest tenant, id, secret and what joins them.
const LONGEST: usize = PREFIX.len() + 63 + 2 + 2 * (ID_BYTES + SECRET_BYTES);

/// `stepscope_TENANT_ID_SECRET`, id and secret in lower-case hex: a credential, so that only
/// [`ApiKey::reveal`] shows it. The tenant in it says where to look the key up; that it is the
/// caller's is shown by the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// A key as a request brought it: its form is right, and nothing else is known of it.
#[derive(Debug)]
pub(crate) struct PresentedKey<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) id: &'a str,
    secret: Secret<'a>,
}

struct Secret<'a>(&'a str);

impl ApiKey {
    /// A new one, and its id.
    pub(crate) fn generate(tenant: &TenantId) -> (Self, String) {
        let mut bytes = [0; ID_BYTES + SECRET_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        let (id, secret) = bytes.split_at(ID_BYTES);
        let id = hex::encode(id);
        let key = format!("{PREFIX}{tenant}_{id}_{}", hex::encode(secret));
        (Self(key), id)
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn presented(&self) -> PresentedKey<'_> {
        PresentedKey::parse(&self.0).expect("it was made by the same rule")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[hidden]")
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[hidden]")
    }
}

/// Whether this is meant to be a key and not a token.
pub(crate) fn is_api_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl<'a> PresentedKey<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        // From the end, since a tenant may have an underscore in it.
        let mut parts = text.strip_prefix(PREFIX)?.rsplitn(3, '_');
        let (secret, id, tenant) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES);
        let tenant = TenantId::parse(tenant).ok().filter(|_| fits)?;
        Some(Self {
            tenant,
            id,
            secret: Secret(secret),
        })
    }

    /// In hex.
    pub(crate) fn secret_sha256(&self) -> String {
        hex::encode(Sha256::digest(self.secret.0.as_bytes()))
    }

    pub(crate) fn last_four(&self) -> &'a str {
        &self.secret.0[2 * SECRET_BYTES - 4..]
    }

    /// Takes the same time wherever they differ.
    pub(crate) fn has_sha256(&self, stored: &str) -> bool {
        let own = self.secret_sha256();
        own.as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_tells_its_tenant_and_id(tenant in "[a-z0-9][a-z0-9_-]{0,62}") {
            let tenant = TenantId::parse(&tenant).unwrap();
            let (key, id) = ApiKey::generate(&tenant);
            let presented = key.presented();
            prop_assert_eq!(&presented.tenant, &tenant);
            prop_assert_eq!(presented.id, id);
            prop_assert!(presented.has_sha256(&presented.secret_sha256()));
            prop_assert!(key.reveal().ends_with(presented.last_four()));
            let shown = format!("{key:?} {presented:?}");
            prop_assert!(!shown.contains(presented.secret.0));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(stepscope_)?.{0,200}") {
            let _ = PresentedKey::parse(&text);
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_no_key() {
        let (id, secret) = ("0123456789abcdef", "ab".repeat(32));
        assert!(PresentedKey::parse(&format!("stepscope_acme_{id}_{secret}")).is_some());
        for bad in [
            String::new(),
            format!("stepscope_{id}_{secret}"),
            format!("stepscope__{id}_{secret}"),
            format!("stepscope_Acme_{id}_{secret}"),
            format!("stepscope_acme#b_{id}_{secret}"),
            format!("stepscope_acme_{id}_{}", &secret[1..]),
            format!("stepscope_acme_{id}_{}", secret.to_uppercase()),
            format!("stepscope_acme_{id}x_{secret}"),
            format!("stepscope_{}_{id}_{secret}", "a".repeat(64)),
            format!("acme_{id}_{secret}"),
        ] {
            assert!(PresentedKey::parse(&bad).is_none(), "{bad}");
        }
    }
}
