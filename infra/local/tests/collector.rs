//! The real OpenTelemetry collector has every finished span as the store has it: ids, parents,
//! times and attributes, after it was down for a while too.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::net::TcpListener;

use support::Folder;
use support::collector::Collector;
use support::stored::{assert_all_the_same, run, stored_spans};

const EXAMPLES: [&str; 3] = ["support-triage", "flaky-enrichment", "document-digest"];

#[test]
fn a_collector_gets_what_the_store_has() {
    let folder = Folder::new();
    let collector = Collector::new(&folder).start();
    let dev = folder.dev_with(&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())]);
    let runs = EXAMPLES.map(|workflow| run(&folder, workflow, &[]));
    let stored = stored_spans(&dev, &folder, &runs);
    assert!(stored.len() > 50, "{} spans are few", stored.len());
    let exported = collector.eventually_has(&stored);
    let sent: usize = exported.values().map(Vec::len).sum();
    assert_eq!(
        sent,
        stored.len(),
        "each span once: nothing was tried again"
    );
    assert_all_the_same(&exported, &stored);
    assert!(dev.interrupt().success());
}

#[test]
fn what_a_collector_missed_arrives_when_it_is_back() {
    let folder = Folder::new();
    let collector = Collector::new(&folder).start();
    let url = collector.url();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];

    // Killed between two runs, and perhaps while it takes the first one's spans.
    let dev = folder.dev_with(&[], &environment);
    let mut runs = vec![run(&folder, "flaky-enrichment", &[])];
    let collector = collector.kill();
    runs.push(run(&folder, "support-triage", &["--name", "while-down"]));

    // What waits for the collector outlives the death of who would send it.
    dev.kill();
    let dev = folder.dev_with(&[], &environment);
    runs.push(run(
        &folder,
        "support-triage",
        &["--name", "after-the-kill"],
    ));

    // A stop does not wait for a collector that is not there.
    assert!(dev.interrupt().success());
    let dev = folder.dev_with(&[], &environment);

    let stored = stored_spans(&dev, &folder, &runs);
    let collector = collector.start();
    let exported = collector.eventually_has(&stored);
    assert_all_the_same(&exported, &stored);
    assert!(dev.interrupt().success());
}

#[test]
fn a_stop_sends_what_is_there() {
    let folder = Folder::new();
    let collector = Collector::new(&folder).start();
    let dev = folder.dev_with(&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())]);
    let runs = [run(&folder, "document-digest", &[])];
    assert!(dev.interrupt().success());
    let exported = collector.exported();

    let dev = folder.dev(&[]);
    assert_all_the_same(&exported, &stored_spans(&dev, &folder, &runs));
}

#[test]
fn a_stop_does_not_wait_for_a_collector_that_hangs() {
    let folder = Folder::new();
    let listens_and_never_answers = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listens_and_never_answers.local_addr().unwrap());
    let dev = folder.dev_with(
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
        ],
    );
    run(&folder, "support-triage", &[]);
    let (_request, _) = listens_and_never_answers.accept().unwrap();
    assert!(dev.interrupt().success());
}
