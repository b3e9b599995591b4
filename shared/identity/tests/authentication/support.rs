use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use futures::StreamExt;
use identity::{
    AuthenticationError, Authenticator, Caller, IdentityConfig, IssuerConfig, KeySource,
};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::elliptic_curve::rand_core::OsRng;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::EncodePublicKey as _;
use serde_json::{Value, json};
use trace_model::{Clock, Timestamp};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "stepscope";
pub(crate) const LEEWAY: u64 = 60;
pub(crate) const TTL: Duration = Duration::from_mins(10);
pub(crate) const COOLDOWN: Duration = Duration::from_secs(30);
pub(crate) const LONGEST_OUTAGE: Duration = Duration::from_hours(1);

/// Any moment will do: the tests own the clock.
pub(crate) const NOW: u64 = 1_700_000_000;

pub(crate) fn clock() -> Clock {
    Clock::manual(Timestamp::from_unix_millis(NOW * 1000))
}

/// A key pair and how its tokens are signed.
#[derive(Clone)]
pub(crate) struct TestKey {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) signing: EncodingKey,
}

impl TestKey {
    pub(crate) fn es256(id: &str) -> Self {
        let secret = p256::SecretKey::random(&mut OsRng);
        let der = p256::pkcs8::EncodePrivateKey::to_pkcs8_der(&secret).unwrap();
        Self {
            id: id.to_owned(),
            algorithm: Algorithm::ES256,
            signing: EncodingKey::from_ec_der(der.as_bytes()),
        }
    }

    pub(crate) fn ed25519(id: &str) -> Self {
        let secret = ed25519_dalek::SigningKey::generate(&mut OsRng);
        // Without the public part, the one form from which a JWK can be derived.
        let pair = ed25519_dalek::pkcs8::KeypairBytes {
            secret_key: secret.to_bytes(),
            public_key: None,
        };
        Self {
            id: id.to_owned(),
            algorithm: Algorithm::EdDSA,
            signing: EncodingKey::from_ed_der(pair.to_pkcs8_der().unwrap().as_bytes()),
        }
    }

    pub(crate) fn rsa(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            algorithm: Algorithm::RS256,
            signing: EncodingKey::from_rsa_der(rsa_key().to_pkcs1_der().unwrap().as_bytes()),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.signing, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        serde_json::to_value(jwk).unwrap()
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": format!("{:?}", self.algorithm), "kid": self.id})
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// Header and payload as they are given, whatever they are.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> String {
        let message = unsigned(header, payload);
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.signing, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// Made once: a strong RSA key takes a while.
pub(crate) fn rsa_key() -> &'static rsa::RsaPrivateKey {
    static KEY: OnceLock<rsa::RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| rsa::RsaPrivateKey::new(&mut OsRng, 2048).unwrap())
}

/// The public key in the forms that an attacker would try as an HMAC secret.
pub(crate) fn rsa_public_key_bytes() -> Vec<Vec<u8>> {
    let public = rsa_key().to_public_key();
    let pem = public
        .to_public_key_pem(rsa::pkcs8::LineEnding::LF)
        .unwrap();
    let jwk = TestKey::rsa("rsa").jwk();
    let modulus = jwk["n"].as_str().unwrap();
    vec![
        pem.trim_end().as_bytes().to_vec(),
        pem.into_bytes(),
        public.to_public_key_der().unwrap().as_bytes().to_vec(),
        modulus.as_bytes().to_vec(),
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        jwk.to_string().into_bytes(),
    ]
}

pub(crate) fn unsigned(header: &str, payload: &str) -> String {
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    )
}

pub(crate) fn hmac_token(secret: &[u8], kid: &str, claims: &Value) -> String {
    let header = Header {
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// What a good token says.
pub(crate) fn good_claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-1",
        "exp": NOW + 600,
        "nbf": NOW,
        "iat": NOW,
        "scope": "traces:read openid",
        "tenant": "acme",
    })
}

