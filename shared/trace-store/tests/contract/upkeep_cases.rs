//! What looks after the store as a whole: tenants, notes, orphaned objects, lost summaries.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use redaction::Policy;
use trace_model::Timestamp;
use trace_store::{NewArtifact, Note, NoteWrite, TABLE, TraceObject, TraceStore};

use crate::backend::{Backend, RETENTION};
use crate::run_cases::run;
use crate::spans::{acme, finished, globex, noise, open, redacted, span_id, trace_id, with_text};

const FIELD: &str = "workflow.input";

pub(crate) async fn tenants_are_known_from_their_first_run_on(backend: Backend) {
    let store = backend.store().await;
    assert_eq!(store.tenants().await.unwrap(), []);
    let ours = run("triage", 1);
    store.open_run(&ours).await.unwrap();
    store.open_run(&run("triage", 2)).await.unwrap();
    let mut theirs = run("triage", 3);
    theirs.tenant = globex();
    theirs.status = trace_model::RunStatus::Succeeded;
    theirs.finished_at = Some(theirs.started_at);
    store.close_run(&theirs).await.unwrap();
    assert_eq!(store.tenants().await.unwrap(), [acme(), globex()]);
    // A tenant that goes on having runs stays known, by whichever process.
    backend.clock.advance(RETENTION);
    store.open_run(&run("triage", 4)).await.unwrap();
    backend.clock.advance(Duration::from_hours(4 * 24));
    assert_eq!(store.tenants().await.unwrap(), [acme()]);
}

pub(crate) async fn notes_are_kept_until_somebody_else_writes_them(backend: Backend) {
    let store = backend.store().await;
    let note = |text: &str| Note {
        name: "machine#a".to_owned(),
        text: text.to_owned(),
    };
    let write = |text: &'static str, known| {
        let store = store.clone();
        async move { store.write_note("tests", &note(text), known).await.unwrap() }
    };
    assert_eq!(write("one", None).await, NoteWrite::Written);
    assert_eq!(
        write("one", None).await,
        NoteWrite::Written,
        "an answer was lost"
    );
    assert_eq!(write("two", Some("one")).await, NoteWrite::Written);
    assert_eq!(write("three", Some("one")).await, NoteWrite::Overtaken);
    assert_eq!(write("three", None).await, NoteWrite::Overtaken);
    assert_eq!(store.notes("tests").await.unwrap(), [note("two")]);
    assert_eq!(store.notes("others").await.unwrap(), []);
    for _ in 0..2 {
        store.delete_note("tests", "machine#a").await.unwrap();
        assert_eq!(store.notes("tests").await.unwrap(), []);
    }
    assert_eq!(write("gone", Some("two")).await, NoteWrite::Overtaken);
}

async fn objects(store: &TraceStore) -> Vec<TraceObject> {
    let page = store.list_trace_objects(None).await.unwrap();
    assert_eq!(page.next, None);
    page.objects
}

async fn sweep(store: &TraceStore, objects: &[TraceObject]) -> usize {
    let deleted = store.delete_orphans(&acme(), trace_id(), objects).await;
    deleted.unwrap()
}

