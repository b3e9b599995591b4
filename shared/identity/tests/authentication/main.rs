//! Tokens of real keys against a real JWKS server that counts how often it is asked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod claims;
mod key_cache;
mod local_issuer;
mod signatures;
mod support;
mod tenants;
