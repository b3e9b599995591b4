//! `stepscope invoke`: the handlers of the functions on one event, without Lambda.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use support::Folder;
use support::collector::Collector;
use support::stored::run;

fn sample(event: &str) -> String {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    events.join(event).to_str().unwrap().to_owned()
}

/// The exit status, and the answer.
fn invoke(
    folder: &Folder,
    function: &str,
    event: &str,
    environment: &[(&str, &str)],
) -> (i32, Value) {
    let mut command = folder.command(&["invoke", function, "--event", event]);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let answer = serde_json::from_str(&stdout).unwrap_or_else(|error| {
        panic!("{function} answered no JSON ({error}):\n{stdout}\n{stderr}")
    });
    (output.status.code().unwrap(), answer)
}

#[test]
fn run_node_answers_as_on_lambda() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let event = sample("run-node/unknown-node.json");
    let (status, answer) = invoke(&folder, "run-node", &event, &[]);
    assert_eq!(status, 1);
    assert_eq!(answer["errorType"], "Node.UnknownKind");
    assert!(answer["errorMessage"].as_str().unwrap().contains("htpp"));

    let execution = "arn:aws:states:us-east-1:000000000000:execution:by-hand:one";
    let trace_id =
        trace_model::TraceId::of_execution(&trace_model::ExecutionArn::parse(execution).unwrap());
    let event = json!({
        "node": "llm",
        "parameters": {"model": "demo-model", "user": "Sort this: charged twice"},
        "input": null,
        "headers": {"traceparent": format!("00-{trace_id}-b7ad6b7169203331-01")},
        "stepscope": {"execution": execution, "tenant": "acme", "state": "Sort", "attempt": 0,
            "entered": "2045-03-01T12:00:00.000Z"},
    });
    let event = folder.write("llm.json", &event.to_string());
    let (status, answer) = invoke(&folder, "run-node", event.to_str().unwrap(), &[]);
    assert_eq!(status, 0, "{answer}");
    assert!(answer["text"].is_string(), "{answer}");
    assert!(dev.interrupt().success());
}

#[test]
fn record_execution_reads_the_history_of_the_run_it_is_told_of() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let event = sample("record-execution/invocations/status-changes.json");
    let (status, answer) = invoke(&folder, "record-execution", &event, &[]);
    assert_eq!(status, 1, "these executions are not here");
    assert!(!answer["batchItemFailures"].as_array().unwrap().is_empty());

    let id = run(&folder, "support-triage", &[]);
    let body = json!({
        "executionArn": format!("arn:aws:states:us-east-1:000000000000:execution:{id}"),
        "status": "SUCCEEDED",
    });
    let event = json!({"Records": [{"messageId": "one", "body": body.to_string(),
        "attributes": {}, "messageAttributes": {}}]});
    let event = folder.write("event.json", &event.to_string());
    let event = event.to_str().unwrap();
    let (status, answer) = invoke(&folder, "record-execution", event, &[]);
    assert_eq!((status, answer), (0, json!({"batchItemFailures": []})));
    assert!(dev.interrupt().success());
}

/// The batch that Lambda gave up and left in the bucket is taken as it lies there.
#[test]
fn summarise_run_takes_a_batch_and_one_that_was_given_up() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let event = sample("summarise-run/changed-chunks.json");
    let done = (0, json!({"batchItemFailures": []}));
    assert_eq!(invoke(&folder, "summarise-run", &event, &[]), done);
    let record = json!({
        "requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 21},
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "version": "1.0",
        "DDBStreamBatchInfo": {"shardId": "shardId-1", "batchSize": 1},
        "payload": std::fs::read_to_string(&event).unwrap(),
    });
    let event = folder.write("given-up.json", &record.to_string());
    let event = event.to_str().unwrap();
    assert_eq!(invoke(&folder, "summarise-run", event, &[]), done);
    assert!(dev.interrupt().success());
}