/// `good_claims` with one claim changed, or removed where `value` is null.
pub(crate) fn claims_with(claim: &str, value: Value) -> Value {
    let mut claims = good_claims();
    let object = claims.as_object_mut().unwrap();
    if value.is_null() {
        object.remove(claim);
    } else {
        object.insert(claim.to_owned(), value);
    }
    claims
}

pub(crate) fn http_client() -> reqwest::Client {
    let roots = rustls::RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .unwrap()
}

pub(crate) fn config(issuers: Vec<IssuerConfig>) -> IdentityConfig {
    IdentityConfig {
        leeway: Duration::from_secs(LEEWAY),
        jwks_ttl: TTL,
        jwks_cooldown: COOLDOWN,
        jwks_longest_outage: LONGEST_OUTAGE,
        jwks_timeout: Duration::from_secs(20),
        ..IdentityConfig::new(issuers)
    }
}

pub(crate) fn issuer_with(keys: KeySource) -> IssuerConfig {
    IssuerConfig::new(ISSUER, keys, vec![AUDIENCE.to_owned()])
}

/// Trusts [`ISSUER`] with these keys, no network involved.
pub(crate) fn authenticator_for(keys: &[&TestKey]) -> Authenticator {
    authenticator_with(issuer_with(static_keys(keys)))
}

pub(crate) fn static_keys(keys: &[&TestKey]) -> KeySource {
    KeySource::Static(json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}))
}

pub(crate) fn authenticator_with(issuer: IssuerConfig) -> Authenticator {
    Authenticator::new(config(vec![issuer]), &http_client()).unwrap()
}

pub(crate) async fn authenticate(
    authenticator: &Authenticator,
    token: &str,
    now: Timestamp,
) -> Result<Caller, AuthenticationError> {
    let header = format!("Bearer {token}");
    authenticator.authenticate(Some(&header), now).await
}

/// The variant's name, to compare errors by.
pub(crate) fn outcome(result: &Result<Caller, AuthenticationError>) -> String {
    match result {
        Ok(_) => "Ok".to_owned(),
        Err(error) => format!("{error:?}")
            .split(|character: char| !character.is_alphanumeric())
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// How the JWKS endpoint answers.
#[derive(Clone)]
pub(crate) enum Answer {
    Keys(Vec<TestKey>),
    Status(u16),
    Redirect(String),
    /// A body without end.
    Endless,
    /// Headers, then nothing more.
    Silent,
    /// A body that is no key set.
    Text(&'static str),
}

pub(crate) struct JwksServer {
    pub(crate) uri: String,
    state: Arc<ServerState>,
}

struct ServerState {
    answer: Mutex<Answer>,
    fetches: AtomicUsize,
}

impl JwksServer {
    pub(crate) async fn start(answer: Answer) -> Self {
        let state = Arc::new(ServerState {
            answer: Mutex::new(answer),
            fetches: AtomicUsize::new(0),
        });
        let app = Router::new().fallback(serve).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { uri, state }
    }

    pub(crate) fn answer_with(&self, answer: Answer) {
        *self.state.answer.lock().unwrap() = answer;
    }

    pub(crate) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn authenticator(&self) -> Authenticator {
        authenticator_with(issuer_with(KeySource::JwksUri(self.uri.clone())))
    }
}

async fn serve(State(state): State<Arc<ServerState>>) -> Response {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    let answer = state.answer.lock().unwrap().clone();
    match answer {
        Answer::Keys(keys) => {
            let keys: Vec<Value> = keys.iter().map(TestKey::jwk).collect();
            axum::Json(json!({"keys": keys})).into_response()
        }
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Redirect(to) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        Answer::Endless => {
            let piece = Bytes::from_static(&[b' '; 4096]);
            let pieces = futures::stream::repeat(piece).map(Ok::<_, std::convert::Infallible>);
            Body::from_stream(pieces).into_response()
        }
        Answer::Silent => {
            let nothing = futures::stream::pending::<Result<Bytes, std::convert::Infallible>>();
            Body::from_stream(nothing).into_response()
        }
        Answer::Text(text) => text.into_response(),
    }
}
