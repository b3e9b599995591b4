use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use redaction::Policy;
use trace_store::{Artifact, NewArtifact, StoreConfig, StoreError, TABLE, TraceStore};

use crate::backend::{Backend, RETENTION};
use crate::run_cases::run;
use crate::spans::{acme, globex, span_id, trace_id};

fn artifact(name: &str, body: &[u8]) -> NewArtifact {
    NewArtifact {
        name: Policy::standard().redact_text(name),
        content_type: "text/html; charset=utf-8".to_owned(),
        body: body.to_vec(),
        attempt: Some(span_id(7)),
        span_id: span_id(8),
    }
}

async fn write(store: &TraceStore, name: &str, body: &[u8]) -> Artifact {
    let new = artifact(name, body);
    let written = store.write_artifact(&acme(), trace_id(), new).await;
    let written = written.unwrap();
    let found = store.artifact(&acme(), trace_id(), &written.id).await;
    let found = found.unwrap().expect("it is there once it is written");
    assert_eq!(
        (found.bytes, &found.sha256),
        (written.bytes, &written.sha256)
    );
    found
}

pub(crate) async fn an_artifact_comes_back_as_it_was(backend: Backend) {
    let store = backend.store().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let reply = write(&store, "reply.html", b"<p>Hello</p>").await;
    backend.clock.advance(Duration::from_secs(1));
    let raw = write(&store, "of ann@example.com.bin", &bytes).await;
    assert_eq!(reply.name, "reply.html");
    assert_eq!(reply.span_id, span_id(8));
    assert!(!raw.name.contains("ann@example.com"), "{}", raw.name);
    let listed = store.list_artifacts(&acme(), trace_id()).await.unwrap();
    assert_eq!(listed, [reply.clone(), raw.clone()]);
    let read = store.read_artifact(&acme(), trace_id(), &raw).await;
    assert_eq!(read.unwrap().as_deref(), Some(bytes.as_slice()));
    let prefix = format!("t/acme/{}/artifacts/", trace_id());
    let mut expected = [&reply, &raw].map(|artifact| format!("{prefix}{}", artifact.sha256));
    expected.sort();
    let mut keys = backend.object_keys().await;
    keys.sort();
    assert_eq!(keys, expected);
}

pub(crate) async fn the_same_attempt_makes_the_same_artifact(backend: Backend) {
    let store = backend.store().await;
    let first = write(&store, "reply.html", b"Hello").await;
    let items = backend.items_of_kind("artifact#").await;
    backend.clock.advance(Duration::from_mins(1));
    assert_eq!(write(&store, "reply.html", b"Hello").await, first);
    assert_eq!(backend.items_of_kind("artifact#").await, items);
    assert_eq!(backend.object_keys().await.len(), 1);
    // Another name, other bytes, another attempt: another artifact. Equal bytes lie there once.
    let named = write(&store, "other.html", b"Hello").await;
    let other = write(&store, "reply.html", b"Goodbye").await;
    let mut again = artifact("reply.html", b"Hello");
    again.attempt = Some(span_id(9));
    let again = store.write_artifact(&acme(), trace_id(), again).await;
    let mut ids = vec![first.id, named.id, other.id, again.unwrap().id];
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert_eq!(backend.object_keys().await.len(), 2);
}

/// Hard case 20: between the two writes, and in the other order's place: an object that nothing
/// points to does no harm, and an item never comes before its object.
pub(crate) async fn hard_case_20_an_artifact_s_bytes_come_before_its_item(backend: Backend) {
    let store = backend.store().await;
    let made = write(&store, "reply.html", b"Hello").await;
    let item = backend.items_of_kind("artifact#").await.remove(0);
    let delete = backend.dynamodb.delete_item().table_name(&backend.name);
    let key = [TABLE.partition_key, TABLE.sort_key]
        .map(|name| (name.to_owned(), item[name].clone()))
        .into();
    delete.set_key(Some(key)).send().await.unwrap();
    let listed = store.list_artifacts(&acme(), trace_id()).await.unwrap();
    assert_eq!(listed, []);
    assert_eq!(write(&store, "reply.html", b"Hello").await, made);

    let remove = backend.s3.delete_object().bucket(&backend.name);
    let object = backend.object_keys().await.remove(0);
    remove.key(object).send().await.unwrap();
    let read = store.read_artifact(&acme(), trace_id(), &made).await;
    assert_eq!(read.unwrap(), None, "what is gone is told, not guessed");
    let nowhere = TraceStore::new(
        backend.dynamodb.clone(),
        backend.s3.clone(),
        StoreConfig::new(&backend.name, "missing-bucket"),
        backend.clock.clone(),
    );
    let refused = nowhere
        .write_artifact(&acme(), trace_id(), artifact("second.html", b"Hello"))
        .await;
    assert!(refused.is_err());
    let listed = store.list_artifacts(&acme(), trace_id()).await.unwrap();
    assert_eq!(listed, [made], "no item without its object");
}

