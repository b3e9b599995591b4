//! Hard cases 1 and 2: algorithms, and headers that try to choose the key.

use identity::{IssuerConfig, KeySource, SigningAlgorithm};
use serde_json::json;

use crate::support::{
    AUDIENCE, Answer, ISSUER, JwksServer, TestKey, authenticate, authenticator_for,
    authenticator_with, clock, good_claims, hmac_token, issuer_with, outcome, rsa_public_key_bytes,
    static_keys, unsigned,
};

async fn check(keys: &[&TestKey], token: &str, expected: &str) {
    let result = authenticate(&authenticator_for(keys), token, clock().now()).await;
    assert_eq!(outcome(&result), expected, "{result:?}");
}

#[tokio::test]
async fn each_allowed_algorithm_is_verified() {
    for key in [
        TestKey::rsa("r"),
        TestKey::es256("e"),
        TestKey::ed25519("d"),
    ] {
        check(&[&key], &key.token(&good_claims()), "Ok").await;
        let (signed, signature) = key
            .token(&good_claims())
            .rsplit_once('.')
            .map(|(signed, signature)| (signed.to_owned(), signature.to_owned()))
            .unwrap();
        // The first character: all its bits count, unlike the last one's.
        let other = if signature.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{signed}.{other}{}", &signature[1..]);
        check(&[&key], &forged, "InvalidSignature").await;
    }
}

#[tokio::test]
async fn a_changed_payload_is_refused() {
    let key = TestKey::es256("e");
    let token = key.token(&good_claims());
    let signature = token.rsplit('.').next().unwrap();
    let mut claims = good_claims();
    claims["tenant"] = json!("globex");
    let changed = format!(
        "{}.{signature}",
        unsigned(&key.header().to_string(), &claims.to_string())
    );
    check(&[&key], &changed, "InvalidSignature").await;
}

#[tokio::test]
async fn alg_none_is_refused() {
    let key = TestKey::es256("e");
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": alg, "kid": "e"}).to_string();
        let message = unsigned(&header, &good_claims().to_string());
        check(&[&key], &format!("{message}."), "Malformed").await;
        let signature = key
            .token(&good_claims())
            .rsplit('.')
            .next()
            .unwrap()
            .to_owned();
        check(&[&key], &format!("{message}.{signature}"), "Malformed").await;
    }
    let header = key.header().to_string();
    let message = unsigned(&header, &good_claims().to_string());
    check(&[&key], &format!("{message}."), "InvalidSignature").await;
    check(&[&key], &message, "Malformed").await;
}

#[tokio::test]
async fn hs256_with_the_rsa_public_key_as_secret_is_refused() {
    let key = TestKey::rsa("rsa");
    for secret in rsa_public_key_bytes() {
        let token = hmac_token(&secret, "rsa", &good_claims());
        check(&[&key], &token, "AlgorithmNotAllowed").await;
    }
}

#[tokio::test]
async fn a_symmetric_key_in_the_key_set_is_never_used() {
    let keys = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"}]});
    let authenticator = authenticator_with(issuer_with(KeySource::Static(keys)));
    let token = hmac_token(b"secret", "k", &good_claims());
    let result = authenticate(&authenticator, &token, clock().now()).await;
    assert_eq!(outcome(&result), "AlgorithmNotAllowed");
}

#[tokio::test]
async fn an_algorithm_outside_the_issuer_s_list_is_refused() {
    let key = TestKey::es256("e");
    let issuer = IssuerConfig {
        algorithms: vec![SigningAlgorithm::Rs256],
        ..issuer_with(static_keys(&[&key]))
    };
    let token = key.token(&good_claims());
    let result = authenticate(&authenticator_with(issuer), &token, clock().now()).await;
    assert_eq!(outcome(&result), "AlgorithmNotAllowed");
}

#[tokio::test]
async fn a_key_serves_only_its_own_algorithm() {
    let rsa = TestKey::rsa("one");
    let es256 = TestKey::es256("one");
    check(&[&rsa], &es256.token(&good_claims()), "UnknownKey").await;
    check(&[&rsa, &es256], &es256.token(&good_claims()), "Ok").await;
    check(&[&rsa, &es256], &rsa.token(&good_claims()), "Ok").await;
}

