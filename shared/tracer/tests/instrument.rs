//! `#[instrument]` functions and what they log, inside a node.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use std::fmt;

use support::{Failure, Written, invocation, payload};
use trace_model::{AttributeValue, SpanKind, Status};
use tracer::{Capture, WorkflowTracer, layer, span};
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, instrument};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

async fn in_node<F: Future>(tracer: &WorkflowTracer, work: F) -> F::Output {
    let mut output = None;
    let work = async {
        output = Some(work.await);
        Ok::<_, Failure>(())
    };
    let (payload, invocation) = (payload(), invocation("node"));
    let node = tracer.trace_node(&payload, &invocation, work);
    node.await.unwrap();
    tracer.flush().await;
    output.unwrap()
}

fn subscribe() -> tracing::subscriber::DefaultGuard {
    // A log layer beside it that shows warnings only must not blind ours.
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(LevelFilter::WARN);
    let subscriber = tracing_subscriber::registry()
        .with(log)
        .with(layer(Capture::default()));
    tracing::subscriber::set_default(subscriber)
}

#[instrument(fields(answer))]
async fn outer(order: u64) {
    tracing::Span::current().record("answer", "yes");
    tokio::task::yield_now().await;
    inner().await;
}

#[instrument]
async fn inner() {
    span("own").scope(innermost()).await;
}

#[instrument]
async fn innermost() {
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn both_nest_in_both_directions_across_await_points() {
    let _subscriber = subscribe();
    let written = Written::default();
    in_node(&written.tracer(), async {
        let handle = span("handle");
        handle.scope(outer(7)).await;
        handle.finish();
    })
    .await;
    for (child, parent) in [
        ("handle", "node"),
        ("outer", "handle"),
        ("inner", "outer"),
        ("own", "inner"),
        ("innermost", "own"),
    ] {
        assert_eq!(written.parent(child), parent, "{child}");
        assert_eq!(written.kind("outer"), SpanKind::Internal);
    }
    let outer = written.finished("outer");
    assert_eq!(outer.int("order"), Some(7));
    assert_eq!(outer.text("answer"), Some("yes"));
    assert_eq!(outer.scope.0, "instrument");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spawned_task_is_inside_with_in_current_span_and_outside_without() {
    let subscriber = tracing_subscriber::registry().with(layer(Capture::default()));
    let dispatch = tracing::Dispatch::new(subscriber);
    let written = Written::default();
    let tracer = written.tracer();
    let work = async {
        let handle = span("handle");
        let spawning = handle.scope(async {
            let inside = async { span("spawned").finish() }.in_current_span();
            tokio::spawn(inside.with_current_subscriber())
                .await
                .unwrap();
            let detached = async { span("detached").finish() };
            tokio::spawn(detached).await.unwrap();
        });
        spawning.await;
        handle.finish();
    };
    in_node(&tracer, work).with_subscriber(dispatch).await;
    assert_eq!(written.parent("spawned"), "handle");
    assert!(written.names().iter().all(|(name, _)| name != "detached"));
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the order is gone")
    }
}

#[instrument(err)]
async fn failing() -> Result<(), Broken> {
    tracing::info!(count = 3, "looked it up");
    tracing::debug!("not at this level");
    Err(Broken)
}

#[tokio::test]
async fn what_is_logged_becomes_events_and_an_error_marks_the_span() {
    let _subscriber = subscribe();
    let written = Written::default();
    let outcome = in_node(&written.tracer(), failing()).await;
    assert!(outcome.is_err());
    let failing = written.finished("failing");
    let names: Vec<_> = failing
        .events
        .iter()
        .map(|event| event.name.as_str())
        .collect();
    assert_eq!(names[0], "looked it up");
    assert_eq!(failing.events[0].attributes["count"], 3_i64.into());
    assert_eq!(
        failing.events[0].attributes["level"],
        AttributeValue::from("INFO")
    );
    assert_eq!(failing.events.len(), 2);
    let expected = Status::Error {
        message: "the order is gone".to_owned(),
    };
    assert_eq!(failing.status, expected);
    assert_eq!(
        written.finished("node").status,
        Status::Unset,
        "the caller dealt with it"
    );
}

#[tokio::test]
async fn libraries_and_work_outside_of_nodes_are_left_out() {
    let _subscriber = subscribe();
    let written = Written::default();
    outer(1).await;
    in_node(&written.tracer(), async {
        let library = tracing::info_span!(target: "hyper::client", "connect");
        library.in_scope(|| tracing::error!(target: "aws_smithy_runtime", "throttled"));
        tracing::debug_span!("too fine").in_scope(|| ());
        let aws = tracing::info_span!(target: "wanted", "mine");
        aws.in_scope(|| ());
    })
    .await;
    let names: Vec<_> = written.names().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["node", "mine"]);
    assert!(written.finished("node").events.is_empty());
}

#[tokio::test]
async fn a_loop_that_logs_does_not_fill_the_memory_and_says_what_it_dropped() {
    let _subscriber = subscribe();
    let written = Written::default();
    in_node(&written.tracer(), async {
        for number in 0..1_500 {
            tracing::info!(number, "again");
        }
    })
    .await;
    let node = written.finished("node");
    assert_eq!(node.events.len(), 1_000);
    assert_eq!(node.int("otel.dropped_events_count"), Some(500));
}
