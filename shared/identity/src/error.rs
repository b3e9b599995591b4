use std::path::PathBuf;

use thiserror::Error;
use trace_model::InvalidTenantId;
use trace_store::StoreError;

use crate::keys::InvalidKeySet;

/// Why a request is not let in. No variant carries a piece of the token or its signature,
/// so every message may be logged.
#[derive(Debug, Error)]
pub enum AuthenticationError {
    #[error("the Authorization header is missing: send `Authorization: Bearer TOKEN`")]
    Missing,
    #[error("the Authorization header is not of the form `Bearer TOKEN`")]
    NotBearer,
    #[error("the token is malformed: {problem}")]
    Malformed { problem: &'static str },
    #[error("the token's algorithm is not allowed")]
    AlgorithmNotAllowed,
    #[error("the token's issuer is not trusted here")]
    UnknownIssuer,
    #[error("the token's key is not among its issuer's")]
    UnknownKey,
    /// No fault of the caller: 503, and worth another try.
    #[error("the keys of issuer {issuer} cannot be had at the moment: try again later")]
    KeysUnavailable { issuer: String },
    #[error("the token's signature is wrong")]
    InvalidSignature,
    #[error("the token has the same claim twice")]
    DuplicateClaim,
    #[error("the token lacks the claim {claim}")]
    ClaimMissing { claim: String },
    #[error("the token's claim {claim} is malformed: expected {expected}")]
    ClaimMalformed {
        claim: String,
        expected: &'static str,
    },
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is meant for another audience")]
    WrongAudience,
    #[error("the token is not an access token: {reason}")]
    NotAnAccessToken { reason: &'static str },
    #[error("the token's claim {claim} names no tenant")]
    InvalidTenant {
        claim: String,
        #[source]
        source: InvalidTenantId,
    },
    #[error(
        "the API key is not whole: it is of the form stepscope_TENANT_ID_SECRET, as \
         `stepscope keys create` printed it"
    )]
    MalformedApiKey,
    #[error(
        "the API key is not valid: unknown, revoked or expired; make another with \
         `stepscope keys create`"
    )]
    UnknownApiKey,
    #[error("API keys are not accepted here: send an access token")]
    NoApiKeysHere,
    #[error("both an Authorization and an x-api-key header: send one of them, once")]
    TwoCredentials,
    /// Like [`Self::KeysUnavailable`] no fault of the caller.
    #[error("API keys cannot be looked up at the moment: try again later")]
    ApiKeysUnavailable {
        #[source]
        source: StoreError,
    },
}

impl AuthenticationError {
    /// Whether the same request may be let in later: 503 instead of 401.
    pub const fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::KeysUnavailable { .. } | Self::ApiKeysUnavailable { .. }
        )
    }

    /// The `WWW-Authenticate` value of RFC 6750, section 3: a request without credentials is
    /// told nothing more than the scheme.
    pub const fn challenge(&self) -> &'static str {
        match self {
            Self::Missing | Self::NotBearer => "Bearer",
            _ => "Bearer error=\"invalid_token\"",
        }
    }
}

/// What is wrong on this side: the configuration, or the local issuer's key file.
#[derive(Debug, Error)]
pub enum IdentityError {
    #[error("identity: {field} is {found}; expected {expected}")]
    Configuration {
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("identity: the static keys of issuer {issuer} cannot be used")]
    StaticKeys {
        issuer: String,
        #[source]
        source: InvalidKeySet,
    },
    #[error("cannot {operation} the local issuer's key file {path}")]
    KeyFile {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the local issuer's key file {path} is damaged: it holds no P-256 private key in PKCS#8 \
         PEM; put a copy back, or delete it and start again (tokens issued so far then stop \
         working)"
    )]
    CorruptKeyFile { path: PathBuf },
    #[error(
        "the local issuer's key file {path} can be read by other users (mode {mode:o}): run \
         `chmod 600` on it, or delete it and start again if others may have read it"
    )]
    ExposedKeyFile { path: PathBuf, mode: u32 },
    #[error("cannot make the local issuer's key: {problem}")]
    KeyGeneration { problem: String },
    #[error("cannot sign a token")]
    Sign {
        #[source]
        source: jsonwebtoken::errors::Error,
    },
    #[error("a token cannot live for {seconds} s; expected 1 s to {longest} s")]
    Lifetime { seconds: u64, longest: u64 },
    #[error("{found:?} cannot be a token's subject; expected 1 to 255 printable characters")]
    Subject { found: String },
    #[error("{found:?} cannot be an API key's name; expected 1 to 255 printable characters")]
    KeyName { found: String },
    #[error("an API key cannot live for {seconds} s; expected 1 s to {longest} s")]
    KeyLifetime { seconds: u64, longest: u64 },
    #[error("an API key without a scope may do nothing: name one")]
    KeyWithoutScope,
    #[error("cannot {operation} API keys")]
    KeyStore {
        operation: &'static str,
        #[source]
        source: StoreError,
    },
}