#[tokio::test]
async fn another_issuer_s_key_signs_nothing_here() {
    let ours = TestKey::es256("same-id");
    let theirs = TestKey::es256("same-id");
    let other = "https://other.example";
    let config = crate::support::config(vec![
        issuer_with(static_keys(&[&ours])),
        IssuerConfig::new(other, static_keys(&[&theirs]), vec![AUDIENCE.to_owned()]),
    ]);
    let authenticator =
        identity::Authenticator::new(config, &crate::support::http_client()).unwrap();
    let mut claims = good_claims();
    let result = authenticate(&authenticator, &theirs.token(&claims), clock().now()).await;
    assert_eq!(outcome(&result), "InvalidSignature");
    claims["iss"] = json!(other);
    let result = authenticate(&authenticator, &theirs.token(&claims), clock().now()).await;
    assert_eq!(outcome(&result), "Ok");
    claims["iss"] = json!([ISSUER, other]);
    let result = authenticate(&authenticator, &theirs.token(&claims), clock().now()).await;
    assert_eq!(outcome(&result), "ClaimMalformed");
}

#[tokio::test]
async fn a_kid_that_is_a_path_sql_or_a_url_finds_no_key() {
    let key = TestKey::es256("e");
    let elsewhere = JwksServer::start(Answer::Keys(vec![key.clone()])).await;
    let server = JwksServer::start(Answer::Keys(vec![key.clone()])).await;
    let authenticator = server.authenticator();
    for kid in [
        "../../../../dev/null",
        "/etc/passwd",
        "e' OR '1'='1",
        "'; DROP TABLE keys; --",
        elsewhere.uri.as_str(),
        "e\0",
        "E",
        "",
    ] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        let token = key.sign(&header, &good_claims().to_string());
        let result = authenticate(&authenticator, &token, clock().now()).await;
        assert_eq!(outcome(&result), "UnknownKey", "{kid}");
    }
    for kid in [json!(5), json!({"a": 1}), json!("k".repeat(300))] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        let token = key.sign(&header, &good_claims().to_string());
        let result = authenticate(&authenticator, &token, clock().now()).await;
        assert_eq!(outcome(&result), "Malformed", "{kid}");
    }
    assert_eq!((server.fetches(), elsewhere.fetches()), (1, 0));
}

#[tokio::test]
async fn jku_x5u_and_jwk_headers_are_ignored_and_never_fetched() {
    let ours = TestKey::es256("e");
    let attacker = TestKey::es256("e");
    let theirs = JwksServer::start(Answer::Keys(vec![attacker.clone()])).await;
    let server = JwksServer::start(Answer::Keys(vec![ours.clone()])).await;
    let authenticator = server.authenticator();
    let header = json!({
        "alg": "ES256",
        "kid": "e",
        "jku": theirs.uri,
        "x5u": theirs.uri,
        "jwk": attacker.jwk(),
        "x5c": ["AAAA"],
    });
    let payload = good_claims().to_string();
    for (signer, expected) in [(&attacker, "InvalidSignature"), (&ours, "Ok")] {
        let token = signer.sign(&header.to_string(), &payload);
        let result = authenticate(&authenticator, &token, clock().now()).await;
        assert_eq!(outcome(&result), expected);
    }
    let mut without_kid = header;
    without_kid.as_object_mut().unwrap().remove("kid");
    let token = attacker.sign(&without_kid.to_string(), &payload);
    let result = authenticate(&authenticator, &token, clock().now()).await;
    assert_eq!(outcome(&result), "InvalidSignature");
    assert_eq!((server.fetches(), theirs.fetches()), (1, 0));
}

#[tokio::test]
async fn a_header_that_demands_extensions_or_repeats_itself_is_refused() {
    let key = TestKey::es256("e");
    let payload = good_claims().to_string();
    for header in [
        r#"{"alg":"ES256","kid":"e","crit":["exp"]}"#,
        r#"{"alg":"ES256","kid":"e","crit":["b64"],"b64":false}"#,
        r#"{"alg":"ES256","alg":"none","kid":"e"}"#,
        r#"{"alg":["ES256"],"kid":"e"}"#,
        r#"{"kid":"e"}"#,
        "[]",
        "",
    ] {
        check(&[&key], &key.sign(header, &payload), "Malformed").await;
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let key = TestKey::es256("e");
    let good = key.token(&good_claims());
    let long = format!("{good}{}", "A".repeat(20_000));
    for token in ["a", "a.b", "..", "a.b.c.d", "\u{1f600}.b.c", long.as_str()] {
        check(&[&key], token, "Malformed").await;
    }
    check(&[&key], &format!("{good}.x"), "Malformed").await;
    check(&[&key], &format!("{good}="), "InvalidSignature").await;
    let twice = format!("{good}, Bearer {good}");
    check(&[&key], &twice, "Malformed").await;
}
