//! Hard case 4: no tenant claim ever forms another tenant's key.

use identity::IssuerConfig;
use serde_json::{Value, json};

use crate::support::{
    TestKey, authenticate, authenticator_for, authenticator_with, claims_with, clock, good_claims,
    issuer_with, outcome, static_keys,
};

async fn check(payload: &str, expected: &str) {
    let key = TestKey::ed25519("d");
    let token = key.sign(&key.header().to_string(), payload);
    let result = authenticate(&authenticator_for(&[&key]), &token, clock().now()).await;
    assert_eq!(outcome(&result), expected, "{payload}");
}

#[tokio::test]
async fn a_missing_or_empty_tenant_is_refused_and_none_stands_in_for_it() {
    check(
        &claims_with("tenant", Value::Null).to_string(),
        "ClaimMissing",
    )
    .await;
    check(
        &claims_with("tenant", json!("")).to_string(),
        "InvalidTenant",
    )
    .await;
    for bad in [
        json!(["acme"]),
        json!(1),
        json!({"id": "acme"}),
        json!(true),
    ] {
        check(&claims_with("tenant", bad).to_string(), "ClaimMalformed").await;
    }
}

#[tokio::test]
async fn a_duplicated_tenant_is_refused_in_either_order() {
    for (first, second) in [("acme", "globex"), ("globex", "acme"), ("acme", "acme")] {
        let payload = claims_with("tenant", json!(first)).to_string();
        let payload = format!(
            "{},\"tenant\":\"{second}\"}}",
            payload.strip_suffix('}').unwrap()
        );
        check(&payload, "DuplicateClaim").await;
        let escaped = payload.replacen("\"tenant\"", "\"t\\u0065nant\"", 1);
        check(&escaped, "DuplicateClaim").await;
    }
}

#[tokio::test]
async fn a_tenant_that_differs_by_form_is_refused_and_never_normalised() {
    for bad in [
        "acme#b",
        "acme#0123456789abcdef0123456789abcdef",
        "Acme",
        "ACME",
        " acme",
        "acme ",
        "acme\n",
        "acme\0",
        "ａｃｍｅ",
        "асme",
        "acme\u{301}",
        "acm\u{e9}",
        "acme\u{200b}",
        "\u{212a}",
        "acme/globex",
        "acme*",
        "../globex",
        "-acme",
    ] {
        check(
            &claims_with("tenant", json!(bad)).to_string(),
            "InvalidTenant",
        )
        .await;
    }
    let long = "a".repeat(64);
    check(
        &claims_with("tenant", json!(long)).to_string(),
        "InvalidTenant",
    )
    .await;
}

#[tokio::test]
async fn only_the_configured_claim_names_the_tenant() {
    let key = TestKey::ed25519("d");
    let authenticator = authenticator_with(IssuerConfig {
        tenant_claim: "https://stepscope.dev/tenant".to_owned(),
        ..issuer_with(static_keys(&[&key]))
    });
    let result = authenticate(&authenticator, &key.token(&good_claims()), clock().now()).await;
    assert_eq!(outcome(&result), "ClaimMissing");
    let claims = claims_with("https://stepscope.dev/tenant", json!("globex"));
    let caller = authenticate(&authenticator, &key.token(&claims), clock().now())
        .await
        .unwrap();
    assert_eq!(caller.tenant.as_str(), "globex");
    for other in ["Tenant", "tenant_id", "org"] {
        let claims = claims_with(other, json!("globex")).to_string();
        check(&claims, "Ok").await;
    }
}
