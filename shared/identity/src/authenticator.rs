use std::time::Duration;

use reqwest::{Client, Url};
use trace_model::{TenantId, Timestamp};

use crate::api_key::is_api_key;
use crate::api_keys::ApiKeys;
use crate::config::{IdentityConfig, IssuerConfig, KeySource};
use crate::error::{AuthenticationError, IdentityError};
use crate::key_cache::{KeyCache, KeyCachePolicy, NoKey, Wanted};
use crate::keys::{KeySet, VerificationKey};
use crate::scope::{MissingScope, Scope, Scopes};
use crate::token::{UnverifiedToken, bearer_token};

/// Turns the `Authorization` header of a request into its [`Caller`]. One per process: it
/// holds the issuers' keys.
#[derive(Debug)]
pub struct Authenticator {
    issuers: Vec<Issuer>,
    leeway: Duration,
    api_keys: Option<ApiKeys>,
}

/// Who is calling, as their token says and its issuer vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub tenant: TenantId,
    /// The token's `sub`: printable, 255 bytes at most. Of an API key `key:` and its id.
    pub subject: String,
    pub scopes: Scopes,
    /// The token's `exp`, without leeway, or when the API key expires.
    pub expires_at: Timestamp,
}

#[derive(Debug)]
struct Issuer {
    config: IssuerConfig,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    Fetched(KeyCache),
    Static(KeySet),
}

impl Authenticator {
    /// `http` fetches the key sets; it must not follow redirects (an answer that was
    /// redirected is refused all the same).
    pub fn new(config: IdentityConfig, http: &Client) -> Result<Self, IdentityError> {
        check_durations(&config)?;
        let policy = KeyCachePolicy {
            ttl: config.jwks_ttl,
            longest_outage: config.jwks_longest_outage,
            cooldown: config.jwks_cooldown,
            timeout: config.jwks_timeout,
        };
        let mut issuers: Vec<Issuer> = Vec::with_capacity(config.issuers.len());
        for issuer in config.issuers {
            if issuers
                .iter()
                .any(|known| known.config.issuer == issuer.issuer)
            {
                return Err(wrong("issuer", issuer.issuer, "each issuer once"));
            }
            issuers.push(Issuer::new(issuer, http, policy)?);
        }
        Ok(Self {
            issuers,
            leeway: config.leeway,
            api_keys: None,
        })
    }

    /// API keys are accepted too.
    #[must_use]
    pub fn with_api_keys(mut self, api_keys: ApiKeys) -> Self {
        self.api_keys = Some(api_keys);
        self
    }

    /// `authorization` is the header's value: a bearer token, or an API key in its place. All
    /// errors mean 401, but those that [`AuthenticationError::is_unavailable`] tells, which mean
    /// 503.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        now: Timestamp,
    ) -> Result<Caller, AuthenticationError> {
        let token = bearer_token(authorization)?;
        if is_api_key(token) {
            return self.authenticate_api_key(token, now).await;
        }
        let token = UnverifiedToken::parse(token)?;
        let name = token.claims.issuer()?;
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| issuer.config.issuer == name)
            .ok_or(AuthenticationError::UnknownIssuer)?;
        if !issuer.config.algorithms.contains(&token.algorithm) {
            return Err(AuthenticationError::AlgorithmNotAllowed);
        }
        let wanted = Wanted {
            id: token.key_id.as_deref(),
            algorithm: token.algorithm,
        };
        let key = issuer.key(wanted, now).await?;
        if !key.verifies(token.message, token.signature) {
            return Err(AuthenticationError::InvalidSignature);
        }
        let media_type = token.media_type.as_deref();
        token
            .claims
            .verify(&issuer.config, media_type, self.leeway, now)
    }
}

impl Authenticator {
    /// For a header that holds an API key alone, such as `x-api-key`.
    pub async fn authenticate_api_key(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Result<Caller, AuthenticationError> {
        match &self.api_keys {
            Some(api_keys) => api_keys.authenticate(key, now).await,
            None => Err(AuthenticationError::NoApiKeysHere),
        }
    }
}

impl Caller {
    pub fn require(&self, scope: Scope) -> Result<(), MissingScope> {
        if self.scopes.contains(scope) {
            Ok(())
        } else {
            Err(MissingScope { scope })
        }
    }
}

impl Issuer {
    fn new(
        config: IssuerConfig,
        http: &Client,
        policy: KeyCachePolicy,
    ) -> Result<Self, IdentityError> {
        for (field, found) in [
            ("issuer", &config.issuer),
            ("tenant_claim", &config.tenant_claim),
            ("scope_claim", &config.scope_claim),
        ] {
            if found.is_empty() {
                return Err(wrong(field, "empty".to_owned(), "a value"));
            }
        }
        if config.audiences.is_empty() || config.audiences.iter().any(String::is_empty) {
            let found = format!("{:?} for issuer {}", config.audiences, config.issuer);
            return Err(wrong("audiences", found, "at least one, none empty"));
        }
        if config.algorithms.is_empty() {
            let found = format!("empty for issuer {}", config.issuer);
            return Err(wrong("algorithms", found, "at least one"));
        }
        let keys = match &config.keys {
            KeySource::JwksUri(uri) => {
                Keys::Fetched(KeyCache::new(jwks_uri(uri)?, http.clone(), policy))
            }
            KeySource::Static(json) => {
                let keys = KeySet::from_value(json.clone());
                Keys::Static(keys.map_err(|source| IdentityError::StaticKeys {
                    issuer: config.issuer.clone(),
                    source,
                })?)
            }
        };
        Ok(Self { config, keys })
    }

    async fn key(
        &self,
        wanted: Wanted<'_>,
        now: Timestamp,
    ) -> Result<VerificationKey, AuthenticationError> {
        let found = match &self.keys {
            Keys::Static(keys) => keys
                .find(wanted.id, wanted.algorithm)
                .cloned()
                .ok_or(NoKey::Unknown),
            Keys::Fetched(cache) => cache.find(wanted, now).await,
        };
        found.map_err(|reason| match reason {
            NoKey::Unknown => AuthenticationError::UnknownKey,
            NoKey::Unavailable => AuthenticationError::KeysUnavailable {
                issuer: self.config.issuer.clone(),
            },
        })
    }
}

fn check_durations(config: &IdentityConfig) -> Result<(), IdentityError> {
    if config.jwks_cooldown > config.jwks_ttl {
        let found = format!("{:?}", config.jwks_cooldown);
        return Err(wrong("jwks_cooldown", found, "at most jwks_ttl"));
    }
    if config.jwks_longest_outage < config.jwks_ttl {
        let found = format!("{:?}", config.jwks_longest_outage);
        return Err(wrong("jwks_longest_outage", found, "at least jwks_ttl"));
    }
    Ok(())
}

/// Keys that travel in clear could be exchanged on the way.
fn jwks_uri(text: &str) -> Result<Url, IdentityError> {
    let expected = "an https URL without credentials, or an http one on loopback";
    let url = Url::parse(text).map_err(|_| wrong("jwks_uri", text.to_owned(), expected))?;
    let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let is_protected = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    if is_protected && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        let shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        Err(wrong("jwks_uri", shown, expected))
    }
}

fn wrong(field: &'static str, found: String, expected: &'static str) -> IdentityError {
    IdentityError::Configuration {
        field,
        found,
        expected,
    }
}
