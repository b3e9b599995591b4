use aws_sdk_dynamodb::types::AttributeValue;
use trace_model::RunStatus;
use trace_store::StoreError;

use crate::backend::{Backend, Item};
use crate::run_cases::run;
use crate::spans::{acme, finished, noise, redacted, span_id, trace_id, with_text};

pub(crate) async fn a_newer_format_is_refused_in_words(backend: Backend) {
    let store = backend.store().await;
    let mut newest = run("triage", 1);
    newest.trace_id = trace_id();
    store.open_run(&newest).await.unwrap();
    let spans = redacted([with_text(finished(1), "workflow.input", noise(1, 6000))]);
    store.write_spans(&acme(), trace_id(), spans).await.unwrap();
    let span = store.read_span(&acme(), trace_id(), span_id(1)).await;
    let span = span.unwrap().unwrap();
    for mut item in backend.items().await {
        item.insert("version".to_owned(), AttributeValue::N("2".to_owned()));
        item.insert("novelty".to_owned(), AttributeValue::Bool(true));
        backend.put(item).await;
    }
    let content = store
        .read_content(&acme(), trace_id(), &span, "workflow.input")
        .await;
    let structure = store.read_structure(&acme(), trace_id()).await;
    let run = store.run(&acme(), trace_id()).await;
    for (error, what) in [
        (content.unwrap_err(), "content chunk"),
        (structure.unwrap_err(), "structure chunk"),
        (run.unwrap_err(), "run"),
    ] {
        let refused = matches!(
            error,
            StoreError::NewerVersion {
                found: 2,
                supported: 1,
                ..
            }
        );
        assert!(refused, "{error}");
        let words = error.to_string();
        // The run is read beside the structure: either may be told first.
        assert!(words.contains(what) || what == "structure chunk", "{words}");
        assert!(
            words.contains("use a version of Stepscope at least as new"),
            "{words}"
        );
    }
}

/// Items as each version of this program wrote them, in DynamoDB's JSON. Never edited: a new
/// format adds files.
const GOLDEN: [(&str, &str); 9] = [
    ("v1-run", include_str!("../../golden/v1-run.json")),
    ("v1-chunk", include_str!("../../golden/v1-chunk.json")),
    ("v1-content", include_str!("../../golden/v1-content.json")),
    ("v1-artifact", include_str!("../../golden/v1-artifact.json")),
    ("v1-api-key", include_str!("../../golden/v1-api-key.json")),
    (
        "v1-run-of-spans",
        include_str!("../../golden/v1-run-of-spans.json"),
    ),
    (
        "v1-headless",
        include_str!("../../golden/v1-run-before-open.json"),
    ),
    ("v1-tenant", include_str!("../../golden/v1-tenant.json")),
    ("v1-note", include_str!("../../golden/v1-note.json")),
];

pub(crate) async fn golden_items_stay_readable(backend: Backend) {
    let store = backend.store().await;
    for (name, json) in GOLDEN {
        let item: serde_dynamo::Item = serde_json::from_str(json)
            .unwrap_or_else(|error| panic!("{name} is not an item: {error}"));
        backend.put(Item::from(item)).await;
    }
    let read = store.run(&acme(), trace_id()).await.unwrap().unwrap();
    assert_eq!(read.workflow, "support-triage");
    assert_eq!(read.status, RunStatus::Failed);
    assert_eq!(read.error.as_deref(), Some("States.Timeout"));
    assert_eq!(
        read.totals.as_ref().map(|totals| totals.input_tokens),
        Some(1234)
    );
    assert_eq!(read.redactions["email"], 2);
    assert_eq!(read.notices, ["the clock of a function was ahead"]);
    let structure = store.read_structure(&acme(), trace_id()).await.unwrap();
    let names: Vec<_> = structure
        .spans
        .iter()
        .map(|span| &span.span().name)
        .collect();
    assert_eq!(names, ["span 0", "span 1"]);
    let span = &structure.spans[1];
    assert_eq!(span.span().text("gen_ai.request.model"), Some("demo-model"));
    let small = store
        .read_content(&acme(), trace_id(), span, "workflow.input")
        .await;
    assert_eq!(small.unwrap(), "What is the capital of France?");
    let large = store
        .read_content(&acme(), trace_id(), span, "workflow.output")
        .await;
    assert_eq!(large.unwrap(), "Paris. ".repeat(1000));
    let artifacts = store.list_artifacts(&acme(), trace_id()).await.unwrap();
    assert_eq!(artifacts.len(), 1);
    assert_eq!(artifacts[0].id, "3f2a4bd5ac6c0f4ac9f0e3f7b6a1e2d3");
    assert_eq!(artifacts[0].name, "reply.html");
    assert_eq!((artifacts[0].bytes, artifacts[0].span_id), (12, span_id(8)));
    assert_eq!(store.tenants().await.unwrap(), [acme()]);
    let notes = store.notes("watch-traces").await.unwrap();
    assert_eq!((notes.len(), notes[0].name.as_str()), (1, "sweep"));
    let key = store.api_key(&acme(), "0123456789abcdef").await.unwrap();
    assert_eq!(key.unwrap().scopes, ["traces:write"]);
    let of_spans = "0af7651916cd43dd8448eb211c8031aa".parse().unwrap();
    let read = store.run(&acme(), of_spans).await.unwrap().unwrap();
    assert_eq!((read.workflow.as_str(), read.execution_arn), ("shop", None));
    let mut later = run("later", 1);
    later.trace_id = "00000000000000000000000000000001".parse().unwrap();
    store.open_run(&later).await.unwrap();
    let read = store.run(&acme(), later.trace_id).await.unwrap().unwrap();
    assert_eq!(read.totals.map(|totals| totals.spans), Some(5));
    assert_eq!(read.workflow, "later");
}
