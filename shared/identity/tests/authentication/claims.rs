//! Hard case 1: times, issuer, audience, and what kind of token it is.

use identity::{AccessTokenMark, AudienceClaim, IssuerConfig, MissingScope, Scope};
use serde_json::{Value, json};
use trace_model::Timestamp;

use crate::support::{
    LEEWAY, NOW, TestKey, authenticate, authenticator_for, authenticator_with, claims_with, clock,
    good_claims, issuer_with, outcome, static_keys,
};

async fn check(claims: &Value, expected: &str) {
    let key = TestKey::ed25519("d");
    let token = key.token(claims);
    let result = authenticate(&authenticator_for(&[&key]), &token, clock().now()).await;
    assert_eq!(outcome(&result), expected, "{claims}");
}

async fn check_at(claims: &Value, seconds: u64, expected: &str) {
    let key = TestKey::ed25519("d");
    let now = Timestamp::from_unix_millis(seconds * 1000);
    let result = authenticate(&authenticator_for(&[&key]), &key.token(claims), now).await;
    assert_eq!(outcome(&result), expected, "{claims} at {seconds}");
}

#[tokio::test]
async fn a_good_token_becomes_its_caller() {
    let key = TestKey::ed25519("d");
    let authenticator = authenticator_for(&[&key]);
    let token = key.token(&good_claims());
    let caller = authenticate(&authenticator, &token, clock().now())
        .await
        .unwrap();
    assert_eq!(caller.tenant.as_str(), "acme");
    assert_eq!(caller.subject, "user-1");
    assert_eq!(caller.expires_at.as_unix_seconds(), NOW + 600);
    assert_eq!(caller.require(Scope::TracesRead), Ok(()));
    let scope = Scope::ContentRead;
    assert_eq!(caller.require(scope), Err(MissingScope { scope }));
}

#[tokio::test]
async fn no_credentials_are_refused_without_a_reason() {
    let authenticator = authenticator_for(&[]);
    for header in [None, Some(""), Some("Basic YTpi"), Some("Bearer")] {
        let error = authenticator
            .authenticate(header, clock().now())
            .await
            .unwrap_err();
        assert_eq!(error.challenge(), "Bearer");
    }
    let error = authenticate(&authenticator, "a.b.c", clock().now())
        .await
        .unwrap_err();
    assert_eq!(error.challenge(), "Bearer error=\"invalid_token\"");
}

#[tokio::test]
async fn exp_as_string_negative_or_huge_is_refused() {
    check(&claims_with("exp", Value::Null), "ClaimMissing").await;
    for bad in [
        json!("1700000600"),
        json!("never"),
        json!(-1),
        json!(-1.5),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(1e300),
        json!(253_402_300_800_u64),
        json!(true),
        json!([NOW + 600]),
        json!({"value": NOW + 600}),
    ] {
        check(&claims_with("exp", bad), "ClaimMalformed").await;
    }
    let null = good_claims()
        .to_string()
        .replace(&format!("\"exp\":{}", NOW + 600), "\"exp\":null");
    check(&serde_json::from_str(&null).unwrap(), "ClaimMalformed").await;
}

#[tokio::test]
async fn nbf_as_string_negative_or_huge_is_refused() {
    check(&claims_with("nbf", Value::Null), "Ok").await;
    for claim in ["nbf", "iat"] {
        for bad in [
            json!("1700000000"),
            json!(-1),
            json!(u64::MAX),
            json!(1e300),
            json!(false),
        ] {
            check(&claims_with(claim, bad), "ClaimMalformed").await;
        }
    }
}

#[tokio::test]
async fn a_fraction_of_a_second_is_rounded_against_the_token() {
    let expires = claims_with("exp", json!(1_700_000_000.9));
    check_at(&expires, NOW + LEEWAY - 1, "Ok").await;
    check_at(&expires, NOW + LEEWAY, "Expired").await;
    let begins = claims_with("nbf", json!(1_700_000_100.1));
    check_at(&begins, NOW + 101 - LEEWAY, "Ok").await;
    check_at(&begins, NOW + 100 - LEEWAY, "NotYetValid").await;
}

