use std::time::Duration;

use lambda_process::TrustedIssuer;
use serde_json::Value;

/// The claim that names the tenant, unless an issuer is configured otherwise.
pub const DEFAULT_TENANT_CLAIM: &str = "tenant";

#[derive(Clone, Debug)]
pub struct IdentityConfig {
    pub issuers: Vec<IssuerConfig>,
    /// How far the issuer's clock and ours may differ, for `exp` and `nbf` alike.
    pub leeway: Duration,
    /// How long fetched keys are believed; a withdrawn key stops after this long.
    pub jwks_ttl: Duration,
    /// How long keys go on serving when their endpoint does not answer. At least `jwks_ttl`.
    pub jwks_longest_outage: Duration,
    /// The least time between two fetches of one issuer's keys, whatever tokens ask for. At
    /// most `jwks_ttl`.
    pub jwks_cooldown: Duration,
    /// For one whole fetch, from connecting to the last byte.
    pub jwks_timeout: Duration,
}

/// One trusted issuer, and how its access tokens look.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Compared with `iss` byte for byte.
    pub issuer: String,
    pub keys: KeySource,
    /// At least one of them must be in the token.
    pub audiences: Vec<String>,
    pub audience_claim: AudienceClaim,
    pub access_token_mark: AccessTokenMark,
    pub algorithms: Vec<SigningAlgorithm>,
    pub tenant_claim: String,
    /// Its value is a string, separated by spaces (`scope`), or an array of strings (`scp`).
    pub scope_claim: String,
    /// Removed from the front of each scope, as Cognito writes `RESOURCE-SERVER/SCOPE`;
    /// a scope without it is then not ours.
    pub scope_prefix: Option<String>,
}

#[derive(Clone, Debug)]
pub enum KeySource {
    /// `https`, or `http` on loopback. Never taken from a token.
    JwksUri(String),
    /// A JSON Web Key Set (RFC 7517), kept as it is.
    Static(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceClaim {
    /// `aud`: a string or an array (RFC 7519, section 4.1.3).
    Aud,
    /// `client_id`: Amazon Cognito's access tokens have no `aud`.
    ClientId,
}

/// How this issuer marks its access tokens, so that an id token is not taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenMark {
    /// The header's `typ` is `at+jwt` (RFC 9068).
    TypHeader,
    /// The claim `token_use` is `access` (Amazon Cognito).
    TokenUseClaim,
    /// Not at all: tokens that bear any of the marks of an id token are refused.
    None,
}

/// Asymmetric algorithms only: a public key can then never serve as an HMAC secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl IdentityConfig {
    pub fn new(issuers: Vec<IssuerConfig>) -> Self {
        Self {
            issuers,
            leeway: Duration::from_mins(1),
            jwks_ttl: Duration::from_mins(10),
            jwks_longest_outage: Duration::from_hours(24),
            jwks_cooldown: Duration::from_secs(30),
            jwks_timeout: Duration::from_secs(3),
        }
    }
}

impl IssuerConfig {
    /// An issuer that follows RFC 7519 and says nothing of what kind its tokens are.
    pub fn new(issuer: &str, keys: KeySource, audiences: Vec<String>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            keys,
            audiences,
            audience_claim: AudienceClaim::Aud,
            access_token_mark: AccessTokenMark::None,
            algorithms: vec![
                SigningAlgorithm::Rs256,
                SigningAlgorithm::Es256,
                SigningAlgorithm::EdDsa,
            ],
            tenant_claim: DEFAULT_TENANT_CLAIM.to_owned(),
            scope_claim: "scope".to_owned(),
            scope_prefix: None,
        }
    }

    /// An Amazon Cognito user pool, whose issuer is
    /// `https://cognito-idp.REGION.amazonaws.com/POOL`: the shape of its access tokens and
    /// the address of its keys are as its developer guide says. Its resource server must be
    /// called `stepscope`.
    pub fn cognito(issuer: &str, client_ids: Vec<String>) -> Self {
        let uri = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
        Self {
            audience_claim: AudienceClaim::ClientId,
            access_token_mark: AccessTokenMark::TokenUseClaim,
            algorithms: vec![SigningAlgorithm::Rs256],
            scope_prefix: Some("stepscope/".to_owned()),
            ..Self::new(issuer, KeySource::JwksUri(uri), client_ids)
        }
    }

    /// The one or the other, by the issuer's host: from settings that name an issuer and
    /// not its kind.
    pub fn recognise(issuer: &str, jwks_uri: String, audiences: Vec<String>) -> Self {
        let host = issuer.strip_prefix("https://").unwrap_or_default();
        let host = host.split('/').next().unwrap_or_default();
        let is_cognito = host.starts_with("cognito-idp.")
            && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"));
        let keys = KeySource::JwksUri(jwks_uri);
        if is_cognito {
            Self {
                keys,
                ..Self::cognito(issuer, audiences)
            }
        } else {
            Self::new(issuer, keys, audiences)
        }
    }
}

/// The issuer that a process's settings name.
impl From<&TrustedIssuer> for IssuerConfig {
    fn from(trusted: &TrustedIssuer) -> Self {
        let uri = trusted.jwks_uri.to_string();
        Self {
            tenant_claim: trusted.tenant_claim.clone(),
            ..Self::recognise(&trusted.issuer, uri, trusted.audiences.clone())
        }
    }
}

impl SigningAlgorithm {
    pub(crate) const fn from_header(algorithm: jsonwebtoken::Algorithm) -> Option<Self> {
        match algorithm {
            jsonwebtoken::Algorithm::RS256 => Some(Self::Rs256),
            jsonwebtoken::Algorithm::ES256 => Some(Self::Es256),
            jsonwebtoken::Algorithm::EdDSA => Some(Self::EdDsa),
            _ => None,
        }
    }

    pub(crate) const fn to_header(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}
