//! Open spans of dead functions, lost totals, orphaned objects.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lambda_process::metrics::Metrics;
use local_storage::{ChangeRecord, StartingPosition};
use redaction::{Policy, RawSpan};
use trace_model::{
    Content, ExecutionArn, ExecutionId, Run, RunStatus, Span, SpanId, SpanKind, Status, TraceId,
};

use crate::support::{Cloud, NAME, calls, pass, tenant_id, told};

const FIVE_MINUTES: Duration = Duration::from_mins(5);
const DAY: Duration = Duration::from_hours(24);

async fn write(cloud: &Cloud, span: Span) {
    let trace_id = span.trace_id;
    let span = Policy::standard().redact(RawSpan::from(span));
    let acme = tenant_id("acme");
    let written = cloud.store.write_spans(&acme, trace_id, vec![span]);
    written.await.unwrap();
}

async fn read(cloud: &Cloud, trace_id: TraceId, id: u8) -> Span {
    let span = cloud
        .store
        .read_span(&tenant_id("acme"), trace_id, span_id(id))
        .await;
    span.unwrap().unwrap().span().clone()
}

fn span_id(id: u8) -> SpanId {
    SpanId::from_bytes([id; 8]).unwrap()
}

/// What a function opened before it was killed.
fn opened(cloud: &Cloud, trace_id: TraceId, id: u8, parent: Option<SpanId>) -> Span {
    let now = cloud.clock.now();
    Span::open(trace_id, span_id(id), parent, "node", SpanKind::Node, now)
}

#[tokio::test]
async fn hard_case_18_what_a_killed_function_left_open_ends_with_the_reason() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("flaky", &calls("flaky")).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    cloud.functions.fails.store(true, Ordering::SeqCst);
    let killed = cloud.run(&machine, "acme").await;
    let trace_id = TraceId::of_execution(&killed);
    let attempt = cloud.functions.first_attempt();
    write(&cloud, opened(&cloud, trace_id, 1, Some(attempt))).await;
    cloud.record(&killed).await;
    cloud.summarise("acme", trace_id).await;

    let seen = cloud.visit_after(Duration::from_mins(3)).await;
    assert_eq!(
        told(&seen),
        [("executions", 1)],
        "its last spans may be on their way"
    );
    let ended = cloud.visit_after(Duration::from_mins(3)).await;
    assert_eq!(told(&ended), [("abandoned", 1)]);
    let span = read(&cloud, trace_id, 1).await;
    let Status::Error { message } = &span.status else {
        panic!("{span:?}");
    };
    assert!(
        message.contains("attempt ended with Runtime.ExitError"),
        "{message}"
    );
    assert!(span.flags().any(|flag| flag == "abandoned"));
    assert_eq!(told(&cloud.visit_after(DAY * 2).await), []);
}

/// A span that is opened when the run is long recorded: a late batch, or a function that goes on
/// after its state.
#[tokio::test]
async fn hard_case_18_a_span_that_comes_after_the_recording_is_ended_within_a_day() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("triage", &pass()).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    let arn = cloud.run(&machine, "acme").await;
    let trace_id = TraceId::of_execution(&arn);
    cloud.record(&arn).await;
    cloud.summarise("acme", trace_id).await;
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES * 2).await),
        [("executions", 1)]
    );
    write(&cloud, opened(&cloud, trace_id, 1, None)).await;
    cloud.summarise("acme", trace_id).await;
    assert_eq!(told(&cloud.visit_after(DAY).await), [("abandoned", 1)]);
    assert!(read(&cloud, trace_id, 1).await.end.is_some());
}

/// Functions that trace themselves outside of any state machine: no history says what became of
/// them.
#[tokio::test]
async fn hard_case_18_a_trace_without_an_execution_has_an_end_too() {
    let cloud = Cloud::start().await;
    cloud.visit().await;
    let trace_id: TraceId = "0af7651916cd43dd8448eb211c80319c".parse().unwrap();
    let run = Run {
        tenant: tenant_id("acme"),
        execution_id: ExecutionId::parse(&trace_id.to_string()).unwrap(),
        execution_arn: None,
        trace_id,
        root_span_id: span_id(1),
        workflow: "worker".to_owned(),
        status: RunStatus::Running,
        started_at: cloud.clock.now(),
        finished_at: None,
        redrives: 0,
        error: None,
        totals: None,
        redactions: BTreeMap::new(),
        notices: Vec::new(),
        revision: 0,
        expires_at: None,
    };
    cloud.store.open_run(&run).await.unwrap();
    write(&cloud, opened(&cloud, trace_id, 1, None)).await;
    cloud.summarise("acme", trace_id).await;
    assert_eq!(told(&cloud.visit_after(DAY).await), [("abandoned", 1)]);
    let span = read(&cloud, trace_id, 1).await;
    assert_eq!(span.end, Some(span.start));
}