#[tokio::test]
async fn the_leeway_ends_where_it_should_on_both_sides() {
    let expires = claims_with("exp", json!(NOW));
    check_at(&expires, NOW + LEEWAY - 1, "Ok").await;
    check_at(&expires, NOW + LEEWAY, "Expired").await;
    check_at(&expires, NOW + LEEWAY + 1, "Expired").await;
    let begins = claims_with("nbf", json!(NOW + 300));
    check_at(&begins, NOW + 300 - LEEWAY, "Ok").await;
    check_at(&begins, NOW + 300 - LEEWAY - 1, "NotYetValid").await;
    check(&claims_with("nbf", json!(NOW + 100_000)), "NotYetValid").await;
    check(&claims_with("exp", json!(0)), "Expired").await;
}

#[tokio::test]
async fn a_missing_or_wrong_issuer_is_refused() {
    check(&claims_with("iss", Value::Null), "ClaimMissing").await;
    for (wrong, expected) in [
        (json!("https://issuer.example/"), "UnknownIssuer"),
        (json!("https://ISSUER.example"), "UnknownIssuer"),
        (json!("https://issuer.example.evil"), "UnknownIssuer"),
        (json!(""), "UnknownIssuer"),
        (json!(["https://issuer.example"]), "ClaimMalformed"),
        (json!(1), "ClaimMalformed"),
    ] {
        check(&claims_with("iss", wrong), expected).await;
    }
}

#[tokio::test]
async fn a_missing_or_wrong_audience_is_refused_and_an_array_is_searched() {
    check(&claims_with("aud", Value::Null), "ClaimMissing").await;
    for (audience, expected) in [
        (json!(["stepscope"]), "Ok"),
        (json!(["other", "stepscope"]), "Ok"),
        (json!("other"), "WrongAudience"),
        (json!("stepscope other"), "WrongAudience"),
        (json!("Stepscope"), "WrongAudience"),
        (json!(["other"]), "WrongAudience"),
        (json!([]), "WrongAudience"),
        (json!(["stepscope", 5]), "ClaimMalformed"),
        (json!({"stepscope": true}), "ClaimMalformed"),
    ] {
        check(&claims_with("aud", audience), expected).await;
    }
}

#[tokio::test]
async fn an_id_token_is_no_access_token() {
    for (claim, value) in [
        ("nonce", json!("n")),
        ("at_hash", json!("h")),
        ("c_hash", json!("h")),
        ("token_use", json!("id")),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
        ("events", json!({})),
    ] {
        check(&claims_with(claim, value), "NotAnAccessToken").await;
    }
    check(&claims_with("typ", json!("Bearer")), "Ok").await;
    check(&claims_with("token_use", json!("access")), "Ok").await;
}

#[tokio::test]
async fn the_header_s_typ_tells_an_access_token() {
    let key = TestKey::ed25519("d");
    let plain = authenticator_for(&[&key]);
    let strict = authenticator_with(IssuerConfig {
        access_token_mark: AccessTokenMark::TypHeader,
        ..issuer_with(static_keys(&[&key]))
    });
    for (typ, by_default, when_required) in [
        (None, "Ok", "NotAnAccessToken"),
        (Some("JWT"), "Ok", "NotAnAccessToken"),
        (Some("at+jwt"), "Ok", "Ok"),
        (Some("application/AT+JWT"), "Ok", "Ok"),
        (Some("logout+jwt"), "NotAnAccessToken", "NotAnAccessToken"),
        (Some("dpop+jwt"), "NotAnAccessToken", "NotAnAccessToken"),
    ] {
        let mut header = key.header();
        if let Some(typ) = typ {
            header["typ"] = json!(typ);
        }
        let token = key.sign(&header.to_string(), &good_claims().to_string());
        let result = authenticate(&plain, &token, clock().now()).await;
        assert_eq!(outcome(&result), by_default, "{typ:?}");
        let result = authenticate(&strict, &token, clock().now()).await;
        assert_eq!(outcome(&result), when_required, "{typ:?}");
    }
}

