use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::BillingMode;
use futures::TryStreamExt as _;
use lambda_process::metrics::Captured;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use trace_model::{Clock, EndsFrom, Revision, Span, SpanKind, Status, conventions};
use trace_store::{ChunkKey, StoreError, StoredSpan, TABLE, TraceStore};

use crate::backend::{Backend, RETENTION};
use crate::spans::{
    acme, at, finished, full, globex, noise, open, redacted, span_id, trace_id, with_text,
};

async fn write(store: &TraceStore, spans: impl IntoIterator<Item = Span>) {
    let spans = redacted(spans);
    store.write_spans(&acme(), trace_id(), spans).await.unwrap();
}

async fn read(store: &TraceStore) -> Vec<StoredSpan> {
    let structure = store.read_structure(&acme(), trace_id()).await;
    structure.unwrap().spans
}

fn names(spans: &[StoredSpan]) -> Vec<&str> {
    spans.iter().map(|span| span.span().name.as_str()).collect()
}

pub(crate) async fn a_write_tells_what_it_wrote_and_a_repeated_one_nothing(backend: Backend) {
    let store = backend.store().await;
    let mut priced = full(1);
    priced.set(conventions::COST_PICO_USD, 250_000_000_000_i64);
    let mail = "write to dana@example.com and lee@example.com";
    let spans = [priced, with_text(finished(2), "input", mail)];
    // It comes again, finished, with the same address.
    let open = with_text(open(3), "input", mail);
    for told in [true, false] {
        let spans = redacted(spans.iter().cloned().chain([open.clone()]));
        let write = store.write_spans(&acme(), trace_id(), spans).await;
        let captured = Captured::default();
        let metrics = captured.metrics(Clock::system());
        write.unwrap().report(&mut metrics.batch());
        if !told {
            assert_eq!(captured.text(), "");
            continue;
        }
        let lines = captured.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["SpansWritten"], 3);
        assert!(lines[0]["BytesWritten"].as_u64() > Some(100));
        assert_eq!(lines[0]["ModelCost"], 0.25);
        assert_eq!(lines[0]["Detector"], "email");
        assert_eq!(lines[0]["Redactions"], 2);
    }
}

pub(crate) async fn the_table_is_as_described(backend: Backend) {
    let store = backend.store().await;
    store.create_table_if_missing().await.unwrap();
    let described = backend.dynamodb.describe_table().table_name(&backend.name);
    let table = described.send().await.unwrap().table.unwrap();
    let keys: Vec<_> = table
        .key_schema()
        .iter()
        .map(aws_sdk_dynamodb::types::KeySchemaElement::attribute_name)
        .collect();
    assert_eq!(keys, [TABLE.partition_key, TABLE.sort_key]);
    let billing = table
        .billing_mode_summary()
        .and_then(|mode| mode.billing_mode().cloned());
    assert_eq!(billing, Some(BillingMode::PayPerRequest));
    let mut indexes: Vec<_> = table
        .global_secondary_indexes()
        .iter()
        .map(|index| {
            let keys: Vec<_> = index
                .key_schema()
                .iter()
                .map(aws_sdk_dynamodb::types::KeySchemaElement::attribute_name)
                .collect();
            (index.index_name().unwrap(), keys)
        })
        .collect();
    indexes.sort();
    let expected: Vec<_> = TABLE
        .indexes
        .iter()
        .map(|index| (index.name, vec![index.partition_key, index.sort_key]))
        .collect();
    assert_eq!(indexes, expected);
}

pub(crate) async fn spans_come_back_as_they_were(backend: Backend) {
    let store = backend.store().await;
    let spans = redacted([full(2), finished(1), open(3), full(0)]);
    let mut expected: Vec<_> = spans.iter().map(|span| span.span().clone()).collect();
    expected.sort_by_key(|span| span.start);
    let receipt = store.write_spans(&acme(), trace_id(), spans).await.unwrap();
    assert_eq!((receipt.spans, receipt.chunks), (4, 1));
    let read: Vec<_> = read(&store)
        .await
        .iter()
        .map(|span| span.span().clone())
        .collect();
    assert_eq!(read, expected);
    let one = store
        .read_span(&acme(), trace_id(), span_id(2))
        .await
        .unwrap();
    assert_eq!(one.unwrap().span(), &expected[2]);
    let none = store
        .read_span(&acme(), trace_id(), span_id(9))
        .await
        .unwrap();
    assert_eq!(none, None);
}

