//! The function as Lambda runs it: its own process, polling a Runtime API, writing to a store
//! that outlives it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod lambda;
mod queue;

use lambda::{Cloud, Store, Told};
use queue::Queue;
use serde_json::Value;
use trace_model::{Revision, Span, SpanKind};

const RUN_NODE: &str = env!("CARGO_BIN_EXE_run-node");

fn are_open(spans: &[Span], count: usize) {
    assert_eq!(spans.len(), count);
    for span in spans {
        let state = (span.revision, span.end);
        assert_eq!(state, (Revision::OPENED, None), "{}", span.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_response_comes_first_and_the_spans_before_the_next_event() {
    let cloud = Cloud::start().await;
    let mut function = cloud.function(RUN_NODE, &[]).await;
    function.send("http", "/answer").await;
    let Told::Response(answer) = function.told().await else {
        panic!("the response comes first");
    };
    assert_eq!(answer["body"], "hello");
    assert!(matches!(function.told().await, Told::WantsNext));

    let spans = cloud.spans().await;
    let node = spans
        .iter()
        .find(|span| span.kind == SpanKind::Node)
        .unwrap();
    let http = spans
        .iter()
        .find(|span| span.kind == SpanKind::Http)
        .unwrap();
    assert_eq!(spans.len(), 2);
    assert_eq!(node.revision, Revision::FINISHED);
    assert_eq!(node.parent_span_id.unwrap().to_string(), "b7ad6b7169203331");
    assert_eq!(http.parent_span_id, Some(node.span_id));
    assert_eq!(node.text("faas.invocation_id"), Some("c0ffee-1"));
    assert_eq!(node.resource["faas.version"], "7".into());
    assert_eq!(
        node.resource["faas.max_memory"],
        (128_u64 * 1024 * 1024).into()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_invocation_leaves_a_line_of_metrics_before_the_next_event() {
    let cloud = Cloud::start().await;
    let mut function = cloud.function(RUN_NODE, &[]).await;
    for _ in 0..2 {
        function.send("http", "/answer").await;
        assert!(matches!(function.told().await, Told::Response(_)));
        assert!(matches!(function.told().await, Told::WantsNext));
    }
    let metrics = function.metrics();
    assert_eq!(metrics.len(), 2, "{metrics:?}");
    assert_eq!(metrics[0]["ColdStarts"], 1);
    assert_eq!(metrics[1]["ColdStarts"], Value::Null);
    for line in &metrics {
        assert_eq!(line["FunctionName"], "run-node");
        assert_eq!(line["TableName"], "stepscope");
        assert_eq!(line["SpansWritten"], 2);
        assert!(line["BytesWritten"].as_u64() > Some(100));
        assert!(line["FlushDuration"].as_f64() > Some(0.0));
        assert_eq!(line["SpansLost"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_has_the_name_that_a_catch_matches() {
    let cloud = Cloud::start().await;
    let mut function = cloud.function(RUN_NODE, &[]).await;
    function.send("htpp", "/answer").await;
    let Told::Error(error) = function.told().await else {
        panic!("the error comes first");
    };
    assert_eq!(error["errorType"], "Node.UnknownKind");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("did you mean \"http\"?"), "{message}");
    assert!(matches!(function.told().await, Told::WantsNext));
    let spans = cloud.spans().await;
    assert_eq!(spans[0].text("error.type"), Some("Node.UnknownKind"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_case_18_a_killed_function_s_open_spans_are_kept() {
    let cloud = Cloud::start().await;
    let mut function = cloud.function(RUN_NODE, &[]).await;
    function.send("http", "/silent").await;
    cloud.has_spans(2).await;
    function.kill();
    are_open(&cloud.spans().await, 2);
    cloud.next_process_works(RUN_NODE, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_case_18_a_function_that_is_told_to_end_writes_first() {
    let cloud = Cloud::start().await;
    let mut function = cloud.function(RUN_NODE, &[]).await;
    function.send("http", "/silent").await;
    cloud.was_called(1).await;
    let status = function.terminate().await;
    assert_eq!(status.code(), Some(143));
    are_open(&cloud.spans().await, 2);
    assert_eq!(function.total("SpansWritten"), 2);
    cloud.next_process_works(RUN_NODE, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_case_18_a_throttled_table_s_spans_come_back_from_the_queue() {
    let mut cloud = Cloud::start().await;
    let queue = Queue::start(&mut cloud).await;
    cloud.set(Store::Refuses);
    let mut function = cloud.function(RUN_NODE, &[]).await;
    function.send("http", "/answer").await;
    let Told::Response(answer) = function.told().await else {
        panic!("the workflow goes on");
    };
    assert_eq!(answer["body"], "hello");
    assert!(matches!(function.told().await, Told::WantsNext));
    assert_eq!(cloud.spans().await.len(), 0);
    assert_eq!(function.total("SpansQueued"), 2);
    assert_eq!(
        function.total("SpansWaiting") + function.total("SpansLost"),
        0
    );

    cloud.set(Store::Takes);
    assert_eq!(queue.restore(&cloud).await, 2);
    let spans = cloud.spans().await;
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span.revision == Revision::FINISHED));
    cloud.next_process_works(RUN_NODE, &[]).await;
    assert_eq!(
        queue.restore(&cloud).await,
        0,
        "what is written is not queued"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_case_18_a_kill_while_the_table_refuses_loses_nothing_that_was_queued() {
    let mut cloud = Cloud::start().await;
    let queue = Queue::start(&mut cloud).await;
    cloud.set(Store::Refuses);
    let mut function = cloud.function(RUN_NODE, &[]).await;
    function.send("http", "/silent").await;
    let mut queued = 0;
    let arrived = async {
        while queued < 2 {
            queued += queue.restore(&cloud).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let arrived = tokio::time::timeout(lambda::PATIENCE, arrived).await;
    arrived.expect("open spans are queued while the node runs");
    function.kill();
    are_open(&cloud.spans().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_case_18_what_nobody_takes_is_counted_at_the_latest_when_the_process_ends() {
    let mut cloud = Cloud::start().await;
    // Nobody listens there.
    let nowhere = "http://127.0.0.1:9/queue".to_owned();
    let settings = [
        ("AWS_ENDPOINT_URL_SQS", nowhere.clone()),
        ("STEPSCOPE_SPAN_QUEUE_URL", nowhere),
    ];
    cloud.settings.extend(settings);
    cloud.set(Store::Refuses);
    let mut function = cloud.function(RUN_NODE, &[]).await;
    function.send("http", "/answer").await;
    assert!(matches!(function.told().await, Told::Response(_)));
    assert!(matches!(function.told().await, Told::WantsNext));
    assert_eq!(function.total("SpansWaiting"), 2);
    assert_eq!(function.total("SpansLost"), 0, "the next write may do");
    function.terminate().await;
    assert_eq!(function.total("SpansLost"), 2);
}