#[tokio::test]
async fn cognito_s_access_tokens_are_told_by_token_use_and_client_id() {
    let key = TestKey::rsa("r");
    let cognito = IssuerConfig::cognito(crate::support::ISSUER, vec!["client-1".to_owned()]);
    assert_eq!(cognito.audience_claim, AudienceClaim::ClientId);
    let authenticator = authenticator_with(IssuerConfig {
        keys: static_keys(&[&key]),
        tenant_claim: "custom:tenant".to_owned(),
        scope_prefix: Some("stepscope/".to_owned()),
        ..cognito
    });
    let access = json!({
        "iss": crate::support::ISSUER,
        "sub": "user-1",
        "client_id": "client-1",
        "token_use": "access",
        "exp": NOW + 600,
        "scope": "stepscope/traces:read content:read",
        "custom:tenant": "acme",
    });
    let caller = authenticate(&authenticator, &key.token(&access), clock().now())
        .await
        .unwrap();
    assert!(caller.scopes.contains(Scope::TracesRead));
    assert!(!caller.scopes.contains(Scope::ContentRead));

    for (claim, value, expected) in [
        ("token_use", json!("id"), "NotAnAccessToken"),
        ("token_use", Value::Null, "NotAnAccessToken"),
        ("client_id", json!("client-2"), "WrongAudience"),
        ("client_id", Value::Null, "ClaimMissing"),
    ] {
        let mut claims = access.clone();
        claims["aud"] = json!("client-1");
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
        } else {
            claims[claim] = value;
        }
        let result = authenticate(&authenticator, &key.token(&claims), clock().now()).await;
        assert_eq!(outcome(&result), expected, "{claims}");
    }
}

#[tokio::test]
async fn scopes_come_as_text_or_as_an_array() {
    let key = TestKey::ed25519("d");
    let with_claim = |claim: &str| IssuerConfig {
        scope_claim: claim.to_owned(),
        ..issuer_with(static_keys(&[&key]))
    };
    for (claim, value, expected) in [
        (
            "scope",
            json!("traces:read  workflows:run"),
            Some("traces:read workflows:run"),
        ),
        (
            "scp",
            json!(["workflows:run", "profile"]),
            Some("workflows:run"),
        ),
        ("scp", json!("traces:read"), Some("traces:read")),
        ("scp", json!(["traces:read workflows:run"]), Some("")),
        ("scp", Value::Null, Some("")),
        ("scope", json!(7), None),
        ("scope", json!([["traces:read"]]), None),
    ] {
        let authenticator = authenticator_with(with_claim(claim));
        let token = key.token(&claims_with(claim, value.clone()));
        let result = authenticate(&authenticator, &token, clock().now()).await;
        let scopes = result.ok().map(|caller| caller.scopes.to_string());
        assert_eq!(scopes.as_deref(), expected, "{claim} {value}");
    }
}

#[tokio::test]
async fn a_subject_must_be_printable() {
    for bad in [json!(""), json!("a\nb"), json!("x".repeat(256)), json!(5)] {
        check(&claims_with("sub", bad), "ClaimMalformed").await;
    }
    check(&claims_with("sub", Value::Null), "ClaimMissing").await;
}

#[test]
fn cognito_is_recognised_by_its_host() {
    let check = |issuer: &str, expected: AudienceClaim| {
        let keys = "https://keys.example/jwks.json".to_owned();
        let config = IssuerConfig::recognise(issuer, keys.clone(), vec!["a".to_owned()]);
        assert_eq!(config.audience_claim, expected, "{issuer}");
        assert_eq!(config.issuer, issuer);
        assert!(matches!(config.keys, identity::KeySource::JwksUri(uri) if uri == keys));
    };
    let client_id = AudienceClaim::ClientId;
    check(
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab",
        client_id,
    );
    check("https://issuer.example", AudienceClaim::Aud);
    check(
        "https://cognito-idp.evil.example/x.amazonaws.com",
        AudienceClaim::Aud,
    );
    check(
        "http://cognito-idp.eu-west-1.amazonaws.com/pool",
        AudienceClaim::Aud,
    );
}