pub(crate) async fn the_stored_format_is_plain_otlp(backend: Backend) {
    let store = backend.store().await;
    let text = "What is the capital of France?";
    let span = with_text(full(1), "gen_ai.input.messages", text);
    let large = with_text(span, "workflow.input", noise(1, 100_000));
    write(&store, [large]).await;
    let items = backend.items_of_kind("chunk#").await;
    let structure = items[0]["structure"].as_b().unwrap().as_ref();
    let bytes = zstd::decode_all(structure).unwrap();
    let request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.trace_id, trace_id().as_bytes());
    assert_eq!(span.span_id, span_id(1).as_bytes());
    assert_eq!(span.parent_span_id, span_id(0).as_bytes());
    assert_eq!(span.start_time_unix_nano, at(1).as_unix_nanos());
    assert_eq!(span.end_time_unix_nano, at(6).as_unix_nanos());
    assert_eq!(span.name, "span 1");
    assert_eq!((span.events.len(), span.links.len()), (1, 1));
    let within = bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes());
    assert!(!within, "structure holds no content");
    assert!(bytes.len() < 4000);
}

pub(crate) async fn hard_case_14_the_same_batch_twice_is_one_chunk(backend: Backend) {
    let store = backend.store().await;
    let batch = || {
        redacted([
            full(1),
            with_text(finished(2), "workflow.input", noise(1, 9000)),
        ])
    };
    let first = store
        .write_spans(&acme(), trace_id(), batch())
        .await
        .unwrap();
    backend.clock.advance(Duration::from_secs(90));
    let second = store
        .write_spans(&acme(), trace_id(), batch())
        .await
        .unwrap();
    assert_eq!((first.chunks, first.chunks_already_stored), (1, 0));
    assert_eq!((second.chunks, second.chunks_already_stored), (0, 1));
    assert_eq!(backend.items_of_kind("chunk#").await.len(), 1);
    let structure = store.read_structure(&acme(), trace_id()).await.unwrap();
    assert_eq!((structure.spans.len(), structure.revision), (2, 1));
}

pub(crate) async fn hard_case_14_a_revised_span_is_one_span(backend: Backend) {
    let store = backend.store().await;
    let mut abandoned = finished(2);
    abandoned.revision = Revision::ABANDONED;
    // Whichever telling comes first.
    write(&store, [open(1), finished(2)]).await;
    write(&store, [finished(1), open(2)]).await;
    write(&store, [abandoned]).await;
    let spans = read(&store).await;
    assert_eq!(names(&spans), ["span 1", "span 2"]);
    for span in spans {
        assert_eq!(span.span().revision, Revision::FINISHED);
        assert!(span.span().end.is_some());
    }
}

pub(crate) async fn hard_case_18_an_abandoned_span_keeps_what_it_had(backend: Backend) {
    const FIELD: &str = "workflow.input";
    let store = backend.store().await;
    let mut run = open(0);
    run.kind = SpanKind::Run;
    let left = with_text(open(1), FIELD, "what it was asked");
    let large = with_text(open(2), FIELD, noise(2, 9000));
    write(&store, [run.clone(), left, large]).await;
    let tenant = acme();
    let end = || store.end_abandoned_spans(&tenant, trace_id(), at(50), EndsFrom::History);
    let done = end().await.unwrap();
    assert_eq!((done.ended, done.undecided), (0, 2));

    run.finish(at(20), Status::Ok);
    write(&store, [run]).await;
    let done = end().await.unwrap();
    assert_eq!((done.ended, done.undecided), (2, 0));
    let again = end().await.unwrap();
    assert_eq!((again.ended, again.undecided), (0, 0));
    for (span, text) in read(&store)
        .await
        .iter()
        .skip(1)
        .zip(["what it was asked".to_owned(), noise(2, 9000)])
    {
        assert_eq!(span.span().revision, Revision::ABANDONED);
        assert_eq!(span.span().end, Some(at(20)));
        assert!(span.span().is_error());
        let kept = store.read_content(&acme(), trace_id(), span, FIELD).await;
        assert!(kept.unwrap() == text);
    }

    // The function was not gone after all.
    write(&store, [finished(1)]).await;
    assert_eq!(read(&store).await[1].span().revision, Revision::FINISHED);
}

