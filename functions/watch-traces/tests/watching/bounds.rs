//! What a visit costs, and what it leaves to the next.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use lambda_process::metrics::Metrics;
use serde::de::IgnoredAny;
use watch_traces::Interruption;

use crate::support::{Cloud, NAME, pass, told};

const FIVE_MINUTES: Duration = Duration::from_mins(5);

/// Ten pages of executions without a trace, in visits that have time for a few hundred each.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_ten_thousand_executions_is_looked_at_in_turns() {
    const EXECUTIONS: usize = 10_000;
    let mut cloud = Cloud::start().await;
    let machine = cloud.create("busy", &pass()).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    let starts = stream::iter((0..EXECUTIONS).map(|_| cloud.begin(&machine, "acme")));
    let begun: Vec<_> = starts.buffer_unordered(64).collect().await;
    for arn in &begun {
        cloud.ended(arn).await;
    }
    let expected: BTreeSet<_> = begun.iter().map(|arn| arn.as_str().to_owned()).collect();
    cloud.stop_recorder();
    cloud.queue.takes = Duration::from_secs(1);
    cloud.clock.advance(FIVE_MINUTES);

    let (mut visits, mut executions, mut missing) = (0, 0, 0);
    loop {
        let report = cloud.visit_for(Duration::from_secs(45)).await;
        visits += 1;
        executions += report.executions;
        missing += report.missing;
        if report.interrupted.is_none() {
            break;
        }
        assert_eq!(report.interrupted, Some(Interruption::OutOfTime));
        assert!(visits < 20, "it comes no further");
    }
    assert!(visits >= 3, "{visits} visits");
    assert_eq!(
        (executions, missing),
        (EXECUTIONS as u64, EXECUTIONS as u64)
    );
    let asked = cloud.asked_for();
    assert_eq!(asked.len(), EXECUTIONS, "each once");
    assert_eq!(asked.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn throttling_is_waited_out_and_stops_nothing_else() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("triage", &pass()).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    cloud.run(&machine, "acme").await;
    let key = "t/acme/0af7651916cd43dd8448eb211c80319c/left";
    let put = cloud.clients.s3().put_object().bucket(NAME).key(key);
    put.send().await.unwrap();
    cloud.clock.advance(Duration::from_hours(72));

    cloud.throttles.on.store(true, Ordering::SeqCst);
    let report = cloud.visit().await;
    assert_eq!(report.interrupted, Some(Interruption::Throttled));
    assert_eq!((report.executions, report.orphans), (0, 1));
    cloud.throttles.on.store(false, Ordering::SeqCst);
    let report = cloud.visit().await;
    assert_eq!(told(&report), [("executions", 1), ("missing", 1)]);
}

#[tokio::test]
async fn where_nothing_runs_a_visit_writes_and_measures_nothing() {
    let cloud = Cloud::start().await;
    for name in ["one", "two"] {
        cloud.create(name, &pass()).await;
    }
    cloud.visit().await;
    let before = cloud.items().await;
    let lines = Lines::default();
    let metrics = Metrics::to_writer("watch", NAME, cloud.clock.clone(), lines.clone());
    let watcher = cloud.watcher().with_metrics(metrics);
    for _ in 0..10 {
        cloud.clock.advance(FIVE_MINUTES);
        let deadline = cloud.clock.now().plus(FIVE_MINUTES);
        assert_eq!(told(&watcher.visit(deadline).await.unwrap()), []);
    }
    assert_eq!(cloud.items().await, before);
    assert_eq!(lines.text(), "");
}

#[tokio::test]
async fn what_is_found_is_measured() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("triage", &pass()).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    cloud.run(&machine, "acme").await;
    cloud.record(&cloud.run(&machine, "acme").await).await;
    cloud.clock.advance(FIVE_MINUTES);
    let lines = Lines::default();
    let metrics = Metrics::to_writer("watch", NAME, cloud.clock.clone(), lines.clone());
    let watcher = cloud.watcher().with_metrics(metrics);
    let deadline = cloud.clock.now().plus(FIVE_MINUTES);
    watcher.visit(deadline).await.unwrap();
    let text = lines.text();
    for measured in [r#""ExecutionsSeen":2"#, r#""ExecutionsMissing":1"#] {
        assert!(text.contains(measured), "{text}");
    }
    assert!(!text.contains("triage"), "{text}");
}

#[tokio::test]
async fn every_sample_event_is_a_visit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/watch-traces");
    let cloud = Cloud::start().await;
    let mut events = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let event = std::fs::read(file.unwrap().path()).unwrap();
        // All that the function takes of it.
        let _: IgnoredAny = serde_json::from_slice(&event).unwrap();
        assert_eq!(told(&cloud.visit().await), []);
        events += 1;
    }
    assert!(events > 0);
}

#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
