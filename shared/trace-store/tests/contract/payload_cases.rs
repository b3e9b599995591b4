use redaction::Policy;
use trace_store::{NewArtifact, Payload, StoreError, TraceStore};

use crate::backend::{Backend, RETENTION};
use crate::spans::{acme, globex, noise, span_id, trace_id};

async fn write(store: &TraceStore, text: &str) -> Payload {
    let body = text.as_bytes().to_vec();
    store
        .write_payload(&acme(), trace_id(), "text/plain", body)
        .await
        .unwrap()
}

pub(crate) async fn a_payload_comes_back_as_it_was(backend: Backend) {
    let store = backend.store().await;
    for text in ["", "€", &noise(1, 300 << 10)] {
        let payload = write(&store, text).await;
        let folder = format!("payloads/acme/{}/", trace_id());
        assert_eq!(payload.key, format!("{folder}{}", payload.sha256));
        assert_eq!(payload.bytes, text.len() as u64);
        let read = store.read_payload(&acme(), &payload).await.unwrap();
        assert!(read == text.as_bytes());
    }
    assert_eq!(backend.object_keys().await.len(), 3);
    write(&store, "€").await;
    assert_eq!(backend.object_keys().await.len(), 3, "equal ones are one");
    assert_eq!(backend.items().await, [], "they are no part of the trace");
}

/// A reference is somebody's word: it opens nothing but what its own tenant wrote.
pub(crate) async fn hard_case_5_a_forged_reference_opens_nothing(backend: Backend) {
    let store = backend.store().await;
    let payload = write(&store, "ours").await;
    let refused = store.read_payload(&globex(), &payload).await;
    assert!(matches!(refused, Err(StoreError::PayloadRefused { .. })));
    // Things of the same bucket, told as a payload.
    let artifact = NewArtifact {
        name: Policy::standard().redact_text("a"),
        content_type: "text/plain".to_owned(),
        body: b"ours".to_vec(),
        attempt: None,
        span_id: span_id(1),
    };
    store
        .write_artifact(&acme(), trace_id(), artifact)
        .await
        .unwrap();
    let sha256 = payload.sha256.as_str();
    let trace = trace_id().to_string();
    for key in [
        format!("t/acme/{trace}/artifacts/{sha256}"),
        format!("payloads/acme/../acme/{trace}/{sha256}"),
        format!("payloads/globex/../acme/{trace}/{sha256}"),
        format!("payloads/acme/{trace}/../{trace}/{sha256}"),
        format!("payloads/acme//{trace}/{sha256}"),
        format!("/payloads/acme/{trace}/{sha256}"),
        format!("payloads/acme/{trace}/{}", sha256.to_uppercase()),
        format!("payloads/acme/{}/{sha256}", trace.to_uppercase()),
        format!("payloads/acme/{sha256}"),
        format!("payloads/acme/{trace}/{sha256}/"),
        String::new(),
    ] {
        let forged = Payload {
            key: key.clone(),
            ..payload.clone()
        };
        let refused = store.read_payload(&acme(), &forged).await;
        assert!(
            matches!(refused, Err(StoreError::PayloadRefused { .. })),
            "{key}: {refused:?}"
        );
    }
    let elsewhere = Payload {
        bucket: "another".to_owned(),
        ..payload.clone()
    };
    let refused = store.read_payload(&acme(), &elsewhere).await;
    assert!(matches!(refused, Err(StoreError::PayloadRefused { .. })));
    let other = "0".repeat(64);
    let nothing = Payload {
        key: format!("payloads/acme/{trace}/{other}"),
        sha256: other,
        ..payload.clone()
    };
    let gone = store.read_payload(&acme(), &nothing).await;
    assert!(matches!(gone, Err(StoreError::PayloadGone)), "{gone:?}");
}

pub(crate) async fn an_altered_payload_is_refused(backend: Backend) {
    let store = backend.store().await;
    let payload = write(&store, "ours").await;
    let lying = Payload {
        bytes: 5,
        ..payload.clone()
    };
    let refused = store.read_payload(&acme(), &lying).await;
    assert!(matches!(refused, Err(StoreError::PayloadAltered { .. })));
    let put = backend.s3.put_object().bucket(&backend.name);
    let put = put.key(&payload.key).body(b"ouch".to_vec().into());
    put.send().await.unwrap();
    let refused = store.read_payload(&acme(), &payload).await;
    assert!(matches!(refused, Err(StoreError::PayloadAltered { .. })));
}

pub(crate) async fn hard_case_22_an_expired_payload_is_gone(backend: Backend) {
    let store = backend.store().await;
    let payload = write(&store, "ours").await;
    backend.clock.advance(RETENTION / 2);
    write(&store, "ours").await;
    backend.clock.advance(RETENTION / 2);
    store.read_payload(&acme(), &payload).await.unwrap();
    backend.clock.advance(RETENTION / 2);
    let gone = store.read_payload(&acme(), &payload).await;
    assert!(matches!(gone, Err(StoreError::PayloadGone)), "{gone:?}");
}
