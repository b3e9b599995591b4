use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::config::SigningAlgorithm;

/// More than an issuer keeps at a time, by far.
const MOST_KEYS: usize = 100;

/// RFC 7518, section 3.3, asks for 2048 bits at least; the verifier takes 4096 at most.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// The signing keys of one issuer that we can use: others in the set are passed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<VerificationKey>,
}

#[derive(Clone)]
pub(crate) struct VerificationKey {
    id: Option<String>,
    /// The one algorithm the key is for, whatever a token says.
    algorithm: SigningAlgorithm,
    key: DecodingKey,
}

#[derive(Debug, Error)]
pub enum InvalidKeySet {
    #[error("not a JSON Web Key Set: expected an object with the array `keys`")]
    NotAKeySet(#[source] serde_json::Error),
    #[error("{0} keys; expected {MOST_KEYS} at most")]
    TooManyKeys(usize),
}

impl KeySet {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, InvalidKeySet> {
        let document = serde_json::from_slice(json).map_err(InvalidKeySet::NotAKeySet)?;
        Self::from_document(document)
    }

    pub(crate) fn from_value(json: Value) -> Result<Self, InvalidKeySet> {
        let document = serde_json::from_value(json).map_err(InvalidKeySet::NotAKeySet)?;
        Self::from_document(document)
    }

    fn from_document(document: KeySetDocument) -> Result<Self, InvalidKeySet> {
        if document.keys.len() > MOST_KEYS {
            return Err(InvalidKeySet::TooManyKeys(document.keys.len()));
        }
        let keys = document.keys.into_iter();
        Ok(Self {
            keys: keys.filter_map(VerificationKey::from_jwk).collect(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A token without a key id is served only where there is nothing to choose.
    pub(crate) fn find(
        &self,
        id: Option<&str>,
        algorithm: SigningAlgorithm,
    ) -> Option<&VerificationKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id));
        let first = fitting.next()?;
        (id.is_some() || fitting.next().is_none()).then_some(first)
    }
}

impl VerificationKey {
    /// `None` for what is not a public signing key of an algorithm we take.
    fn from_jwk(json: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(parameters) => {
                let modulus = URL_SAFE_NO_PAD.decode(&parameters.n).ok()?;
                let leading_zeros = modulus.iter().take_while(|byte| **byte == 0).count();
                let length = modulus.len() - leading_zeros;
                RSA_MODULUS_BYTES
                    .contains(&length)
                    .then_some(SigningAlgorithm::Rs256)?
            }
            AlgorithmParameters::EllipticCurve(parameters)
                if parameters.curve == EllipticCurve::P256
                    && is_32_bytes(&parameters.x)
                    && is_32_bytes(&parameters.y) =>
            {
                SigningAlgorithm::Es256
            }
            AlgorithmParameters::OctetKeyPair(parameters)
                if parameters.curve == EllipticCurve::Ed25519 && is_32_bytes(&parameters.x) =>
            {
                SigningAlgorithm::EdDsa
            }
            _ => return None,
        };
        let common = &jwk.common;
        let stated = common.key_algorithm;
        let is_for_algorithm =
            stated.is_none_or(|stated| stated == KeyAlgorithm::from(algorithm.to_header()));
        let is_for_signatures = common
            .public_key_use
            .as_ref()
            .is_none_or(|usage| *usage == PublicKeyUse::Signature)
            && common
                .key_operations
                .as_ref()
                .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        if !is_for_algorithm || !is_for_signatures {
            return None;
        }
        Some(Self {
            key: DecodingKey::from_jwk(&jwk).ok()?,
            id: jwk.common.key_id,
            algorithm,
        })
    }

    /// `signature` as it stands in the token, encoded.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let algorithm = self.algorithm.to_header();
        jsonwebtoken::crypto::verify(signature, message, &self.key, algorithm).unwrap_or(false)
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerificationKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The keys stay raw, so that one of a kind we do not know spoils none of the others.
#[derive(Deserialize)]
struct KeySetDocument {
    keys: Vec<Value>,
}

fn is_32_bytes(encoded: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(encoded)
        .is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(jwk: &Value, usable: bool) {
        let set = KeySet::from_value(json!({"keys": [jwk]})).unwrap();
        assert_eq!(!set.is_empty(), usable, "{set:?}");
    }

    #[test]
    fn only_public_signing_keys_of_full_strength_are_kept() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let ed25519 = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "a"});
        let with = |name: &str, value: Value| {
            let mut jwk = ed25519.clone();
            jwk[name] = value;
            jwk
        };
        check(&ed25519, true);
        check(&with("use", json!("sig")), true);
        check(&with("use", json!("enc")), false);
        check(&with("alg", json!("EdDSA")), true);
        check(&with("alg", json!("ES256")), false);
        check(&with("key_ops", json!(["verify"])), true);
        check(&with("key_ops", json!(["encrypt"])), false);
        check(&with("x", json!("AAAA")), false);
        check(&with("crv", json!("X25519")), false);
        check(&json!({"kty": "oct", "k": x, "kid": "a"}), false);
        check(&json!({"kty": "EC", "crv": "P-384", "x": x, "y": x}), false);
        let rsa = |bytes: usize| json!({"kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(vec![0xab; bytes])});
        check(&rsa(256), true);
        check(&rsa(255), false);
        check(&rsa(513), false);
        check(&json!("text"), false);
        check(&json!({}), false);
    }

    #[test]
    fn one_strange_key_spoils_none_of_the_others() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let good = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "good"});
        let set = KeySet::from_value(json!({"keys": [{"kty": 5}, null, good]})).unwrap();
        assert!(set.find(Some("good"), SigningAlgorithm::EdDsa).is_some());
        assert!(set.find(Some("good"), SigningAlgorithm::Es256).is_none());
        assert!(set.find(Some("other"), SigningAlgorithm::EdDsa).is_none());
        assert!(set.find(None, SigningAlgorithm::EdDsa).is_some());
    }

    #[test]
    fn without_a_key_id_there_must_be_nothing_to_choose() {
        let key = |id: &str, byte: u8| json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([byte; 32]), "kid": id});
        let set = KeySet::from_value(json!({"keys": [key("a", 1), key("b", 2)]})).unwrap();
        assert!(set.find(None, SigningAlgorithm::EdDsa).is_none());
        assert!(set.find(Some("b"), SigningAlgorithm::EdDsa).is_some());
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        assert!(KeySet::parse(b"<html>").is_err());
        assert!(KeySet::parse(b"{\"keys\":{}}").is_err());
        let many = json!({"keys": vec![json!({}); 101]});
        assert!(matches!(
            KeySet::from_value(many),
            Err(InvalidKeySet::TooManyKeys(101))
        ));
    }
}