pub(crate) async fn hard_case_14_racing_batches_lose_nothing(backend: Backend) {
    let store = backend.store().await;
    let batches = (0..20_u64).map(|batch| {
        let store = store.clone();
        let spans = redacted((0..10).flat_map(|n| [open(n + batch), finished(n + batch)]));
        async move { store.write_spans(&acme(), trace_id(), spans).await.unwrap() }
    });
    futures::future::join_all(batches).await;
    let spans = read(&store).await;
    assert_eq!(spans.len(), 29);
    assert!(spans.iter().all(|span| span.span().end.is_some()));
}

pub(crate) async fn hard_case_13_orphans_and_late_children_are_kept(backend: Backend) {
    let store = backend.store().await;
    let mut orphan = finished(1);
    orphan.parent_span_id = Some(span_id(404));
    let mut own_parent = finished(2);
    own_parent.parent_span_id = Some(span_id(2));
    write(&store, [orphan, own_parent]).await;
    backend.clock.advance(Duration::from_hours(24));
    let mut late = finished(3);
    late.parent_span_id = Some(span_id(1));
    late.start = at(24 * 60 * 60 * 1000);
    write(&store, [late]).await;
    assert_eq!(names(&read(&store).await), ["span 1", "span 2", "span 3"]);
}

pub(crate) async fn pages_and_streams_give_the_same_order(backend: Backend) {
    let store = backend.store().await;
    // Many overlapping chunks, and revisions far from their first telling.
    for batch in 0..30_u64 {
        let spans = (0..10).map(|n| open((n * 37 + batch * 11) % 300));
        write(&store, spans).await;
    }
    write(&store, (0..300).step_by(3).map(finished)).await;
    let whole = read(&store).await;
    let sorted = whole.is_sorted_by_key(StoredSpan::position);
    assert!(sorted && whole.len() > 100, "{} spans", whole.len());
    let stream = store.stream_structure(&acme(), trace_id());
    let streamed: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!(streamed, whole);
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .read_structure_page(&acme(), trace_id(), after, 17)
            .await;
        let page = page.unwrap();
        assert!(page.spans.len() == 17 || page.next.is_none());
        paged.extend(page.spans);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, whole);
}

pub(crate) async fn a_wide_trace_spreads_over_its_partitions(backend: Backend) {
    let store = backend.store().await;
    for batch in 0..40 {
        write(&store, [finished(batch)]).await;
    }
    let chunks = backend.items_of_kind("chunk#").await;
    let partitions: HashSet<_> = chunks
        .iter()
        .map(|item| item[TABLE.partition_key].as_s().unwrap().clone())
        .collect();
    let prefix = format!("acme#{}#", trace_id());
    assert!(
        partitions
            .iter()
            .all(|partition| partition.starts_with(&prefix))
    );
    assert!(partitions.len() >= 6, "{partitions:?}");
    assert_eq!(read(&store).await.len(), 40);
    // A batch that is too large for one item is several.
    let receipt = store
        .write_spans(&acme(), trace_id(), redacted((100..3100).map(full)))
        .await
        .unwrap();
    assert!(receipt.chunks >= 6, "{receipt:?}");
    assert_eq!(read(&store).await.len(), 3040);
}

pub(crate) async fn another_tenant_sees_nothing(backend: Backend) {
    let store = backend.store().await;
    let spans = (1..4).map(|n| {
        with_text(
            finished(n),
            "workflow.input",
            noise(n, 4000 * 3_usize.pow(u32::try_from(n).unwrap())),
        )
    });
    write(&store, spans).await;
    let structure = store.read_structure(&globex(), trace_id()).await.unwrap();
    assert_eq!((structure.spans.len(), structure.revision), (0, 0));
    let span = store
        .read_span(&globex(), trace_id(), span_id(1))
        .await
        .unwrap();
    assert_eq!(span, None);
    for span in read(&store).await {
        let own = store
            .read_content(&acme(), trace_id(), &span, "workflow.input")
            .await;
        own.unwrap();
        let other = store
            .read_content(&globex(), trace_id(), &span, "workflow.input")
            .await;
        assert!(matches!(other, Err(StoreError::ContentGone { .. })));
    }
}

