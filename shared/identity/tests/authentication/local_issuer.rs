//! The local cloud's issuer, and its key file.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use identity::{AuthenticationError, IdentityError, LocalIssuer, Scope, Scopes, TokenRequest};
use serde_json::json;
use trace_model::{TenantId, Timestamp};

use crate::support::{authenticate, authenticator_with, clock};

const BASE_URL: &str = "http://127.0.0.1:8787";

fn request() -> TokenRequest {
    TokenRequest {
        tenant: TenantId::parse("acme").unwrap(),
        subject: "local".to_owned(),
        scopes: [Scope::TracesRead, Scope::WorkflowsRun]
            .into_iter()
            .collect(),
        lifetime: Duration::from_hours(1),
    }
}

fn open(file: &Path) -> LocalIssuer {
    LocalIssuer::open(file, BASE_URL).unwrap()
}

#[tokio::test]
async fn its_tokens_pass_the_authenticator_until_they_expire() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = open(&folder.path().join("issuer.pem"));
    let authenticator = authenticator_with(issuer.trust());
    let clock = clock();
    let token = issuer.issue(&request(), clock.now()).unwrap();
    let caller = authenticate(&authenticator, token.reveal(), clock.now())
        .await
        .unwrap();
    assert_eq!(caller.tenant.as_str(), "acme");
    assert_eq!(caller.subject, "local");
    assert_eq!(caller.scopes, request().scopes);
    let expires = caller.expires_at;
    assert_eq!(expires.since(clock.now()), Duration::from_hours(1));

    clock.advance(Duration::from_secs(3600 + crate::support::LEEWAY));
    let error = authenticate(&authenticator, token.reveal(), clock.now())
        .await
        .unwrap_err();
    assert!(matches!(error, AuthenticationError::Expired));
}

#[tokio::test]
async fn the_key_stays_and_another_folder_s_tokens_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/er/issuer.pem");
    let first = open(&file);
    let again = open(&file);
    assert_eq!(first.key_id(), again.key_id());
    assert_eq!(first.jwks(), again.jwks());
    let left: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing but the key file is left: {left:?}");

    let other = open(&folder.path().join("other.pem"));
    assert_ne!(other.key_id(), first.key_id());
    let token = other.issue(&request(), clock().now()).unwrap();
    let result = authenticate(
        &authenticator_with(first.trust()),
        token.reveal(),
        clock().now(),
    )
    .await;
    assert!(matches!(result, Err(AuthenticationError::UnknownKey)));
}

#[test]
fn processes_that_start_at_once_share_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("issuer.pem");
    let key_ids: Vec<String> = thread::scope(|scope| {
        let opened: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| open(&file).key_id().to_owned()))
            .collect();
        opened.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(key_ids.iter().all(|key_id| *key_id == key_ids[0]));
}

#[test]
fn the_key_id_is_the_key_s_thumbprint() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = open(&folder.path().join("issuer.pem"));
    let jwks = issuer.jwks();
    let key = &jwks["keys"][0];
    assert_eq!(key["kid"], json!(issuer.key_id()));
    assert_eq!(key["alg"], json!("ES256"));
    assert_eq!(key["use"], json!("sig"));
    assert!(key.get("d").is_none(), "the private part stays here");
    let mut reference: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
    reference.common = jsonwebtoken::jwk::CommonParameters::default();
    let thumbprint = reference
        .thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)
        .unwrap();
    assert_eq!(issuer.key_id(), thumbprint);
}

#[test]
fn the_openid_configuration_points_to_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = open(&folder.path().join("issuer.pem"));
    let document = issuer.openid_configuration("http://localhost:9000/");
    assert_eq!(document["issuer"], json!(BASE_URL));
    let jwks_uri = "http://localhost:9000/.well-known/jwks.json";
    assert_eq!(document["jwks_uri"], json!(jwks_uri));
}

#[test]
fn a_damaged_key_file_says_what_to_do_and_shows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("issuer.pem");
    open(&file);
    let pem = fs::read_to_string(&file).unwrap();
    let damaged = [
        String::new(),
        "not a key".to_owned(),
        pem[..pem.len() / 2].to_owned(),
        pem.replace("PRIVATE", "PUBLIC"),
        format!("{}{}", &pem[..60], "A".repeat(100_000)),
    ];
    for contents in damaged {
        fs::write(&file, &contents).unwrap();
        let error = LocalIssuer::open(&file, BASE_URL).unwrap_err();
        assert!(
            matches!(error, IdentityError::CorruptKeyFile { .. }),
            "{error}"
        );
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("delete it") && text.contains("issuer.pem"),
            "{text}"
        );
        assert!(!text.contains(&pem[40..60]), "{text}");
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            contents,
            "left as it was"
        );
    }
    fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    let error = LocalIssuer::open(&file, BASE_URL).unwrap_err();
    assert!(matches!(error, IdentityError::CorruptKeyFile { .. }));
}

#[cfg(unix)]
#[test]
fn the_key_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("issuer.pem");
    open(&file);
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    for exposed in [0o644, 0o640, 0o606] {
        fs::set_permissions(&file, fs::Permissions::from_mode(exposed)).unwrap();
        let error = LocalIssuer::open(&file, BASE_URL).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_key_file_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    let error = LocalIssuer::open(&blocked.join("issuer.pem"), BASE_URL).unwrap_err();
    assert!(error.to_string().contains("issuer.pem"), "{error}");
}

#[test]
fn no_secret_shows_in_debug() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("issuer.pem");
    let issuer = open(&file);
    let token = issuer
        .issue(&request(), Timestamp::from_unix_millis(1_000))
        .unwrap();
    let shown = format!("{issuer:?} {:?} {token:?} {:?}", issuer.trust(), request());
    let pem = fs::read_to_string(&file).unwrap();
    let secret = pem.lines().nth(1).unwrap();
    assert!(!shown.contains(&secret[secret.len() - 16..]));
    for part in token.reveal().split('.') {
        assert!(!shown.contains(part));
    }
}

#[test]
fn a_request_that_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = open(&folder.path().join("issuer.pem"));
    let check = |change: &dyn Fn(&mut TokenRequest), accepted: bool| {
        let mut request = request();
        change(&mut request);
        let outcome = issuer.issue(&request, clock().now());
        assert_eq!(outcome.is_ok(), accepted, "{request:?}");
    };
    check(&|_| {}, true);
    check(&|request| request.scopes = Scopes::default(), true);
    check(&|request| request.lifetime = Duration::ZERO, false);
    check(
        &|request| request.lifetime = Duration::from_millis(999),
        false,
    );
    check(
        &|request| request.lifetime = Duration::from_hours(366 * 24),
        false,
    );
    check(&|request| request.subject = String::new(), false);
    check(&|request| request.subject = "a\nb".to_owned(), false);
}
