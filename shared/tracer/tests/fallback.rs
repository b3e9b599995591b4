//! Where spans go that the store refuses.

#![allow(clippy::unwrap_used, reason = "a test ends where its expectation does")]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Failure, Mood, Written, invocation, payload, until};
use tokio::time::{Instant, sleep};
use trace_model::Revision;
use tracer::{Flushed, Invocation, WorkflowTracer, span};

struct Places {
    store: Written,
    queue: Written,
    tracer: WorkflowTracer,
}

impl Places {
    fn of(store_mood: Mood, queue_mood: Mood) -> Self {
        let (store, queue) = (Written::default(), Written::default());
        store.set(store_mood);
        queue.set(queue_mood);
        let tracer = store.tracer().with_fallback(queue.fallback());
        Self {
            store,
            queue,
            tracer,
        }
    }

    async fn run(&self, lasting: Duration, deadline: Option<Duration>) {
        let invocation = Invocation {
            deadline: deadline.map(until),
            ..invocation("node")
        };
        let work = async {
            span("step").scope(sleep(lasting)).await;
            Ok::<_, Failure>(Value::Null)
        };
        let payload = payload();
        let node = self.tracer.trace_node(&payload, &invocation, work);
        node.await.unwrap();
    }

    async fn flush(&self) -> Flushed {
        let started = Instant::now();
        let until = started + Duration::from_secs(8);
        let flushed = self.tracer.flush_until(until).await;
        assert!(Instant::now() <= until, "{:?}", started.elapsed());
        flushed
    }
}

/// A node's two spans: what becomes of them at the end of the first flush.
async fn check(store_mood: Mood, queue_mood: Mood, expected: Flushed) {
    let places = Places::of(store_mood, queue_mood);
    places.run(Duration::from_millis(10), None).await;
    assert_eq!(places.flush().await, expected);
}

#[tokio::test(start_paused = true)]
async fn hard_case_18_what_the_store_refuses_is_queued() {
    let queued = Flushed {
        queued: 2,
        ..Flushed::default()
    };
    for mood in [
        Mood::RefusesForNow,
        Mood::RefusesForGood,
        Mood::NeverAnswers,
    ] {
        check(mood, Mood::Takes, queued).await;
    }
    let written = Flushed {
        written: 2,
        ..Flushed::default()
    };
    check(Mood::Takes, Mood::RefusesForGood, written).await;
}

#[tokio::test(start_paused = true)]
async fn what_both_refuse_waits_while_one_may_still_take_it_and_is_counted_then() {
    let waiting = Flushed {
        waiting: 2,
        ..Flushed::default()
    };
    for mood in [
        Mood::RefusesForNow,
        Mood::RefusesForGood,
        Mood::NeverAnswers,
    ] {
        check(Mood::RefusesForNow, mood, waiting).await;
    }
    let lost = Flushed {
        lost: 2,
        ..Flushed::default()
    };
    check(Mood::RefusesForGood, Mood::RefusesForGood, lost).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_written_once_when_the_store_is_back() {
    let places = Places::of(Mood::RefusesForNow, Mood::RefusesForNow);
    places.run(Duration::from_millis(10), None).await;
    assert_eq!(places.flush().await.waiting, 2);
    places.store.set(Mood::Takes);
    let flushed = places.flush().await;
    assert_eq!((flushed.written, flushed.waiting), (2, 0));
    assert_eq!(
        (places.store.spans().len(), places.queue.spans().len()),
        (2, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn hard_case_18_a_kill_loses_little_though_the_store_refuses_all_the_time() {
    for mood in [Mood::RefusesForNow, Mood::NeverAnswers] {
        let places = Places::of(mood, Mood::Takes);
        let node = places.run(Duration::from_mins(1), None);
        let killed = tokio::time::timeout(Duration::from_secs(10), node).await;
        assert!(killed.is_err());
        // No flush: the process is gone.
        for name in ["node", "step"] {
            assert!(
                places.queue.find(name, Revision::OPENED).is_some(),
                "{name}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hard_case_18_what_is_open_is_queued_before_the_deadline() {
    for mood in [Mood::RefusesForNow, Mood::NeverAnswers] {
        // Before the first regular write, in the midst of one, and after several.
        for deadline in [800, 2_300, 12_700].map(Duration::from_millis) {
            let places = Places::of(mood, Mood::Takes);
            let started = Instant::now();
            let node = places.run(Duration::from_mins(1), Some(deadline));
            assert!(tokio::time::timeout(deadline, node).await.is_err());
            assert!(places.queue.find("step", Revision::OPENED).is_some());
            let last = *places.queue.times().last().unwrap() - started;
            assert!(last < deadline, "{last:?} of {deadline:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_that_no_message_holds_waits_for_the_store_while_there_is_time() {
    let places = Places::of(Mood::RefusesForNow, Mood::TakesNoLargeTexts);
    places.run(Duration::from_secs(5), None).await;
    assert_eq!(places.queue.spans().len(), 0);
    assert!(places.store.refusals() > 0);
    // Nothing may follow the last write: there the spans are worth more than the text.
    let flushed = places.flush().await;
    assert_eq!((flushed.waiting, flushed.lost), (0, 0));
    assert!(flushed.queued > 0);
}
