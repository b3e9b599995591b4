//! A real Jaeger gives traces back as the store has them: every finished span with its ids,
//! parent, name, times, attributes, status, events and links.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::collector::spans_of;
use support::stored::{Spans, assert_all_the_same, run, stored_spans};
use support::{Folder, eventually};

const EXAMPLES: [&str; 3] = ["support-triage", "flaky-enrichment", "document-digest"];

#[test]
fn jaeger_gives_back_what_the_store_has() {
    let folder = Folder::new();
    let jaeger = Jaeger::start(&folder);
    let dev = folder.dev_with(&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &jaeger.otlp)]);
    let runs = EXAMPLES.map(|workflow| run(&folder, workflow, &[]));
    let stored = stored_spans(&dev, &folder, &runs);
    assert!(stored.len() > 50, "{} spans are few", stored.len());
    assert_all_the_same(&jaeger.eventually_has(&stored), &stored);
    assert!(dev.interrupt().success());
}

#[test]
fn jaeger_gives_back_what_was_exported_later() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let runs = EXAMPLES.map(|workflow| run(&folder, workflow, &[]));
    let stored = stored_spans(&dev, &folder, &runs);
    let jaeger = Jaeger::start(&folder);
    folder.succeeds(&["export", "--since", "1h", "--to", &jaeger.otlp]);
    assert_all_the_same(&jaeger.eventually_has(&stored), &stored);
    assert!(dev.interrupt().success());
}

/// The one of `tests/bin/install-jaeger`, with the developers' configuration.
struct Jaeger {
    otlp: String,
    query: String,
    process: Child,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

impl Jaeger {
    fn start(folder: &Folder) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let program = root.join(".tools/jaeger-v1.76.0/jaeger");
        assert!(
            program.exists(),
            "there is no {}: run tests/bin/install-jaeger, or make test-jaeger",
            program.display()
        );
        let (otlp, query) = (free_address(), free_address());
        let log_path = folder.path().join("jaeger.log");
        let log = std::fs::File::create(&log_path).unwrap();
        let mut process = Command::new(program)
            .arg("--config")
            .arg(root.join("infra/collector/jaeger.yaml"))
            .env("JAEGER_OTLP_ENDPOINT", &otlp)
            .env("JAEGER_QUERY_ENDPOINT", &query)
            .env("JAEGER_QUERY_GRPC_ENDPOINT", free_address())
            // Of itself it traces nothing.
            .env("OTEL_TRACES_SAMPLER", "always_off")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        eventually("Jaeger listens", || {
            if let Some(status) = process.try_wait().unwrap() {
                let log = std::fs::read_to_string(&log_path).unwrap();
                panic!("Jaeger ended with {status}:\n{log}");
            }
            TcpStream::connect(&otlp).ok()?;
            TcpStream::connect(&query).ok()
        });
        Self {
            otlp: format!("http://{otlp}"),
            query: format!("http://{query}"),
            process,
            client: lambda_process::http_client().unwrap(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    fn eventually_has(&self, stored: &Spans) -> HashMap<(String, String), Vec<Value>> {
        let traces: BTreeSet<_> = stored.keys().map(|(trace_id, _)| trace_id).collect();
        eventually("Jaeger has every span", || {
            let mut spans: HashMap<_, Vec<Value>> = HashMap::new();
            for trace_id in &traces {
                for (id, span) in self.trace(trace_id)? {
                    spans.entry(id).or_default().push(span);
                }
            }
            stored
                .keys()
                .all(|id| spans.contains_key(id))
                .then_some(spans)
        })
    }

    /// From the query API of version 3, which answers in OTLP. `None` while it knows nothing of
    /// the trace.
    fn trace(&self, trace_id: &str) -> Option<Vec<((String, String), Value)>> {
        let url = format!("{}/api/v3/traces/{trace_id}", self.query);
        self.runtime.block_on(async {
            let response = self.client.get(&url).send().await.unwrap();
            let status = response.status();
            if status == reqwest::StatusCode::NOT_FOUND {
                return None;
            }
            let body = response.text().await.unwrap();
            assert!(status.is_success(), "{url}: {status}: {body}");
            let answer: Value = serde_json::from_str(&body).unwrap();
            let mut spans = spans_of(&answer["result"]);
            for (_, span) in &mut spans {
                restore_length(span);
            }
            Some(spans)
        })
    }
}

/// Jaeger stores no span that took no time: it moves the end by a nanosecond, and says so in the
/// span. That alone is taken back here; whatever else it warned of stays, and is a difference.
fn restore_length(span: &mut Value) {
    let Some(warnings) = span["attributes"]["@jaeger@warnings"].as_array() else {
        return;
    };
    let nanoseconds = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let moved = nanoseconds(&span["end"]) - nanoseconds(&span["start"]) == 1;
    let told = warnings.len() == 1
        && warnings[0]
            .as_str()
            .unwrap()
            .starts_with("Negative duration detected");
    if moved && told {
        span["end"] = span["start"].clone();
        let attributes = span["attributes"].as_object_mut().unwrap();
        attributes.remove("@jaeger@warnings");
    }
}

impl Drop for Jaeger {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