pub(crate) async fn a_span_of_another_trace_is_refused(backend: Backend) {
    let store = backend.store().await;
    let other = "ffffffffffffffffffffffffffffffff".parse().unwrap();
    let refused = store.write_spans(&acme(), other, redacted([open(1)])).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, StoreError::OtherTrace { .. }) && !error.is_retryable());
    assert!(backend.items().await.is_empty());
}

pub(crate) async fn a_chunk_reads_alike_from_its_key_and_its_image(backend: Backend) {
    let store = backend.store().await;
    let text = "a prompt that is small";
    write(&store, [with_text(finished(1), "workflow.input", text)]).await;
    write(
        &store,
        [with_text(finished(2), "workflow.input", noise(2, 9000))],
    )
    .await;
    let mut small = 0;
    for item in backend.items().await {
        let keys =
            [TABLE.partition_key, TABLE.sort_key].map(|name| (name.to_owned(), item[name].clone()));
        let keys = serde_dynamo::Item::from(crate::backend::Item::from(keys));
        let Some(key) = ChunkKey::from_keys(&keys) else {
            assert!(item[TABLE.sort_key].as_s().unwrap().starts_with("content#"));
            continue;
        };
        assert_eq!((key.tenant(), key.trace_id()), (&acme(), trace_id()));
        let read = store.read_chunk(&key).await.unwrap().unwrap();
        let image = store.chunk_from_image(&key, item.into()).await.unwrap();
        assert_eq!(image.as_ref(), Some(&read));
        let span = &read.spans[0];
        if let Some(found) = read.small_content(span, "workflow.input").unwrap() {
            assert_eq!(found, text);
            small += 1;
        }
    }
    assert_eq!(small, 1);
}

pub(crate) async fn hard_case_22_what_has_expired_is_invisible(backend: Backend) {
    let store = backend.store().await;
    for (number, bytes) in [(1, 100), (2, 9000), (3, 100_000)] {
        write(
            &store,
            [with_text(
                finished(number),
                "workflow.input",
                noise(number, bytes),
            )],
        )
        .await;
    }
    let spans = read(&store).await;
    assert_eq!(spans.len(), 3);
    backend.clock.advance(RETENTION + Duration::from_secs(2));
    assert_eq!(read(&store).await, []);
    let page = store
        .read_structure_page(&acme(), trace_id(), None, 10)
        .await;
    assert_eq!(page.unwrap().spans, []);
    assert_eq!(
        store
            .read_span(&acme(), trace_id(), span_id(1))
            .await
            .unwrap(),
        None
    );
    for span in &spans[..2] {
        let content = store
            .read_content(&acme(), trace_id(), span, "workflow.input")
            .await;
        assert!(matches!(content, Err(StoreError::ContentGone { .. })));
    }
    assert_eq!(backend.items().await.len(), 4, "nothing deleted them");
    // What is written anew is a new chunk, though the old one is still there.
    let receipt = store
        .write_spans(&acme(), trace_id(), redacted([finished(4)]))
        .await;
    assert_eq!(receipt.unwrap().chunks, 1);
    assert_eq!(names(&read(&store).await), ["span 4"]);
}

pub(crate) async fn hard_case_22_every_item_carries_what_the_time_to_live_names(backend: Backend) {
    let store = backend.store().await;
    let described = backend
        .dynamodb
        .describe_time_to_live()
        .table_name(&backend.name);
    let described = described
        .send()
        .await
        .unwrap()
        .time_to_live_description
        .unwrap();
    let named = described.attribute_name.unwrap();
    assert_eq!(named, TABLE.ttl_attribute);
    write(
        &store,
        [with_text(finished(1), "workflow.input", noise(1, 9000))],
    )
    .await;
    let run = crate::run_cases::run("triage", 1);
    store.open_run(&run).await.unwrap();
    let items = backend.items().await;
    assert_eq!(items.len(), 4);
    let latest = backend.clock.now().plus(RETENTION).as_unix_seconds();
    for item in items {
        let expires_at: u64 = item[&named].as_n().unwrap().parse().unwrap();
        // The list of tenants outlives their runs.
        let is_tenant = item[TABLE.partition_key].as_s().unwrap() == "#tenants";
        let outlives = if is_tenant { 2 * 86_400 } else { 1 };
        assert!(
            (latest..=latest + outlives).contains(&expires_at),
            "epoch seconds"
        );
    }
}
