//! Who is calling: a bearer token or an API key becomes a tenant, a subject and scopes.
//!
//! [`Authenticator`] checks access tokens against the issuers it was told to trust and keeps
//! their keys, and asks [`ApiKeys`] where it was given them; [`LocalIssuer`] is the issuer of a
//! local cloud. Deliberately absent: sessions
//! and refresh tokens, OpenID discovery, key addresses taken from a token, symmetric
//! algorithms, any normalisation of a tenant's name, and the choice of an HTTP status.

mod api_key;
mod api_keys;
mod authenticator;
mod claims;
mod config;
mod error;
mod key_cache;
mod keys;
mod local_issuer;
mod scope;
mod token;

pub use api_key::ApiKey;
pub use api_keys::{API_KEY_CACHE, ApiKeys, NewApiKey};
pub use authenticator::{Authenticator, Caller};
pub use config::{
    AccessTokenMark, AudienceClaim, DEFAULT_TENANT_CLAIM, IdentityConfig, IssuerConfig, KeySource,
    SigningAlgorithm,
};
pub use error::{AuthenticationError, IdentityError};
pub use keys::InvalidKeySet;
pub use local_issuer::{AccessToken, LOCAL_AUDIENCE, LocalIssuer, TokenRequest};
pub use scope::{MissingScope, Scope, Scopes, UnknownScope};
