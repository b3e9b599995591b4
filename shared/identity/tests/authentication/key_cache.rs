//! Hard case 3: how often the JWKS endpoint is asked, and what happens when it misbehaves.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use identity::{Authenticator, IdentityConfig, IdentityError, KeySource};
use serde_json::json;
use trace_model::Clock;

use crate::support::{
    Answer, COOLDOWN, JwksServer, LONGEST_OUTAGE, TTL, TestKey, authenticate, claims_with, clock,
    config, http_client, issuer_with, outcome,
};

const SECOND: Duration = Duration::from_secs(1);

/// A token that outlives every test.
fn token(key: &TestKey) -> String {
    key.token(&claims_with("exp", json!(crate::support::NOW + 1_000_000)))
}

async fn check(authenticator: &Authenticator, key: &TestKey, clock: &Clock, expected: &str) {
    let result = authenticate(authenticator, &token(key), clock.now()).await;
    assert_eq!(outcome(&result), expected, "{result:?}");
}

#[tokio::test]
async fn a_thousand_unknown_kids_cause_one_fetch() {
    let known = TestKey::ed25519("known");
    let server = JwksServer::start(Answer::Keys(vec![known.clone()])).await;
    let authenticator = server.authenticator();
    let clock = clock();
    let unknown = TestKey::ed25519("unknown");
    for number in 0..1000 {
        let stranger = TestKey {
            id: format!("unknown-{number}"),
            ..unknown.clone()
        };
        check(&authenticator, &stranger, &clock, "UnknownKey").await;
    }
    assert_eq!(server.fetches(), 1);
    check(&authenticator, &known, &clock, "Ok").await;

    // The same against a warm cache, all at once.
    clock.advance(COOLDOWN);
    let authenticator = &authenticator;
    let results = join_all((0..1000).map(|number| {
        let stranger = TestKey {
            id: format!("other-{number}"),
            ..unknown.clone()
        };
        let now = clock.now();
        async move { authenticate(authenticator, &token(&stranger), now).await }
    }));
    let results = results.await;
    assert!(results.iter().all(|result| outcome(result) == "UnknownKey"));
    assert_eq!(server.fetches(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_concurrent_cold_misses_cause_one_fetch() {
    let key = TestKey::ed25519("known");
    let server = JwksServer::start(Answer::Keys(vec![key.clone()])).await;
    let authenticator = Arc::new(server.authenticator());
    let token = token(&key);
    let requests = (0..50).map(|_| {
        let (authenticator, token) = (Arc::clone(&authenticator), token.clone());
        tokio::spawn(async move { authenticate(&authenticator, &token, clock().now()).await })
    });
    for result in join_all(requests).await {
        assert_eq!(outcome(&result.unwrap()), "Ok");
    }
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn fifty_concurrent_cold_misses_of_a_dead_endpoint_cause_one_fetch() {
    let key = TestKey::ed25519("known");
    let server = JwksServer::start(Answer::Status(500)).await;
    let authenticator = server.authenticator();
    let token = token(&key);
    let now = clock().now();
    let requests = (0..50).map(|_| authenticate(&authenticator, &token, now));
    for result in join_all(requests).await {
        assert_eq!(outcome(&result), "KeysUnavailable");
    }
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn a_new_key_works_after_the_cooldown() {
    let old = TestKey::ed25519("old");
    let new = TestKey::es256("new");
    let server = JwksServer::start(Answer::Keys(vec![old.clone()])).await;
    let authenticator = server.authenticator();
    let clock = clock();
    check(&authenticator, &old, &clock, "Ok").await;

    server.answer_with(Answer::Keys(vec![old.clone(), new.clone()]));
    clock.advance(COOLDOWN.saturating_sub(SECOND));
    check(&authenticator, &new, &clock, "UnknownKey").await;
    assert_eq!(server.fetches(), 1);
    clock.advance(SECOND);
    check(&authenticator, &new, &clock, "Ok").await;
    check(&authenticator, &old, &clock, "Ok").await;
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn cached_keys_go_on_serving_while_the_endpoint_is_down() {
    let key = TestKey::ed25519("known");
    let server = JwksServer::start(Answer::Keys(vec![key.clone()])).await;
    let authenticator = server.authenticator();
    let clock = clock();
    check(&authenticator, &key, &clock, "Ok").await;

    server.answer_with(Answer::Status(503));
    clock.advance(TTL);
    for _ in 0..20 {
        check(&authenticator, &key, &clock, "Ok").await;
    }
    assert_eq!(server.fetches(), 2, "one attempt per cool-down");
    clock.advance(COOLDOWN);
    check(&authenticator, &key, &clock, "Ok").await;
    assert_eq!(server.fetches(), 3);
    check(&authenticator, &TestKey::ed25519("x"), &clock, "UnknownKey").await;

    clock.advance(LONGEST_OUTAGE);
    check(&authenticator, &key, &clock, "KeysUnavailable").await;
    server.answer_with(Answer::Keys(vec![key.clone()]));
    clock.advance(COOLDOWN);
    check(&authenticator, &key, &clock, "Ok").await;
}

#[tokio::test]
async fn a_withdrawn_key_stops_after_its_ttl() {
    let key = TestKey::ed25519("withdrawn");
    let server = JwksServer::start(Answer::Keys(vec![key.clone()])).await;
    let authenticator = server.authenticator();
    let clock = clock();
    check(&authenticator, &key, &clock, "Ok").await;

    server.answer_with(Answer::Keys(vec![]));
    clock.advance(TTL.saturating_sub(SECOND));
    check(&authenticator, &key, &clock, "Ok").await;
    clock.advance(SECOND);
    check(&authenticator, &key, &clock, "UnknownKey").await;
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn an_exchanged_key_under_the_same_id_stops_after_its_ttl() {
    let old = TestKey::ed25519("same");
    let new = TestKey::ed25519("same");
    let server = JwksServer::start(Answer::Keys(vec![old.clone()])).await;
    let authenticator = server.authenticator();
    let clock = clock();
    check(&authenticator, &old, &clock, "Ok").await;
    server.answer_with(Answer::Keys(vec![new.clone()]));
    clock.advance(TTL);
    check(&authenticator, &old, &clock, "InvalidSignature").await;
    check(&authenticator, &new, &clock, "Ok").await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_stop_the_fetch() {
    let key = TestKey::ed25519("known");
    let server = JwksServer::start(Answer::Keys(vec![key.clone()])).await;
    let authenticator = server.authenticator();
    let token = token(&key);
    let now = clock().now();
    {
        let request = authenticate(&authenticator, &token, now);
        // Polled once: the fetch is under way, then the caller is gone.
        let gone = futures::future::poll_immediate(request).await;
        assert!(gone.is_none());
    }
    let result = authenticate(&authenticator, &token, now).await;
    assert_eq!(outcome(&result), "Ok");
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn a_key_set_without_end_is_cut_off() {
    let key = TestKey::ed25519("known");
    let server = JwksServer::start(Answer::Endless).await;
    let clock = clock();
    check(&server.authenticator(), &key, &clock, "KeysUnavailable").await;
}

#[tokio::test]
async fn an_endpoint_that_falls_silent_is_given_up() {
    let key = TestKey::ed25519("known");
    let server = JwksServer::start(Answer::Silent).await;
    let issuer = issuer_with(KeySource::JwksUri(server.uri.clone()));
    let config = IdentityConfig {
        jwks_timeout: Duration::from_millis(50),
        ..config(vec![issuer])
    };
    let authenticator = Authenticator::new(config, &http_client()).unwrap();
    check(&authenticator, &key, &clock(), "KeysUnavailable").await;
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn what_is_no_key_set_replaces_no_keys() {
    let key = TestKey::ed25519("known");
    let server = JwksServer::start(Answer::Keys(vec![key.clone()])).await;
    let elsewhere = JwksServer::start(Answer::Keys(vec![])).await;
    let authenticator = server.authenticator();
    let clock = clock();
    check(&authenticator, &key, &clock, "Ok").await;
    clock.advance(TTL);
    for answer in [
        Answer::Text("<html>maintenance</html>"),
        Answer::Text("{\"error\":\"busy\"}"),
        Answer::Status(404),
        Answer::Redirect(elsewhere.uri.clone()),
    ] {
        server.answer_with(answer);
        clock.advance(COOLDOWN);
        check(&authenticator, &key, &clock, "Ok").await;
    }
    assert_eq!(server.fetches(), 5);
}

#[test]
fn keys_do_not_travel_in_clear() {
    let check = |uri: &str, accepted: bool| {
        let issuer = issuer_with(KeySource::JwksUri(uri.to_owned()));
        let outcome = Authenticator::new(config(vec![issuer]), &http_client());
        assert_eq!(outcome.is_ok(), accepted, "{uri}");
    };
    check("https://issuer.example/jwks", true);
    check("http://127.0.0.1:1/jwks", true);
    check("http://localhost:1/jwks", true);
    check("http://issuer.example/jwks", false);
    check("http://localhost.evil.example/jwks", false);
    check("file:///etc/passwd", false);
    check("https://user:secret@issuer.example/jwks", false);
    check("jwks.json", false);
}

#[test]
fn a_configuration_that_cannot_hold_is_refused() {
    let issuer = || issuer_with(KeySource::Static(json!({"keys": []})));
    let check = |config: IdentityConfig, field: &str| {
        let error = Authenticator::new(config, &http_client()).unwrap_err();
        let IdentityError::Configuration { field: found, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*found, field);
    };
    let mut no_audience = issuer();
    no_audience.audiences.clear();
    check(config(vec![no_audience]), "audiences");
    let mut no_algorithm = issuer();
    no_algorithm.algorithms.clear();
    check(config(vec![no_algorithm]), "algorithms");
    check(config(vec![issuer(), issuer()]), "issuer");
    let mut long_cooldown = config(vec![issuer()]);
    long_cooldown.jwks_cooldown = TTL + SECOND;
    check(long_cooldown, "jwks_cooldown");
    let mut short_outage = config(vec![issuer()]);
    short_outage.jwks_longest_outage = SECOND;
    check(short_outage, "jwks_longest_outage");
}
