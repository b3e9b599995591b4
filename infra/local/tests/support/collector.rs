//! A real OpenTelemetry collector, and the spans that it got.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};

use super::stored::{Spans, text};
use super::{Folder, eventually};

/// Of each request in the collector's file.
const BEGINNING: &str = r#"{"resourceSpans":"#;

/// The collector of `tests/bin/install-collector`, with the developers' configuration.
pub(crate) struct Collector {
    port: u16,
    file: PathBuf,
    log: PathBuf,
    process: Option<Child>,
}

impl Collector {
    pub(crate) fn new(folder: &Folder) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            port: free.local_addr().unwrap().port(),
            file: folder.path().join("spans.jsonl"),
            log: folder.path().join("collector.log"),
            process: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn start(mut self) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let program = root.join(".tools/otelcol-v0.161.0/otelcol");
        assert!(
            program.exists(),
            "there is no {}: run tests/bin/install-collector, or make tools",
            program.display()
        );
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let process = Command::new(program)
            .arg("--config")
            .arg(root.join("infra/collector/config.yaml"))
            .env("COLLECTOR_ENDPOINT", format!("127.0.0.1:{}", self.port))
            .env("COLLECTOR_FILE", &self.file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let process = self.process.insert(process);
        eventually("the collector listens", || {
            if let Some(status) = process.try_wait().unwrap() {
                let log = std::fs::read_to_string(&self.log).unwrap();
                panic!("the collector ended with {status}:\n{log}");
            }
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        self
    }

    /// `SIGKILL`: what it had only in its memory is gone.
    pub(crate) fn kill(mut self) -> Self {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        self
    }

    /// Waits until each of the spans has come in its last revision.
    pub(crate) fn eventually_has(&self, stored: &Spans) -> HashMap<(String, String), Vec<Value>> {
        let mut missing = Vec::new();
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("the collector has every span", || {
                let exported = self.exported();
                missing = stored
                    .keys()
                    .filter(|id| !exported.contains_key(id))
                    .cloned()
                    .collect();
                missing.is_empty().then_some(exported)
            })
        }));
        waited.unwrap_or_else(|_| {
            let names: Vec<_> = missing.iter().map(|id| (id, &stored[id]["name"])).collect();
            panic!("the collector never got {names:?}")
        })
    }

    /// All sendings, by span. A request that is not whole yet is left for the next look; so is
    /// what a killed collector left of one, with the next request on its line.
    pub(crate) fn exported(&self) -> HashMap<(String, String), Vec<Value>> {
        let mut spans: HashMap<_, Vec<Value>> = HashMap::new();
        let lines = std::fs::read_to_string(&self.file).unwrap_or_default();
        let requests = lines
            .split(BEGINNING)
            .filter_map(|rest| serde_json::from_str::<Value>(&format!("{BEGINNING}{rest}")).ok());
        for request in requests {
            for (id, span) in spans_of(&request) {
                spans.entry(id).or_default().push(span);
            }
        }
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The spans of a request in OTLP's JSON, by trace and span id.
pub(crate) fn spans_of(request: &Value) -> Vec<((String, String), Value)> {
    let mut spans = Vec::new();
    for group in list(&request["resourceSpans"]) {
        let resource = attributes(&group["resource"]["attributes"]);
        for scope_group in list(&group["scopeSpans"]) {
            for span in list(&scope_group["spans"]) {
                let span = as_exported(span, &resource, &scope_group["scope"]);
                let id = (text(&span["trace_id"]), text(&span["span_id"]));
                spans.push((id, span));
            }
        }
    }
    spans
}

/// A span of OTLP's JSON in the form both sides are compared in.
fn as_exported(span: &Value, resource: &Map<String, Value>, scope: &Value) -> Value {
    let end = text(&span["endTimeUnixNano"]);
    assert_ne!(end, "0", "an open span was exported: {span}");
    let mut own = attributes(&span["attributes"]);
    let kind = own.remove("stepscope.span.kind");
    let revision = own.remove("stepscope.revision");
    let summaries = own.remove("stepscope.content").unwrap_or_else(|| json!({}));
    let mut content = summaries.as_object().unwrap().clone();
    for (field, summary) in &mut content {
        let summary = summary.as_object_mut().unwrap();
        if summary.remove("location").unwrap() == "attribute" {
            summary.insert("body".to_owned(), own.remove(field).unwrap());
        }
    }
    let parent = span["parentSpanId"].as_str().filter(|id| !id.is_empty());
    let events = list(&span["events"]).iter().map(|event| {
        json!({
            "name": event["name"],
            "time": event["timeUnixNano"],
            "attributes": attributes(&event["attributes"]),
        })
    });
    let links = list(&span["links"]).iter().map(|link| {
        json!({
            "trace_id": link["traceId"],
            "span_id": link["spanId"],
            "attributes": attributes(&link["attributes"]),
        })
    });
    json!({
        "trace_id": span["traceId"],
        "span_id": span["spanId"],
        "parent_span_id": parent,
        "name": span["name"],
        "kind": kind,
        "otel_kind": match span["kind"].as_u64().unwrap() {
            1 => "internal",
            2 => "server",
            3 => "client",
            4 => "producer",
            5 => "consumer",
            other => panic!("OTLP has no span kind {other}"),
        },
        "start": span["startTimeUnixNano"],
        "end": end,
        "status": match span["status"]["code"].as_u64().unwrap_or(0) {
            0 => json!({"code": "unset", "message": null}),
            1 => json!({"code": "ok", "message": null}),
            2 => json!({"code": "error", "message": text_or_empty(&span["status"]["message"])}),
            other => panic!("OTLP has no status {other}"),
        },
        "revision": revision,
        "attributes": own,
        "events": events.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
        "resource": resource,
        "scope": {
            "name": text_or_empty(&scope["name"]),
            "version": text_or_empty(&scope["version"]),
        },
        "content": content,
    })
}

fn attributes(pairs: &Value) -> Map<String, Value> {
    let pairs = list(pairs).iter();
    pairs
        .map(|pair| (text(&pair["key"]), any_value(&pair["value"])))
        .collect()
}

/// OTLP's `AnyValue` in JSON, which has 64-bit integers as text.
fn any_value(value: &Value) -> Value {
    let (variant, value) = value.as_object().unwrap().iter().next().unwrap();
    match variant.as_str() {
        "stringValue" | "boolValue" | "bytesValue" => value.clone(),
        "intValue" => json!(value.as_str().unwrap().parse::<i64>().unwrap()),
        "doubleValue" => json!(value.as_f64().unwrap()),
        "arrayValue" => list(&value["values"]).iter().map(any_value).collect(),
        "kvlistValue" => Value::Object(attributes(&value["values"])),
        other => panic!("OTLP has no {other}"),
    }
}

pub(crate) fn text_or_empty(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Absent is empty, as in protobuf's JSON.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
