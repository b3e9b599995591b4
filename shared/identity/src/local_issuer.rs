use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::SecretKey;
use p256::elliptic_curve::rand_core::OsRng;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use serde_json::{Value, json};
use trace_model::{TenantId, Timestamp};
use uuid::Uuid;

use crate::claims::is_subject;
use crate::config::{
    AccessTokenMark, DEFAULT_TENANT_CLAIM, IssuerConfig, KeySource, SigningAlgorithm,
};
use crate::error::IdentityError;
use crate::scope::Scopes;

/// The `aud` of the local issuer's tokens.
pub const LOCAL_AUDIENCE: &str = "stepscope";

const LONGEST_LIFETIME: Duration = Duration::from_hours(365 * 24);

/// A P-256 key in PEM takes 241 bytes.
const LARGEST_KEY_FILE: u64 = 16 * 1024;

/// The local cloud's issuer: its ES256 key pair is made once and stays in a file. Its tokens
/// have the form of RFC 9068 and pass the same [`crate::Authenticator`] as any other's.
pub struct LocalIssuer {
    issuer: String,
    key_id: String,
    key: EncodingKey,
    public_key: Value,
}

#[derive(Clone, Debug)]
pub struct TokenRequest {
    pub tenant: TenantId,
    pub subject: String,
    pub scopes: Scopes,
    /// Whole seconds; one second to a year.
    pub lifetime: Duration,
}

/// A signed token: a credential, so that only [`AccessToken::reveal`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(String);

impl LocalIssuer {
    /// Reads the key from `key_file`, or makes one and keeps it there, readable by its owner
    /// only. Two processes that start at once end up with the same key. `issuer` becomes
    /// `iss`: the URL under which [`LocalIssuer::openid_configuration`] is served.
    pub fn open(key_file: &Path, issuer: &str) -> Result<Self, IdentityError> {
        let secret_key = match read_key(key_file)? {
            Some(secret_key) => secret_key,
            None => create_key(key_file)?,
        };
        let der = secret_key.to_pkcs8_der().map_err(generation)?;
        let key = EncodingKey::from_ec_der(der.as_bytes());
        let sign = |source| IdentityError::Sign { source };
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(sign)?;
        let key_id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(sign)?;
        jwk.common.key_id = Some(key_id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let public_key = serde_json::to_value(&jwk).map_err(generation)?;
        Ok(Self {
            issuer: issuer.to_owned(),
            key_id,
            key,
            public_key,
        })
    }

    /// The RFC 7638 thumbprint of the key: SHA-256, base64url.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The JSON Web Key Set, for `/.well-known/jwks.json`.
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.public_key]})
    }

    /// For `/.well-known/openid-configuration`: what a gateway needs to find the keys.
    /// `base_url` is where this process serves.
    pub fn openid_configuration(&self, base_url: &str) -> Value {
        let base_url = base_url.trim_end_matches('/');
        let scopes: Vec<&str> = Scopes::all().iter().map(crate::Scope::as_str).collect();
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{base_url}/.well-known/jwks.json"),
            "id_token_signing_alg_values_supported": ["ES256"],
            "subject_types_supported": ["public"],
            "response_types_supported": [],
            "grant_types_supported": [],
            "scopes_supported": scopes,
        })
    }

    /// How an [`crate::Authenticator`] in the same process trusts this issuer.
    pub fn trust(&self) -> IssuerConfig {
        IssuerConfig {
            access_token_mark: AccessTokenMark::TypHeader,
            algorithms: vec![SigningAlgorithm::Es256],
            ..IssuerConfig::new(
                &self.issuer,
                KeySource::Static(self.jwks()),
                vec![LOCAL_AUDIENCE.to_owned()],
            )
        }
    }

    pub fn issue(
        &self,
        request: &TokenRequest,
        now: Timestamp,
    ) -> Result<AccessToken, IdentityError> {
        if !is_subject(&request.subject) {
            let found = request.subject.chars().take(80).collect();
            return Err(IdentityError::Subject { found });
        }
        let seconds = request.lifetime.as_secs();
        if seconds == 0 || request.lifetime > LONGEST_LIFETIME {
            let longest = LONGEST_LIFETIME.as_secs();
            return Err(IdentityError::Lifetime { seconds, longest });
        }
        let issued_at = now.as_unix_seconds();
        let claims = json!({
            "iss": self.issuer,
            "aud": LOCAL_AUDIENCE,
            "sub": request.subject,
            "client_id": "stepscope",
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + seconds,
            "jti": Uuid::new_v4().to_string(),
            "scope": request.scopes.to_string(),
            DEFAULT_TENANT_CLAIM: request.tenant.as_str(),
        });
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some(self.key_id.clone()),
            ..Header::new(Algorithm::ES256)
        };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map(AccessToken)
            .map_err(|source| IdentityError::Sign { source })
    }
}

impl AccessToken {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken([hidden])")
    }
}

impl fmt::Debug for LocalIssuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LocalIssuer")
            .field("issuer", &self.issuer)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// `None` when there is no such file.
fn read_key(path: &Path) -> Result<Option<SecretKey>, IdentityError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(key_file("read", path)(error)),
    };
    refuse_exposed(&file, path)?;
    let mut pem = String::new();
    match file.take(LARGEST_KEY_FILE).read_to_string(&mut pem) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
        Err(error) => return Err(key_file("read", path)(error)),
    }
    // The parser's own words could repeat a piece of the key.
    match SecretKey::from_pkcs8_pem(&pem) {
        Ok(key) => Ok(Some(key)),
        Err(_) => Err(IdentityError::CorruptKeyFile {
            path: path.to_owned(),
        }),
    }
}

/// Written aside, synced, then given its name: a crash leaves no half of a key, and of two
/// processes at once the first one's key holds.
fn create_key(path: &Path) -> Result<SecretKey, IdentityError> {
    let secret_key = SecretKey::random(&mut OsRng);
    let pem = secret_key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(generation)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(key_file("create the folder of", path))?;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", Uuid::new_v4().simple()));
    let aside = Path::new(&aside);
    let written = write_private(aside, pem.as_bytes());
    let named = written.and_then(|()| match fs::hard_link(aside, path) {
        // A file system without hard links: the folder's own lock has to do.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(aside, path),
        outcome => outcome,
    });
    // After a rename there is nothing left to remove.
    let _ = fs::remove_file(aside);
    match named {
        Ok(()) => Ok(secret_key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read_key(path)?.ok_or_else(|| key_file("read", path)(error))
        }
        Err(error) => Err(key_file("write", path)(error)),
    }
}

fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_exposed(file: &fs::File, path: &Path) -> Result<(), IdentityError> {
    let metadata = file.metadata().map_err(key_file("read", path))?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    let for_others = mode & 0o077;
    if for_others == 0 {
        Ok(())
    } else {
        Err(IdentityError::ExposedKeyFile {
            path: path.to_owned(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &fs::File, _: &Path) -> Result<(), IdentityError> {
    Ok(())
}

fn key_file(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> IdentityError {
    move |source| IdentityError::KeyFile {
        operation,
        path: path.to_owned(),
        source,
    }
}

fn generation(error: impl fmt::Display) -> IdentityError {
    IdentityError::KeyGeneration {
        problem: error.to_string(),
    }
}