pub(crate) async fn hard_case_5_artifacts_belong_to_one_tenant(backend: Backend) {
    let store = backend.store().await;
    let made = write(&store, "reply.html", b"Hello").await;
    let theirs = globex();
    let found = store.artifact(&theirs, trace_id(), &made.id).await;
    assert_eq!(found.unwrap(), None);
    assert_eq!(store.list_artifacts(&theirs, trace_id()).await.unwrap(), []);
    let read = store.read_artifact(&theirs, trace_id(), &made).await;
    assert_eq!(read.unwrap(), None);
    for id in ["", "#", "../x", "run"] {
        let found = store.artifact(&acme(), trace_id(), id).await;
        assert_eq!(found.unwrap(), None, "{id}");
    }
}

pub(crate) async fn hard_case_22_an_expired_artifact_is_invisible(backend: Backend) {
    let store = backend.store().await;
    let made = write(&store, "reply.html", b"Hello").await;
    backend.clock.advance(RETENTION);
    let found = store.artifact(&acme(), trace_id(), &made.id).await;
    assert_eq!(found.unwrap(), None);
    let listed = store.list_artifacts(&acme(), trace_id()).await.unwrap();
    assert_eq!(listed, []);
}

/// A name that is used again after 90 days has the new run's artifacts alone.
pub(crate) async fn artifacts_of_an_earlier_run_of_the_name_are_not_shown(backend: Backend) {
    let store = backend.store().await;
    let mut first = run("triage", 1);
    first.trace_id = trace_id();
    store.open_run(&first).await.unwrap();
    let made = write(&store, "reply.html", b"Hello").await;
    let mut second = first.clone();
    second.started_at = first.started_at.plus(Duration::from_hours(24));
    store.open_run(&second).await.unwrap();
    let listed = store.list_artifacts(&acme(), trace_id()).await.unwrap();
    assert_eq!(listed, []);
    let found = store.artifact(&acme(), trace_id(), &made.id).await;
    assert_eq!(found.unwrap(), None);
}

pub(crate) async fn altered_bytes_of_an_artifact_are_refused(backend: Backend) {
    let store = backend.store().await;
    let made = write(&store, "reply.html", b"Hello").await;
    let key = backend.object_keys().await.remove(0);
    let put = backend.s3.put_object().bucket(&backend.name).key(key);
    put.body(b"Jello".to_vec().into()).send().await.unwrap();
    let read = store.read_artifact(&acme(), trace_id(), &made).await;
    assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
}

pub(crate) async fn hard_case_8_a_link_lives_five_minutes_and_forces_a_download(backend: Backend) {
    let store = backend.store().await;
    let made = write(&store, "reply.html", b"<script>alert(1)</script>").await;
    let five = Duration::from_mins(5);
    let link = store.artifact_link(&acme(), trace_id(), &made, five).await;
    let link = link.unwrap();
    assert!(link.contains("X-Amz-Expires=300"), "{link}");
    assert!(
        link.contains("response-content-disposition=attachment"),
        "{link}"
    );
    let too_long = five + Duration::from_secs(1);
    let refused = store
        .artifact_link(&acme(), trace_id(), &made, too_long)
        .await;
    assert!(matches!(refused, Err(StoreError::LinkTooLong)));
    if backend.serves_links {
        let http = lambda_process::http_client().unwrap();
        let got = http.get(&link).send().await.unwrap();
        assert_eq!(got.status(), 200, "{link}");
        let header = |name: &str| got.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-disposition").starts_with("attachment; filename=\"reply.html\""));
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert_eq!(got.text().await.unwrap(), "<script>alert(1)</script>");
        let altered = link.replacen(&made.sha256, &"0".repeat(64), 1);
        assert_eq!(http.get(&altered).send().await.unwrap().status(), 403);
    }
}

pub(crate) async fn an_artifact_of_a_newer_format_is_refused_in_words(backend: Backend) {
    let store = backend.store().await;
    write(&store, "reply.html", b"Hello").await;
    let mut item = backend.items_of_kind("artifact#").await.remove(0);
    item.insert("version".to_owned(), AttributeValue::N("2".to_owned()));
    backend.put(item).await;
    let listed = store.list_artifacts(&acme(), trace_id()).await;
    assert!(
        matches!(listed, Err(StoreError::NewerVersion { found: 2, .. })),
        "{listed:?}"
    );
}
