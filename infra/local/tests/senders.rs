//! Senders that we did not write: OpenTelemetry's own SDK for Python, and the real collector. They
//! get an endpoint and a key, and their trace is read back through the API.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{Dev, Folder, eventually};

/// What `send_spans.py` makes.
const SPANS: u64 = 1003;

#[test]
fn the_stock_sdk_for_python_is_understood() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let key = create_key(&folder);
    for (compression, headers) in [
        ("gzip", format!("x-api-key={key}")),
        ("none", format!("Authorization=Bearer%20{key}")),
    ] {
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", dev.url.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
        ];
        let trace_id = send_spans(&environment);
        assert_trace_is_whole(&folder, &trace_id);
    }
    assert!(dev.interrupt().success());
}

#[test]
fn the_collector_s_exporter_is_understood() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let key = create_key(&folder);
    for compression in ["gzip", "zstd"] {
        let collector = Collector::start(&folder, &dev, &key, compression);
        let url = format!("http://127.0.0.1:{}", collector.port);
        let trace_id = send_spans(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
        assert_trace_is_whole(&folder, &trace_id);
    }
    assert!(dev.interrupt().success());
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let made = folder.succeeds_with_json(&["keys", "create", "--name", "collector", "--json"]);
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("stepscope_default_"), "{key}");
    assert_eq!(made["scopes"], json!(["traces:write"]));
    assert_eq!(post_nothing(&dev, key), 200);
    let listed = folder.succeeds(&["keys", "list"]);
    let id = made["id"].as_str().unwrap();
    assert!(
        listed.contains(id) && listed.contains("collector"),
        "{listed}"
    );
    let secret = &key[key.len() - 64..];
    assert!(!listed.contains(secret));
    let nobody_s = folder.succeeds_with_json(&["keys", "list", "--tenant", "acme", "--json"]);
    assert_eq!(nobody_s, json!({"keys": []}));

    // Revoked before this process knows it: there is nothing to forget first.
    let other = create_key(&folder);
    let other_id = other.rsplit('_').nth(1).unwrap();
    folder.succeeds(&["keys", "revoke", other_id]);
    assert_eq!(post_nothing(&dev, &other), 401);
    assert!(folder.succeeds(&["keys", "list"]).contains("revoked"));
    let unknown = folder.fails(&["keys", "revoke", "0123456789abcdef"]);
    assert!(unknown.contains("has no key"), "{unknown}");
    let wrong = folder.fails(&["keys", "create", "--name", "x", "--scope", "everything"]);
    assert!(wrong.contains("traces:write"), "{wrong}");
    assert!(dev.interrupt().success());
    assert_nowhere_on_disk(&folder.data(), secret);
}

fn create_key(folder: &Folder) -> String {
    let key = folder.succeeds(&["keys", "create", "--name", "a test"]);
    key.trim().to_owned()
}

/// The trace's id.
fn send_spans(environment: &[(&str, &str)]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../../.tools/opentelemetry-python-1.37.0/bin/python");
    assert!(
        python.exists(),
        "there is no {}: run tests/bin/install-opentelemetry-python, or make tools",
        python.display()
    );
    let sent = Command::new(python)
        .arg(root.join("tests/senders/send_spans.py"))
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&sent.stderr);
    assert!(sent.status.success(), "{errors}");
    // The exporter logs what a receiver refuses, and goes on.
    assert_eq!(errors, "");
    String::from_utf8(sent.stdout).unwrap().trim().to_owned()
}

fn assert_trace_is_whole(folder: &Folder, trace_id: &str) {
    let trace = eventually("the whole trace is summed up", || {
        let shown = folder.stepscope(&["trace", trace_id, "--json"]);
        let trace: Value = serde_json::from_slice(&shown.stdout).ok()?;
        let execution = &trace["execution"];
        (execution["totals"]["spans"] == SPANS && execution["status"] == "SUCCEEDED")
            .then_some(trace)
    });
    let execution = &trace["execution"];
    assert_eq!(execution["id"], trace_id);
    assert_eq!(execution["workflow"], "support");
    let totals = &execution["totals"];
    assert_eq!(
        (&totals["errors"], &totals["input_tokens"]),
        (&json!(1), &json!(400))
    );
    assert!(totals["cost_usd"].as_f64().unwrap() > 0.0, "{totals}");
    assert_eq!(
        execution["redaction"]["by_detector"]["email"], 1,
        "{execution}"
    );
    let spans = trace["spans"].as_array().unwrap();
    let named = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    let (root, call) = (named("invoke_agent support"), named("chat gpt-4o-mini"));
    assert_eq!(
        (&root["kind"], &call["kind"]),
        (&json!("agent"), &json!("model"))
    );
    assert_eq!(call["parent_span_id"], root["span_id"]);
    assert_eq!(named("GET")["status"]["message"], "404");
    assert_eq!(call["content"]["gen_ai.input.messages"]["redactions"], 1);
    assert!(!trace.to_string().contains("jane@example.com"));
    let listed = folder.succeeds_with_json(&["executions", "--json"]);
    let listed = listed["executions"].as_array().unwrap();
    assert!(listed.iter().any(|run| run["id"] == trace_id));
}

/// The status of an empty request with that key.
fn post_nothing(dev: &Dev, key: &str) -> u16 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = lambda_process::http_client().unwrap();
    let request = client
        .post(format!("{}v1/traces", dev.url))
        .header("x-api-key", key)
        .header("content-type", "application/json")
        .body("{}");
    let response = runtime.block_on(async { request.send().await.unwrap() });
    response.status().as_u16()
}

fn assert_nowhere_on_disk(folder: &Path, secret: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_nowhere_on_disk(&path, secret);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{}", path.display());
    }
}

/// The collector of `tests/bin/install-collector`, which sends on what it gets.
struct Collector {
    port: u16,
    process: Child,
}

impl Collector {
    fn start(folder: &Folder, dev: &Dev, key: &str, compression: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let endpoint = dev.url.trim_end_matches('/');
        let config = format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}}}\n\
             exporters:\n  otlphttp:\n    endpoint: '{endpoint}'\n    compression: {compression}\n    \
             headers: {{x-api-key: '{key}'}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n  \
             pipelines: {{traces: {{receivers: [otlp], exporters: [otlphttp]}}}}\n"
        );
        let config = folder.write(&format!("collector-{compression}.yaml"), &config);
        let log = folder.path().join(format!("collector-{compression}.log"));
        let mut process = Self::command()
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        eventually("the collector listens", || {
            if let Some(status) = process.try_wait().unwrap() {
                let log = std::fs::read_to_string(&log).unwrap();
                panic!("the collector ended with {status}:\n{log}");
            }
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { port, process }
    }

    fn command() -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let program: PathBuf = root.join(".tools/otelcol-v0.161.0/otelcol");
        assert!(
            program.exists(),
            "there is no {}: run tests/bin/install-collector, or make tools",
            program.display()
        );
        Command::new(program)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