#[tokio::test]
async fn totals_that_were_lost_are_computed_again() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("triage", &pass()).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    let arn = cloud.run(&machine, "acme").await;
    cloud.record(&arn).await;
    // Its batch was given up.
    let feed = cloud.storage.change_feed();
    let mut summaries = feed
        .consumer("summaries", StartingPosition::Latest)
        .await
        .unwrap();
    assert_eq!(
        told(&cloud.visit_after(DAY).await),
        [("executions", 1), ("announced", 1)]
    );
    assert_eq!(cloud.stored("acme", &arn).await.unwrap().totals, None);
    let records = summaries.next_batch(100, Duration::ZERO).await.unwrap();
    let event = ChangeRecord::into_event(records);
    let failed = summarise_run::handle(&cloud.store, event, &mut Metrics::off().batch()).await;
    assert!(failed.batch_item_failures.is_empty());
    let totals = cloud.stored("acme", &arn).await.unwrap().totals.unwrap();
    assert_eq!((totals.spans, totals.open), (2, 0));
    assert_eq!(told(&cloud.visit_after(DAY).await), []);
}

fn recorded_body(arn: &ExecutionArn, cloud: &Cloud) -> Span {
    let mut span = opened(cloud, TraceId::of_execution(arn), 7, None);
    // Ideographs compress badly, and look like no secret.
    let text: String = (0..9_000_u32)
        .map(|number| char::from_u32(0x4E00 + number.wrapping_mul(2_654_435_761) % 0x5000).unwrap())
        .collect();
    let content = Content::text("text/plain", text);
    span.content.insert("workflow.input".to_owned(), content);
    span.finish(cloud.clock.now(), Status::Ok);
    span
}

#[tokio::test]
async fn hard_case_20_orphaned_objects_go_when_no_write_can_want_them_any_more() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("triage", &pass()).await;
    cloud.visit().await;
    let arn = cloud.run(&machine, "acme").await;
    cloud.record(&arn).await;
    write(&cloud, recorded_body(&arn, &cloud)).await;
    cloud.summarise("acme", TraceId::of_execution(&arn)).await;
    let list = || async {
        let list = cloud.clients.s3().list_objects_v2().bucket(NAME);
        list.send()
            .await
            .unwrap()
            .contents
            .unwrap_or_default()
            .len()
    };
    assert_eq!(list().await, 1, "the body is an object");
    let folder = format!("t/acme/{}", TraceId::of_execution(&arn));
    let orphan = format!("{folder}/{}", "0".repeat(64));
    let put = cloud.clients.s3().put_object().bucket(NAME).key(&orphan);
    put.send().await.unwrap();

    // A writer may have stored it a moment ago, and be about to point to it.
    assert_eq!(
        told(&cloud.visit_after(DAY + FIVE_MINUTES).await),
        [("executions", 1)]
    );
    assert_eq!(list().await, 2);
    let swept = cloud.visit_after(DAY + FIVE_MINUTES).await;
    assert_eq!(told(&swept), [("orphans", 1)]);
    assert_eq!(list().await, 1);
    assert_eq!(told(&cloud.visit_after(DAY * 2).await), []);
    let (acme, trace_id) = (tenant_id("acme"), TraceId::of_execution(&arn));
    let span = cloud.store.read_span(&acme, trace_id, span_id(7)).await;
    let span = span.unwrap().unwrap();
    let body = cloud
        .store
        .read_content(&acme, trace_id, &span, "workflow.input");
    assert!(body.await.is_ok());
}

/// A sweep that stops in the middle of a page goes on there.
#[tokio::test]
async fn a_sweep_goes_on_where_it_stopped() {
    let cloud = Cloud::start().await;
    for number in 1..=40 {
        let key = format!("t/acme/{number:032x}/left");
        let put = cloud.clients.s3().put_object().bucket(NAME).key(key);
        put.send().await.unwrap();
    }
    // A trace whose objects are all pointed to takes as long, and is not begun with again.
    let arn = cloud.create("triage", &pass()).await;
    let arn = cloud.run(&arn, "acme").await;
    cloud.record(&arn).await;
    write(&cloud, recorded_body(&arn, &cloud)).await;
    cloud.clock.advance(DAY * 3);
    cloud.slow_down(Duration::from_secs(1));
    let (mut swept, mut visits) = (0, 0);
    loop {
        let report = cloud.visit_for(Duration::from_secs(40)).await;
        (swept, visits) = (swept + report.orphans, visits + 1);
        if report.interrupted.is_none() {
            break;
        }
        assert!(report.orphans > 0, "it comes no further");
    }
    assert_eq!(swept, 40);
    assert!(visits > 2, "{visits}");
    assert_eq!(told(&cloud.visit_after(DAY).await), []);
}
