use trace_model::{Content, ContentBody, ContentLocation, Span};
use trace_store::{StoreError, TABLE, TraceStore};

use crate::backend::Backend;
use crate::spans::{acme, finished, noise, redacted, span_id, trace_id, with_text};

const FIELD: &str = "gen_ai.input.messages";

async fn write(store: &TraceStore, spans: impl IntoIterator<Item = Span>) {
    let spans = redacted(spans);
    store.write_spans(&acme(), trace_id(), spans).await.unwrap();
}

/// Stores the text and reads it back; says where it lay.
async fn check(store: &TraceStore, number: u64, text: &str) -> ContentLocation {
    write(store, [with_text(finished(number), FIELD, text)]).await;
    let span = store.read_span(&acme(), trace_id(), span_id(number)).await;
    let span = span.unwrap().unwrap();
    let content = &span.span().content[FIELD];
    assert_eq!(content.bytes, text.len() as u64);
    let read = store.read_content(&acme(), trace_id(), &span, FIELD).await;
    assert!(read.unwrap() == text, "text {number} came back altered");
    match &content.body {
        ContentBody::Stored(location) => location.clone(),
        ContentBody::Text(_) => panic!("the text is in the structure"),
    }
}

pub(crate) async fn bodies_lie_where_their_size_says(backend: Backend) {
    let store = backend.store().await;
    for (number, text, expected) in [
        (1, String::new(), "item"),
        (2, noise(2, 4096), "item"),
        (3, noise(3, 4097), "chunk"),
        (4, "compresses well ".repeat(10_000), "chunk"),
        (5, noise(5, 24_000), "object"),
        // Three bytes a character, across the threshold.
        (6, "€".repeat(1365), "item"),
        (7, "€".repeat(1366), "chunk"),
    ] {
        let found = match check(&store, number, &text).await {
            ContentLocation::Item => "item",
            ContentLocation::Chunk(_) => "chunk",
            ContentLocation::Object(key) => {
                assert!(key.starts_with(&format!("t/acme/{}/", trace_id())), "{key}");
                "object"
            }
        };
        assert_eq!(found, expected, "text {number}");
    }
    assert_eq!(backend.items_of_kind("content#").await.len(), 3);
    assert_eq!(backend.object_keys().await.len(), 1);
}

pub(crate) async fn hard_case_17_values_around_400_kb_stay_whole(backend: Backend) {
    let store = backend.store().await;
    for (number, kilobytes) in [(1, 399), (2, 400), (3, 401)] {
        let text = noise(number, kilobytes << 10);
        check(&store, number, &text).await;
    }
    let boundary = format!("{}€{}", "x".repeat((400 << 10) - 1), "€".repeat(10));
    check(&store, 4, &boundary).await;
}

pub(crate) async fn hard_case_17_attributes_around_400_kb_stay_whole(backend: Backend) {
    let store = backend.store().await;
    let spans: Vec<_> = [(1, 399), (2, 400), (3, 401), (4, 1)]
        .into_iter()
        .map(|(number, kilobytes)| {
            let mut span = finished(number);
            span.set(
                "custom.value",
                format!("{}€", noise(number, kilobytes << 10)),
            );
            with_text(span, FIELD, "beside it")
        })
        .collect();
    write(&store, spans.clone()).await;
    let structure = store.read_structure(&acme(), trace_id()).await.unwrap();
    assert_eq!(structure.spans.len(), 4);
    for (written, read) in spans.iter().zip(&structure.spans) {
        assert!(written.text("custom.value") == read.span().text("custom.value"));
        let content = store.read_content(&acme(), trace_id(), read, FIELD).await;
        assert_eq!(content.unwrap(), "beside it");
    }
}

pub(crate) async fn hard_case_17_a_body_of_20_mb_stays_whole(backend: Backend) {
    let store = backend.store().await;
    let body = noise(1, 20 << 20);
    let location = check(&store, 1, &body).await;
    assert!(matches!(location, ContentLocation::Object(_)));
    // Opening the trace does not carry it.
    let item = &backend.items_of_kind("chunk#").await[0];
    assert!(item["structure"].as_b().unwrap().as_ref().len() < 2000);
}

pub(crate) async fn hard_case_17_many_small_bodies_of_one_span_stay_whole(backend: Backend) {
    let store = backend.store().await;
    let span = (0..200).fold(finished(1), |span, number| {
        with_text(span, &format!("field.{number}"), noise(number, 4000))
    });
    write(&store, [span.clone(), finished(2)]).await;
    let read = store.read_span(&acme(), trace_id(), span_id(1)).await;
    let read = read.unwrap().unwrap();
    for (field, content) in &span.content {
        let text = store.read_content(&acme(), trace_id(), &read, field).await;
        assert!(Some(text.unwrap().as_str()) == content.as_text(), "{field}");
    }
}

pub(crate) async fn equal_bodies_of_a_trace_are_stored_once(backend: Backend) {
    let store = backend.store().await;
    let (item, object) = (noise(1, 6000), noise(2, 60_000));
    for batch in 0..3_u64 {
        let spans = (0..4).flat_map(|number| {
            let number = batch * 10 + number * 2;
            [
                with_text(finished(number), FIELD, item.as_str()),
                with_text(finished(number + 1), FIELD, object.as_str()),
            ]
        });
        write(&store, spans).await;
    }
    assert_eq!(backend.items_of_kind("content#").await.len(), 1);
    assert_eq!(backend.object_keys().await.len(), 1);
    let structure = store.read_structure(&acme(), trace_id()).await.unwrap();
    assert_eq!(structure.spans.len(), 24);
    for span in &structure.spans {
        let text = store
            .read_content(&acme(), trace_id(), span, FIELD)
            .await
            .unwrap();
        assert!(text == item || text == object);
    }
}

pub(crate) async fn an_altered_body_is_refused(backend: Backend) {
    let store = backend.store().await;
    let (one, other) = (noise(1, 6000), noise(2, 6000));
    check(&store, 1, &one).await;
    check(&store, 2, &other).await;
    let items = backend.items_of_kind("content#").await;
    // Each body under the other's key.
    for (keys, body) in [(0, 1), (1, 0)] {
        let mut swapped = items[keys].clone();
        swapped.insert("body".to_owned(), items[body]["body"].clone());
        backend.put(swapped).await;
    }
    let span = store.read_span(&acme(), trace_id(), span_id(1)).await;
    let read = store
        .read_content(&acme(), trace_id(), &span.unwrap().unwrap(), FIELD)
        .await;
    let error = read.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let own_words = error.to_string();
    assert!(!own_words.contains(items[0][TABLE.sort_key].as_s().unwrap()));
}

pub(crate) async fn a_span_without_its_texts_is_refused(backend: Backend) {
    let store = backend.store().await;
    let mut span = finished(1);
    let mut content = Content::text("text/plain", "moved on");
    content.body = ContentBody::Stored(ContentLocation::Item);
    span.content.insert(FIELD.to_owned(), content);
    let refused = store
        .write_spans(&acme(), trace_id(), redacted([span]))
        .await;
    assert!(matches!(refused, Err(StoreError::TextElsewhere { .. })));
    let nothing = store.read_structure(&acme(), trace_id()).await.unwrap();
    assert_eq!(nothing.spans, []);
}