#[test]
fn export_spans_sends_to_the_collector_that_is_named() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let event = sample("export-spans/changed-chunks.json");
    let refusal = folder.fails(&["invoke", "export-spans", "--event", &event]);
    assert!(refusal.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{refusal}");
    let collector = Collector::new(&folder).start();
    let url = collector.url();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
    let (status, answer) = invoke(&folder, "export-spans", &event, &environment);
    assert_eq!((status, answer), (0, json!({"batchItemFailures": []})));
    assert_eq!(collector.exported().len(), 2);
    assert!(dev.interrupt().success());
}

#[test]
fn trace_api_answers_as_the_gateway_hands_it_on() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let id = run(&folder, "support-triage", &["--tenant", "acme"]);
    let list = |tenant: &str| {
        let event = sample("trace-api/list-executions.json");
        let answer =
            folder.succeeds_with_json(&["invoke", "trace-api", "-e", &event, "--tenant", tenant]);
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        body["executions"].as_array().unwrap().clone()
    };
    assert_eq!(list("acme")[0]["id"], *id);
    assert_eq!(list("globex"), [] as [Value; 0]);
    let event = sample("trace-api/no-such-route.json");
    let (status, answer) = invoke(&folder, "trace-api", &event, &[]);
    assert_eq!((status, &answer["statusCode"]), (0, &json!(404)));
    assert!(dev.interrupt().success());
}

#[test]
fn restore_spans_writes_what_waited() {
    let folder = Folder::new();
    let event = sample("restore-spans/queued-spans.json");
    let done = (0, json!({"batchItemFailures": []}));
    assert_eq!(invoke(&folder, "restore-spans", &event, &[]), done);
    let collector = Collector::new(&folder).start();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let url = collector.url();
    let export = [
        "export",
        "--execution",
        trace,
        "--tenant",
        "acme",
        "--to",
        &url,
        "--json",
    ];
    let exported = folder.succeeds_with_json(&export);
    assert!(exported["spans"].as_u64() > Some(0), "{exported}");
}

#[test]
fn watch_traces_reports_what_it_saw() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    run(&folder, "support-triage", &[]);
    let event = sample("watch-traces/scheduled.json");
    let (status, answer) = invoke(&folder, "watch-traces", &event, &[]);
    assert_eq!(status, 0, "{answer}");
    assert!(answer["executions"].is_u64(), "{answer}");
    assert_eq!(answer["missing"], 0, "{answer}");
    assert!(dev.interrupt().success());
}

/// The sample's key is nobody's.
#[test]
fn ingest_spans_asks_for_a_key_that_is_known() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let event = sample("ingest-spans/model-call.json");
    let (status, answer) = invoke(&folder, "ingest-spans", &event, &[]);
    assert_eq!(
        (status, &answer["statusCode"]),
        (0, &json!(401)),
        "{answer}"
    );
    assert!(dev.interrupt().success());
}

#[test]
fn an_event_may_come_by_standard_input() {
    let folder = Folder::new();
    let mut command = folder.command(&["invoke", "summarise-run", "-e", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(br#"{"Records": []}"#).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
}

#[test]
fn what_is_no_event_is_said() {
    let folder = Folder::new();
    let check = |arguments: &[&str], expected: &str| {
        let said = folder.fails(&[&["invoke"], arguments].concat());
        assert!(said.contains(expected), "{arguments:?}:\n{said}");
    };
    let text = folder.write("text.json", "no JSON");
    let text = text.to_str().unwrap();
    let list = folder.write("list.json", "[1]");
    let list = list.to_str().unwrap();
    check(&["run-nodes", "-e", text], "run-node");
    check(&["run-node", "-e", "gone.json"], "gone.json");
    check(&["run-node", "-e", text], "text.json is not valid JSON");
    check(
        &["summarise-run", "-e", list],
        "not a batch of a table's stream",
    );
    check(&["record-execution", "-e", list], "not a batch of a queue");
    check(&["trace-api", "-e", list], "not a request of an HTTP API");
}
