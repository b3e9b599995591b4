use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, StatusCode, Url};
use thiserror::Error;
use tokio::sync::{Mutex, OwnedMutexGuard};
use trace_model::Timestamp;

use crate::config::SigningAlgorithm;
use crate::keys::{InvalidKeySet, KeySet, VerificationKey};

/// A set of a hundred 4096-bit keys with certificates fits.
const LARGEST_KEY_SET: usize = 256 * 1024;

/// One issuer's keys, fetched when they are needed and at most once per cool-down.
#[derive(Debug)]
pub(crate) struct KeyCache(Arc<Shared>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyCachePolicy {
    pub(crate) ttl: Duration,
    pub(crate) longest_outage: Duration,
    pub(crate) cooldown: Duration,
    pub(crate) timeout: Duration,
}

#[derive(Debug)]
pub(crate) enum NoKey {
    /// The issuer was asked lately and has no such key.
    Unknown,
    /// The issuer could not be asked.
    Unavailable,
}

#[derive(Debug)]
struct Shared {
    uri: Url,
    http: Client,
    policy: KeyCachePolicy,
    state: RwLock<State>,
    /// Held by the one fetch under way.
    fetching: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    fetched: Option<Fetched>,
    last_attempt: Option<Timestamp>,
}

#[derive(Debug)]
struct Fetched {
    keys: KeySet,
    at: Timestamp,
}

#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) algorithm: SigningAlgorithm,
}

enum LookUp {
    Key(VerificationKey),
    None(NoKey),
    /// `meanwhile`: an older key that serves while someone else fetches.
    Fetch {
        meanwhile: Option<VerificationKey>,
    },
}

#[derive(Debug, Error)]
enum FetchError {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("status {0}; expected 200")]
    Status(StatusCode),
    #[error("redirected to another address")]
    Redirected,
    #[error("more than {LARGEST_KEY_SET} bytes")]
    TooLarge,
    #[error("the answer cannot be used")]
    Invalid(#[source] InvalidKeySet),
}

impl KeyCache {
    pub(crate) fn new(uri: Url, http: Client, policy: KeyCachePolicy) -> Self {
        Self(Arc::new(Shared {
            uri,
            http,
            policy,
            state: RwLock::default(),
            fetching: Arc::default(),
        }))
    }

    pub(crate) async fn find(
        &self,
        wanted: Wanted<'_>,
        now: Timestamp,
    ) -> Result<VerificationKey, NoKey> {
        let shared = &self.0;
        let meanwhile = match shared.look_up(wanted, now) {
            LookUp::Key(key) => return Ok(key),
            LookUp::None(reason) => return Err(reason),
            LookUp::Fetch { meanwhile } => meanwhile,
        };
        let turn = match (Arc::clone(&shared.fetching).try_lock_owned(), meanwhile) {
            (Ok(turn), _) => turn,
            (Err(_), Some(key)) => return Ok(key),
            (Err(_), None) => Arc::clone(&shared.fetching).lock_owned().await,
        };
        // Whoever had the turn before may have brought the key.
        match shared.look_up(wanted, now) {
            LookUp::Key(key) => return Ok(key),
            LookUp::None(reason) => return Err(reason),
            LookUp::Fetch { .. } => {}
        }
        // A task of its own: a caller that hangs up must not leave the attempt counted and
        // the keys unfetched.
        let fetch = tokio::spawn(Arc::clone(shared).refresh(turn, now));
        if fetch.await.is_err() {
            return Err(NoKey::Unavailable);
        }
        match shared.look_up(wanted, now) {
            LookUp::Key(key) => Ok(key),
            LookUp::None(reason) => Err(reason),
            LookUp::Fetch { .. } => Err(NoKey::Unavailable),
        }
    }
}

impl Shared {
    fn look_up(&self, wanted: Wanted<'_>, now: Timestamp) -> LookUp {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.look_up(wanted, self.policy, now)
    }

    async fn refresh(self: Arc<Self>, turn: OwnedMutexGuard<()>, now: Timestamp) {
        let outcome = self.fetch().await;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.last_attempt = Some(now);
        match outcome {
            Ok(keys) => {
                if keys.is_empty() {
                    tracing::warn!(jwks_uri = %self.uri, "the key set has no usable key");
                }
                state.fetched = Some(Fetched { keys, at: now });
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(jwks_uri = %self.uri, %error, source, "keys could not be fetched");
            }
        }
        drop(state);
        drop(turn);
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let timeout = self.policy.timeout;
        let fetch = async {
            let request = self.http.get(self.uri.clone());
            let mut response = request
                .header(ACCEPT, "application/json")
                .send()
                .await
                .map_err(request_failed)?;
            if response.url() != &self.uri {
                return Err(FetchError::Redirected);
            }
            if response.status() != StatusCode::OK {
                return Err(FetchError::Status(response.status()));
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(request_failed)? {
                if body.len() + chunk.len() > LARGEST_KEY_SET {
                    return Err(FetchError::TooLarge);
                }
                body.extend_from_slice(&chunk);
            }
            KeySet::parse(&body).map_err(FetchError::Invalid)
        };
        tokio::time::timeout(timeout, fetch)
            .await
            .unwrap_or(Err(FetchError::TimedOut(timeout)))
    }
}

impl State {
    fn look_up(&self, wanted: Wanted<'_>, policy: KeyCachePolicy, now: Timestamp) -> LookUp {
        let fetched = self
            .fetched
            .as_ref()
            .filter(|fetched| now.since(fetched.at) < policy.longest_outage);
        let key = fetched
            .and_then(|fetched| fetched.keys.find(wanted.id, wanted.algorithm))
            .cloned();
        let is_fresh = fetched.is_some_and(|fetched| now.since(fetched.at) < policy.ttl);
        let may_fetch = self
            .last_attempt
            .is_none_or(|attempt| now.since(attempt) >= policy.cooldown);
        match key {
            Some(key) if is_fresh || !may_fetch => LookUp::Key(key),
            meanwhile if may_fetch => LookUp::Fetch { meanwhile },
            _ if fetched.is_some() => LookUp::None(NoKey::Unknown),
            _ => LookUp::None(NoKey::Unavailable),
        }
    }
}

fn request_failed(error: reqwest::Error) -> FetchError {
    FetchError::Request(error.without_url())
}
