//! The real OpenTelemetry collector has every finished span as the store has it: ids, parents,
//! times and attributes, after it was down for a while too.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};
use support::{Dev, Folder, eventually};
use trace_model::Timestamp;

/// Texts of at most so many bytes travel with their spans.
const LARGEST_ATTRIBUTE: usize = 64 << 10;

/// Of each request in the collector's file.
const BEGINNING: &str = r#"{"resourceSpans":"#;

const EXAMPLES: [&str; 3] = ["support-triage", "flaky-enrichment", "document-digest"];

/// By trace and span id.
type Spans = BTreeMap<(String, String), Value>;

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

/// The execution's id.
fn run(folder: &Folder, workflow: &str, arguments: &[&str]) -> String {
    let arguments = [&["run", workflow, "--json"], arguments].concat();
    let run = folder.succeeds_with_json(&arguments);
    assert_eq!(run["status"], "SUCCEEDED", "{run}");
    run["execution"].as_str().unwrap().to_owned()
}

/// Every sending of every span is the stored span, and there is no other.
fn assert_all_the_same(exported: &HashMap<(String, String), Vec<Value>>, stored: &Spans) {
    for (id, sendings) in exported {
        let stored = &stored
            .get(id)
            .unwrap_or_else(|| panic!("the store has no span {id:?}: {sendings:?}"));
        for exported in sendings {
            pretty_assert_eq(exported, stored);
        }
    }
    assert_eq!(exported.len(), stored.len());
}

fn pretty_assert_eq(exported: &Value, stored: &Value) {
    let both = exported
        .as_object()
        .unwrap()
        .keys()
        .chain(stored.as_object().unwrap().keys());
    for field in both {
        assert_eq!(
            exported[field.as_str()],
            stored[field.as_str()],
            "{field} differs (exported, stored) in\n{exported:#}\n{stored:#}"
        );
    }
}

/// All spans of the runs as the API tells them, once each of them has ended.
fn stored_spans(dev: &Dev, folder: &Folder, runs: &[String]) -> Spans {
    let api = Api::new(dev, folder);
    let mut spans = Spans::new();
    for execution in runs {
        let trace = eventually("every span has ended", || {
            let trace = api.trace(execution);
            let open = trace.iter().any(|span| span["duration_us"].is_null());
            (!open && !trace.is_empty()).then_some(trace)
        });
        for summary in trace {
            let id = summary["span_id"].as_str().unwrap();
            let path = format!("executions/{execution}/trace/spans/{id}");
            let detail = api.get(&path);
            for field in [
                "attributes",
                "events",
                "links",
                "name",
                "parent_span_id",
                "status",
            ] {
                assert_eq!(summary[field], detail[field], "{field} of {id}");
            }
            let key = (text(&detail["trace_id"]), id.to_owned());
            spans.insert(key, as_stored(&detail));
        }
    }
    spans
}

/// The span's detail in the form both sides are compared in.
fn as_stored(detail: &Value) -> Value {
    let mut content = Map::new();
    for (field, body) in detail["content"].as_object().unwrap() {
        let mut kept = body.clone();
        let kept_fields = kept.as_object_mut().unwrap();
        let place = text(&kept_fields.remove("where").unwrap());
        let length = body["body"].as_str().map_or(usize::MAX, str::len);
        if place != "item" || length > LARGEST_ATTRIBUTE {
            kept_fields.remove("body");
        }
        kept_fields.remove("omitted");
        content.insert(field.clone(), kept);
    }
    let mut events = detail["events"].clone();
    for event in events.as_array_mut().unwrap() {
        event["time"] = nanoseconds(&event["time"]);
    }
    json!({
        "trace_id": detail["trace_id"],
        "span_id": detail["span_id"],
        "parent_span_id": detail["parent_span_id"],
        "name": detail["name"],
        "kind": detail["kind"],
        "otel_kind": detail["otel_kind"],
        "start": nanoseconds(&detail["started_at"]),
        "end": nanoseconds(&detail["finished_at"]),
        "status": detail["status"],
        "revision": detail["revision"],
        "attributes": detail["attributes"],
        "events": events,
        "links": detail["links"],
        "resource": detail["resource"],
        "scope": detail["scope"],
        "content": content,
    })
}

fn nanoseconds(rfc3339: &Value) -> Value {
    let time = Timestamp::parse_rfc3339(rfc3339.as_str().unwrap()).unwrap();
    json!(time.as_unix_nanos().to_string())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The trace API, as a user of it with a token.
struct Api {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Api {
    fn new(dev: &Dev, folder: &Folder) -> Self {
        Self {
            runtime: tokio::runtime::Runtime::new().unwrap(),
            client: lambda_process::http_client().unwrap(),
            url: dev.url.clone(),
            token: folder.succeeds(&["token"]).trim().to_owned(),
        }
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.url);
        let request = self.client.get(&url).bearer_auth(&self.token);
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status();
            let body = response.text().await.unwrap();
            assert!(status.is_success(), "{url}: {status}: {body}");
            serde_json::from_str(&body).unwrap()
        })
    }

    fn trace(&self, execution: &str) -> Vec<Value> {
        let mut spans = Vec::new();
        let mut query = String::new();
        loop {
            let page = self.get(&format!("executions/{execution}/trace?view=full{query}"));
            spans.extend(page["spans"].as_array().unwrap().iter().cloned());
            let Some(cursor) = page["page_info"]["cursor"].as_str() else {
                return spans;
            };
            query = format!("&cursor={cursor}");
        }
    }
}

/// The collector of `tests/bin/install-collector`, with the developers' configuration.
struct Collector {
    port: u16,
    file: PathBuf,
    log: PathBuf,
    process: Option<Child>,
}

impl Collector {
    fn new(folder: &Folder) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            port: free.local_addr().unwrap().port(),
            file: folder.path().join("spans.jsonl"),
            log: folder.path().join("collector.log"),
            process: None,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(mut self) -> Self {
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
    fn kill(mut self) -> Self {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        self
    }

    /// Waits until each of the spans has come in its last revision.
    fn eventually_has(&self, stored: &Spans) -> HashMap<(String, String), Vec<Value>> {
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
    fn exported(&self) -> HashMap<(String, String), Vec<Value>> {
        let mut spans: HashMap<_, Vec<Value>> = HashMap::new();
        let lines = std::fs::read_to_string(&self.file).unwrap_or_default();
        let requests = lines
            .split(BEGINNING)
            .filter_map(|rest| serde_json::from_str::<Value>(&format!("{BEGINNING}{rest}")).ok());
        for request in requests {
            for group in list(&request["resourceSpans"]) {
                let resource = attributes(&group["resource"]["attributes"]);
                for scope_group in list(&group["scopeSpans"]) {
                    for span in list(&scope_group["spans"]) {
                        let span = as_exported(span, &resource, &scope_group["scope"]);
                        let id = (text(&span["trace_id"]), text(&span["span_id"]));
                        spans.entry(id).or_default().push(span);
                    }
                }
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

fn text_or_empty(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Absent is empty, as in protobuf's JSON.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
