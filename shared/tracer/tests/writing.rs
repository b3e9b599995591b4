//! When spans are written, and what a store that refuses does to them.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redaction::{Policy, RedactedSpan};
use serde_json::Value;
use support::{Failure, Mood, Written, invocation, payload, until};
use tokio::time::{Instant, sleep};
use trace_model::{Attributes, Clock, Revision};
use tracer::{Invocation, SpanWrite, WorkflowTracer, WriteFailure, span};

async fn run(tracer: &WorkflowTracer, lasting: Duration, deadline: Option<Duration>) {
    let invocation = Invocation {
        deadline: deadline.map(until),
        ..invocation("node")
    };
    let work = async {
        let started = Instant::now();
        while started.elapsed() < lasting {
            span("step").scope(sleep(Duration::from_millis(100))).await;
        }
        Ok::<_, Failure>(Value::Null)
    };
    tracer
        .trace_node(&payload(), &invocation, work)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_node_is_written_once_after_its_work() {
    let written = Written::default();
    let tracer = written.tracer();
    run(&tracer, Duration::from_millis(900), None).await;
    assert_eq!(
        written.times().len(),
        0,
        "nothing is written beside short work"
    );
    let flushed = tracer.flush().await;
    assert_eq!(flushed.waiting + flushed.lost, 0);
    let names = written.names();
    assert_eq!(flushed.written, names.len() as u64);
    assert!(
        names
            .iter()
            .all(|(_, revision)| *revision == Revision::FINISHED)
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_node_is_visible_and_written_at_most_once_a_second() {
    let written = Written::default();
    let tracer = written.tracer();
    run(&tracer, Duration::from_secs(10), None).await;
    let times = written.times();
    assert!(
        (8..=10).contains(&times.len()),
        "{} writes in 10 s",
        times.len()
    );
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(1));
    }
    assert!(
        written.find("node", Revision::OPENED).is_some(),
        "a run in progress shows"
    );
    assert!(written.find("node", Revision::FINISHED).is_none());
    tracer.flush().await;
    assert!(written.find("node", Revision::FINISHED).is_some());
    let opened = written
        .names()
        .into_iter()
        .filter(|(name, revision)| name == "node" && *revision == Revision::OPENED);
    assert_eq!(opened.count(), 1, "what was told is not told again");
}

#[tokio::test(start_paused = true)]
async fn hard_case_18_what_is_open_is_written_before_the_deadline() {
    let written = Written::default();
    let tracer = written.tracer();
    let started = Instant::now();
    let cut_off = tokio::time::timeout(
        Duration::from_millis(2_300),
        run(
            &tracer,
            Duration::from_mins(1),
            Some(Duration::from_millis(2_300)),
        ),
    );
    assert!(cut_off.await.is_err());
    // No flush: the process is gone. The last write was half a second before.
    let last = *written.times().last().unwrap() - started;
    assert!((1_700..=1_850).contains(&last.as_millis()), "{last:?}");
    assert!(written.find("node", Revision::OPENED).is_some());
    assert!(written.find("step", Revision::OPENED).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_nearer_than_half_a_second_is_written_before_at_once() {
    let written = Written::default();
    let tracer = written.tracer();
    let node = run(
        &tracer,
        Duration::from_secs(9),
        Some(Duration::from_millis(300)),
    );
    assert!(
        tokio::time::timeout(Duration::from_millis(300), node)
            .await
            .is_err()
    );
    assert!(written.find("node", Revision::OPENED).is_some());
}

#[tokio::test(start_paused = true)]
async fn hard_case_18_a_kill_loses_at_most_the_last_second() {
    let written = Written::default();
    let tracer = written.tracer();
    let started = Instant::now();
    let node = run(&tracer, Duration::from_mins(1), None);
    assert!(
        tokio::time::timeout(Duration::from_millis(7_650), node)
            .await
            .is_err()
    );
    let killed = Instant::now();
    let finished = written
        .spans()
        .into_iter()
        .filter(|span| span.name == "step" && span.end.is_some());
    let kept = u32::try_from(finished.count()).unwrap() * Duration::from_millis(100);
    let lost = (killed - started).saturating_sub(kept);
    assert!(lost <= Duration::from_millis(1_100), "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_is_tried_again_and_nothing_is_lost() {
    let written = Written::default();
    written.set(Mood::RefusesForNow);
    let tracer = written.tracer();
    run(&tracer, Duration::from_secs(3), None).await;
    let started = Instant::now();
    let flushed = tracer.flush_until(started + Duration::from_secs(3)).await;
    assert!(
        started.elapsed() <= Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    assert!(written.refusals() > 5);
    assert_eq!((flushed.written, flushed.lost), (0, 0));
    assert!(flushed.waiting > 30);

    written.set(Mood::Takes);
    run(&tracer, Duration::from_millis(10), None).await;
    let flushed = tracer.flush().await;
    assert_eq!((flushed.waiting, flushed.lost), (0, 0));
    let finished = written
        .spans()
        .into_iter()
        .filter(|span| span.end.is_some());
    assert_eq!(finished.filter(|span| span.name == "node").count(), 2);
}

/// An outage of minutes: as long as there is memory, nothing is given up.
#[tokio::test(start_paused = true)]
async fn hard_case_18_however_often_the_store_refuses_nothing_is_lost() {
    let written = Written::default();
    written.set(Mood::RefusesForNow);
    let tracer = written.tracer();
    run(&tracer, Duration::from_mins(2), None).await;
    let flushed = tracer.flush_until(Instant::now()).await;
    assert_eq!((flushed.written, flushed.lost), (0, 0));
    assert_eq!(tracer.lost(), 0);

    written.set(Mood::Takes);
    let flushed = tracer.flush().await;
    assert_eq!((flushed.waiting, flushed.lost), (0, 0));
    let steps = written.spans().into_iter();
    let steps = steps.filter(|span| span.name == "step" && span.end.is_some());
    assert!(steps.count() > 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_write_and_its_retries_share_the_spans() {
    let offered: Arc<Mutex<Vec<Arc<Vec<RedactedSpan>>>>> = Arc::default();
    let offers = Arc::clone(&offered);
    let write = SpanWrite::new(move |_, _, spans| {
        offers.lock().unwrap().push(spans);
        ready(Err(WriteFailure {
            retryable: true,
            source: "the store is away".into(),
        }))
    });
    let (policy, clock) = (Policy::standard(), Clock::system());
    let tracer = WorkflowTracer::new(write, policy, clock, Attributes::new());
    run(&tracer, Duration::from_millis(10), None).await;
    tracer
        .flush_until(Instant::now() + Duration::from_secs(2))
        .await;
    let offered = offered.lock().unwrap();
    assert!(offered.len() > 2, "{}", offered.len());
    for pair in offered.windows(2) {
        assert!(Arc::ptr_eq(&pair[0], &pair[1]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_counted() {
    let written = Written::default();
    written.set(Mood::RefusesForGood);
    let tracer = written.tracer();
    run(&tracer, Duration::from_millis(250), None).await;
    let flushed = tracer.flush().await;
    assert_eq!((flushed.written, flushed.waiting, flushed.lost), (0, 0, 4));
    assert_eq!(tracer.lost(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_holds_nobody_up() {
    let written = Written::default();
    written.set(Mood::NeverAnswers);
    let tracer = written.tracer();
    let started = Instant::now();
    run(&tracer, Duration::from_secs(5), None).await;
    assert!(
        started.elapsed() < Duration::from_millis(5_200),
        "{:?}",
        started.elapsed()
    );
    let started = Instant::now();
    tracer.flush_until(started + Duration::from_secs(2)).await;
    assert_eq!(started.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_while_the_store_is_away_and_losses_are_counted() {
    let written = Written::default();
    written.set(Mood::RefusesForNow);
    let tracer = written.tracer();
    let megabyte = "x".repeat(1024 * 1024);
    for _ in 0..100 {
        let work = async { Ok::<_, Failure>(megabyte.clone()) };
        tracer
            .trace_node(&payload(), &invocation("node"), work)
            .await
            .unwrap();
        tracer
            .flush_until(Instant::now() + Duration::from_millis(10))
            .await;
    }
    written.set(Mood::Takes);
    let flushed = tracer.flush().await;
    assert!(flushed.lost >= 36, "{flushed:?}");
    assert!(
        flushed.lost + flushed.written == 100,
        "each is written or counted: {flushed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_when_no_node_does() {
    let written = Written::default();
    let tracer = written.tracer();
    run(&tracer, Duration::from_secs(2), None).await;
    tracer.flush().await;
    let writes = written.times().len();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(written.times().len(), writes);
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        0
    );
}