/// Bodies of both revisions, a span too large for an item, an artifact, and two objects that
/// broken writes left.
pub(crate) async fn hard_case_20_only_what_nothing_points_to_is_swept(backend: Backend) {
    let store = backend.store().await;
    let opened = with_text(open(1), FIELD, noise(1, 24_000));
    let ended = with_text(finished(1), FIELD, noise(2, 24_000));
    let mut large = finished(2);
    large.set("large", noise(3, 900_000));
    for span in [opened, ended, large] {
        store
            .write_spans(&acme(), trace_id(), redacted([span]))
            .await
            .unwrap();
    }
    let artifact = NewArtifact {
        name: Policy::standard().redact_text("a"),
        content_type: "text/plain".to_owned(),
        body: b"made".to_vec(),
        attempt: None,
        span_id: span_id(1),
    };
    store
        .write_artifact(&acme(), trace_id(), artifact)
        .await
        .unwrap();
    store
        .write_payload(
            &acme(),
            trace_id(),
            "text/plain",
            b"the workflow's".to_vec(),
        )
        .await
        .unwrap();
    let kept = objects(&store).await;
    assert_eq!(kept.len(), 4, "{kept:?}");
    let folder = format!("t/acme/{}/", trace_id());
    for left in ["0".repeat(64), format!("artifacts/{}", "1".repeat(64))] {
        put(&backend, &format!("{folder}{left}")).await;
    }
    let all = objects(&store).await;
    assert_eq!(all.len(), 6);
    assert!(
        all.iter()
            .all(|one| (&one.tenant, one.trace_id) == (&acme(), trace_id()))
    );
    assert_eq!(sweep(&store, &all).await, 2);
    assert_eq!(objects(&store).await, kept);
    assert_eq!(sweep(&store, &all).await, 0);
    assert_eq!(backend.object_keys().await.len(), 5, "the payload stays");
    // Another tenant's objects are not among a trace's, whoever asks.
    let asked = store.delete_orphans(&globex(), trace_id(), &kept).await;
    assert_eq!(asked.unwrap(), 0);
    assert_eq!(objects(&store).await, kept);
}

/// The sweeper listed an object, and before it looks, a writer has stored the same body again:
/// the item that points to it is yet to come.
pub(crate) async fn hard_case_20_what_is_written_again_meanwhile_stays(backend: Backend) {
    let store = backend.store().await;
    let key = format!("t/acme/{}/{}", trace_id(), "0".repeat(64));
    put(&backend, &key).await;
    let mut listed = objects(&store).await;
    // As if it had been listed two days ago.
    let two_days = Duration::from_hours(48);
    listed[0].written_at = listed[0].written_at.minus(two_days);
    assert_eq!(sweep(&store, &listed).await, 0);
    assert_eq!(backend.object_keys().await, [key]);
    assert_eq!(sweep(&store, &objects(&store).await).await, 1);
}

pub(crate) async fn objects_are_listed_page_by_page(backend: Backend) {
    let store = backend.store().await;
    let folder = format!("t/acme/{}/", trace_id());
    for number in 0..1_003 {
        put(&backend, &format!("{folder}{number:064}")).await;
    }
    put(&backend, "payloads/acme/x/y").await;
    put(&backend, "t/ACME/nobody/knows").await;
    let first = store.list_trace_objects(None).await.unwrap();
    let second = store.list_trace_objects(first.next.as_deref()).await;
    let second = second.unwrap();
    assert_eq!(second.next, None);
    assert_eq!(first.objects.len() + second.objects.len(), 1_003);
    assert!(
        first
            .objects
            .iter()
            .all(|one| one.written_at > Timestamp::default())
    );
}

pub(crate) async fn an_announced_trace_comes_in_the_stream_again(backend: Backend) {
    let store = backend.store().await;
    assert!(!store.announce(&acme(), trace_id()).await.unwrap());
    let spans = redacted([with_text(finished(1), FIELD, "text")]);
    store.write_spans(&acme(), trace_id(), spans).await.unwrap();
    let before = store.read_structure(&acme(), trace_id()).await.unwrap();
    let item = backend.items_of_kind("chunk#").await.remove(0);
    backend.clock.advance(Duration::from_mins(1));
    assert!(store.announce(&acme(), trace_id()).await.unwrap());
    let mut after = backend.items_of_kind("chunk#").await;
    assert_eq!(after.len(), 1);
    assert_ne!(
        after[0], item,
        "an update that changes nothing is not in the stream"
    );
    assert_eq!(after[0][TABLE.ttl_attribute], item[TABLE.ttl_attribute]);
    after[0].insert("written_at".to_owned(), item["written_at"].clone());
    assert_eq!(after[0], item);
    let read = store.read_structure(&acme(), trace_id()).await.unwrap();
    assert_eq!(read, before);
}

async fn put(backend: &Backend, key: &str) {
    let put = backend.s3.put_object().bucket(&backend.name).key(key);
    put.body(ByteStream::from_static(b"x"))
        .send()
        .await
        .unwrap();
}
