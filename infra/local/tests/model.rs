//! The examples with a real language model, traced with its true token counts. Not among the
//! tests that always run, because its server takes minutes to compile: `make test-model`.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};
use support::{Folder, eventually};
use tokio::runtime::Runtime;

const HOME: &str = "model-0.3.36-0.1.2";
const MODEL: &str = "SmolLM2-135M";

/// What the model's server said that each call used: input and output tokens.
type Used = Arc<Mutex<Vec<(u64, u64)>>>;

#[test]
fn examples_are_traced_with_the_true_token_counts_of_a_real_model() {
    let folder = Folder::new();
    let server = ModelServer::start(folder.path());
    let runtime = Runtime::new().unwrap();
    let used = Used::default();
    let between = runtime.block_on(stand_between(&server, &used));
    for (workflow, input) in [
        ("support-triage", example_input("support-triage")),
        ("document-digest", documents()),
    ] {
        used.lock().unwrap().clear();
        let file = in_one_piece(&folder, workflow);
        let (run, trace) = run_and_trace(&folder, &file, &input, &between);
        let spans = trace["spans"].as_array().unwrap();
        let mut traced: Vec<(u64, u64)> = spans
            .iter()
            .filter(|span| span["kind"] == "model")
            .map(|span| {
                assert_eq!(span["model"], MODEL, "{span:#}");
                let count = |name: &str| {
                    let count = span["usage"][name].as_u64();
                    count.unwrap_or_else(|| panic!("no {name}: {span:#}"))
                };
                (count("input_tokens"), count("output_tokens"))
            })
            .collect();
        let mut used = used.lock().unwrap().clone();
        traced.sort_unstable();
        used.sort_unstable();
        assert!(!used.is_empty(), "no call reached the model: {run:#}");
        assert_eq!(traced, used, "{workflow}");
        let totals = &trace["execution"]["totals"];
        let sum = |of: fn(&(u64, u64)) -> u64| used.iter().map(of).sum::<u64>();
        assert_eq!(totals["input_tokens"], sum(|call| call.0));
        assert_eq!(totals["output_tokens"], sum(|call| call.1));
        // A model that no price list knows has no cost, which is not a cost of nothing.
        assert_eq!(totals["cost_unknown"], used.len(), "{totals:#}");
    }
}

/// The example with answers that come whole: this server tells the usage of those only.
fn in_one_piece(folder: &Folder, workflow: &str) -> String {
    let mut definition = example(&format!("{workflow}.asl.json"));
    let changed = set_stream(&mut definition);
    ask_nobody(&mut definition);
    assert!(changed > 0, "{workflow} calls no model");
    let file = folder.write(&format!("{workflow}.asl.json"), &definition.to_string());
    file.to_str().unwrap().to_owned()
}

/// In how many payloads of `llm` nodes.
fn set_stream(value: &mut Value) -> usize {
    let mut changed = 0;
    if value["node"] == "llm" {
        value["parameters"]["stream"] = json!(false);
        changed += 1;
    }
    let inner: Vec<&mut Value> = match value {
        Value::Object(members) => members.values_mut().collect(),
        Value::Array(items) => items.iter_mut().collect(),
        _ => Vec::new(),
    };
    changed + inner.into_iter().map(set_stream).sum::<usize>()
}

/// How sure the model is of itself is nothing to rely on here: who is asked does not answer.
fn ask_nobody(definition: &mut Value) {
    for state in definition["States"].as_object_mut().unwrap().values_mut() {
        if state["Arguments"]["Payload"]["node"] == "approval" {
            state["TimeoutSeconds"] = json!(1);
        }
    }
}

fn example_input(workflow: &str) -> Value {
    example(&format!("{workflow}.input.json"))
}

fn example(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// As many as make a Map, and short, for a model that reads a few hundred tokens a second.
fn documents() -> Value {
    let texts = [
        "A bridge that is not painted rusts within a decade.",
        "Tests that wait for a clock fail on a busy machine.",
        "A letter without an address comes back to its sender.",
    ];
    let documents = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"name": format!("document-{index}"), "text": text}));
    json!({"documents": documents.collect::<Vec<_>>()})
}

/// A run may fail, as when the model answers with what is no JSON: its trace is there all the same.
fn run_and_trace(folder: &Folder, file: &str, input: &Value, base_url: &str) -> (Value, Value) {
    let run = folder
        .command(&["run", file, "--json", "--input", &input.to_string()])
        .env("STEPSCOPE_MODEL", MODEL)
        .env("STEPSCOPE_MODEL_BASE_URL", base_url)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&run.stdout);
    let run: Value = serde_json::from_str(&printed).unwrap_or_else(|error| {
        panic!("{error}: {printed}{}", String::from_utf8_lossy(&run.stderr))
    });
    let execution = run["execution"].as_str().unwrap();
    let trace = folder.succeeds_with_json(&["trace", execution, "--json"]);
    (run, trace)
}

/// Hands requests on to the server and notes the usage in its answers. Its base URL.
async fn stand_between(server: &ModelServer, used: &Used) -> String {
    let state = (server.url.clone(), Arc::clone(used));
    let router = Router::new().fallback(hand_on).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/v1/")
}

async fn hand_on(
    State((server, used)): State<(String, Used)>,
    uri: Uri,
    request: Bytes,
) -> Response {
    let client = lambda_process::http_client().unwrap();
    let answer = client
        .post(format!("{server}{}", uri.path()))
        .header(header::CONTENT_TYPE, "application/json")
        .body(older_schema(&request))
        .send()
        .await
        .unwrap();
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
    let content_type = answer.headers()[header::CONTENT_TYPE.as_str()].clone();
    let body = answer.bytes().await.unwrap();
    let usage = usage_in(&body);
    assert!(
        usage.is_some() || !status.is_success(),
        "an answer without usage: {}",
        String::from_utf8_lossy(&body)
    );
    used.lock().unwrap().extend(usage);
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type.as_bytes())
        .body(Body::from(body))
        .unwrap()
}

/// This server takes a schema too, in the protocol's older form.
fn older_schema(request: &[u8]) -> Vec<u8> {
    let mut request: Value = serde_json::from_slice(request).unwrap();
    if request["response_format"]["type"] == "json_schema" {
        let schema = request["response_format"]["json_schema"]["schema"].take();
        request["response_format"] = json!({"type": "json_object", "schema": schema});
    }
    request.to_string().into_bytes()
}

/// Of a whole answer, or of the last event of a stream that has any.
fn usage_in(body: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(body).unwrap();
    let answers = text
        .lines()
        .map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
    let usages = answers.filter_map(|answer| {
        let answer: Value = serde_json::from_str(answer).ok()?;
        let count = |name: &str| answer["usage"][name].as_u64();
        Some((count("prompt_tokens")?, count("completion_tokens")?))
    });
    usages.last()
}

struct ModelServer {
    url: String,
    process: Child,
}

impl ModelServer {
    fn start(folder: &Path) -> Self {
        let home: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../.tools")
            .join(HOME);
        assert!(
            home.join("installed").exists(),
            "the model is not installed: run tests/bin/install-model"
        );
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let log = std::fs::File::create(folder.join("model.log")).unwrap();
        let process = Command::new(home.join("bin/python"))
            .args([
                "-m",
                "llama_cpp.server",
                "--host",
                "127.0.0.1",
                "--n_ctx",
                "4096",
            ])
            .args(["--port", &port.to_string(), "--model"])
            .arg(home.join("model.gguf"))
            .args(["--model_alias", MODEL])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self {
            url: format!("http://127.0.0.1:{port}"),
            process,
        };
        eventually("the model is served", || {
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        server
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
