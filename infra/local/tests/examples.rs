//! The tree of each example: every state and attempt once, right parents, right order, failed
//! attempts with their errors, tokens and cost that add up.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::process::Stdio;

use lambda_process::LocalService;
use serde_json::{Value, json};
use support::{Dev, Folder, eventually, outline};
use tokio::runtime::Runtime;

fn run_and_trace(folder: &Folder, workflow: &str, input: Option<&Value>) -> (Value, Value) {
    let input = input.map(Value::to_string);
    let mut arguments = vec!["run", workflow, "--json"];
    if let Some(input) = &input {
        arguments.extend(["--input", input]);
    }
    let run = folder.succeeds_with_json(&arguments);
    let execution = run["execution"].as_str().unwrap();
    let trace = folder.succeeds_with_json(&["trace", execution, "--json"]);
    (run, trace)
}

/// The run's totals are the sums of its model calls.
fn totals_add_up(trace: &Value) {
    let spans = trace["spans"].as_array().unwrap();
    let model_calls: Vec<&Value> = spans
        .iter()
        .filter(|span| span["kind"] == "model")
        .collect();
    assert!(!model_calls.is_empty());
    let totals = &trace["execution"]["totals"];
    for count in ["input_tokens", "output_tokens"] {
        let tokens = model_calls
            .iter()
            .map(|span| span["usage"][count].as_u64().unwrap());
        let sum: u64 = tokens.sum();
        assert!(sum > 0, "{count}");
        assert_eq!(totals[count], sum, "{count}");
    }
    assert_eq!(totals["spans"], spans.len());
    let errors = spans
        .iter()
        .filter(|span| span["status"]["code"] == "error");
    assert_eq!(totals["errors"], errors.count());
    assert_eq!(totals["cost_unknown"], 0);
    assert_eq!(
        totals["cost_usd"],
        json!(0.0),
        "the demo model is free, and known to be"
    );
}

#[test]
fn support_triage() {
    let folder = Folder::new();
    let (run, trace) = run_and_trace(&folder, "support-triage", None);
    assert_eq!(run["output"]["outcome"], "ready to send");
    assert_eq!(run["output"]["reply"]["name"], "reply-T-1042.html");
    assert_eq!(
        run["output"]["reply"]["content_type"],
        "text/html; charset=utf-8"
    );
    insta::assert_snapshot!(outline(&trace), @r"
    run support-triage
      state Classify
        attempt Classify attempt 1
          node llm
            model chat demo-model
      state Route
      state LookUpCustomer
        attempt LookUpCustomer attempt 1
          node http
            http GET 127.0.0.1
      state DraftReply
        attempt DraftReply attempt 1
          node llm
            model chat demo-model
      state IsItSure
      state SaveReply
        attempt SaveReply attempt 1
          node artifact
            storage PutObject artifacts
    ");
    totals_add_up(&trace);
}

/// Runs the ticket that is unsure, and answers for the person it waits for.
fn run_the_unsure_ticket(answer: &Value) -> (Value, Value) {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let input = concat!(
        "@",
        env!("CARGO_MANIFEST_DIR"),
        "/../workflows/support-triage.unsure.input.json"
    );
    let running = folder
        .command(&["run", "support-triage", "--input", input, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    answer_the_waiting_task(&dev, answer);
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let execution = run["execution"].as_str().unwrap();
    let trace = folder.succeeds_with_json(&["trace", execution, "--json"]);
    (run, trace)
}

fn answer_the_waiting_task(dev: &Dev, answer: &Value) {
    let runtime = Runtime::new().unwrap();
    let client = LocalService::at(&dev.aws_endpoint_url).sfn("us-east-1");
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:support-triage";
    let token = eventually("the task waits for a person", || {
        runtime.block_on(async {
            let listed = client.list_executions().state_machine_arn(machine);
            let listed = listed.send().await.unwrap();
            let execution = listed.executions().first()?;
            let history = client
                .get_execution_history()
                .execution_arn(execution.execution_arn());
            let history = history.send().await.unwrap();
            let mut scheduled = history.events().iter();
            scheduled.find_map(|event| {
                let parameters = event.task_scheduled_event_details()?.parameters();
                let parameters: Value = serde_json::from_str(parameters).unwrap();
                let token = parameters["Payload"]["task_token"].as_str()?;
                Some(token.to_owned())
            })
        })
    });
    let output = answer.to_string();
    runtime
        .block_on(
            client
                .send_task_success()
                .task_token(token)
                .output(output)
                .send(),
        )
        .unwrap();
}

#[test]
fn an_unsure_ticket_waits_for_a_person_who_approves() {
    let answer =
        json!({"approved": true, "by": "ann", "comment": "", "at": "2026-01-01T00:00:00Z"});
    let (run, trace) = run_the_unsure_ticket(&answer);
    assert_eq!(run["output"]["outcome"], "ready to send");
    insta::assert_snapshot!(outline(&trace), @r"
    run support-triage
      state Classify
        attempt Classify attempt 1
          node llm
            model chat demo-model
      state Route
      state DraftReply
        attempt DraftReply attempt 1
          node llm
            model chat demo-model
      state IsItSure
      state AskAPerson
        attempt AskAPerson attempt 1
          node approval
      state Decide
      state SaveReply
        attempt SaveReply attempt 1
          node artifact
            storage PutObject artifacts
    ");
}

#[test]
fn a_rejection_is_an_answer_and_no_error() {
    let (run, trace) = run_the_unsure_ticket(&json!({"approved": false, "comment": "too vague"}));
    assert_eq!(run["output"]["outcome"], "handed over");
    assert_eq!(run["output"]["comment"], "too vague");
    assert_eq!(trace["execution"]["totals"]["errors"], 0);
    let outline = outline(&trace);
    assert!(
        outline.ends_with("  state Decide\n  state HandOver\n"),
        "{outline}"
    );
}

#[test]
fn flaky_enrichment() {
    let folder = Folder::new();
    let (run, trace) = run_and_trace(&folder, "flaky-enrichment", None);
    assert_eq!(run["output"]["score"], "unknown");
    insta::assert_snapshot!(outline(&trace), @r"
    run flaky-enrichment
      state FetchProfile
        attempt FetchProfile attempt 1  ✗ Http.Status503
          node http  ✗ GET http
            http GET 127.0.0.1  ✗ status 503
        attempt FetchProfile attempt 2  ✗ Http.Status503
          node http  ✗ GET http
            http GET 127.0.0.1  ✗ status 503
        attempt FetchProfile attempt 3
          node http
            http GET 127.0.0.1
      state Enrich  ✗ Http.Status404
        state Geocode  ✗ aborted
          attempt Geocode attempt 1  ✗ aborted
            node http
              http GET 127.0.0.1
        state CompanyRecord  ✗ Http.Status404
          attempt CompanyRecord attempt 1  ✗ Http.Status404
            node http  ✗ GET http
              http GET 127.0.0.1  ✗ status 404
      state Score  ✗ States.Timeout
        attempt Score attempt 1  ✗ States.Timeout
          node http
            http POST 127.0.0.1
      state Summarise
        attempt Summarise attempt 1
          node llm
            model chat demo-model
    ");
    totals_add_up(&trace);
}

#[test]
fn document_digest() {
    let folder = Folder::new();
    let documents: Vec<Value> = (0..20)
        .map(|index| {
            json!({"name": format!("document-{index:02}"), "text": format!(
                "Document number {index} is about the care of old bridges. Bridges need paint \
                 every few years. A bridge that is not painted rusts within a decade."
            )})
        })
        .collect();
    let input = json!({"documents": documents});
    let (run, trace) = run_and_trace(&folder, "document-digest", Some(&input));
    assert_eq!(run["output"]["documents"], 20);
    assert_eq!(run["output"]["artifact"]["name"], "digest.md");
    let outline = outline(&trace);
    let last: Vec<&str> = outline.lines().rev().take(4).collect();
    insta::assert_snapshot!(last.into_iter().rev().collect::<Vec<_>>().join("\n"), @r"
      state SaveDigest
        attempt SaveDigest attempt 1
          node artifact
            storage PutObject artifacts
    ");
    let iterations = outline
        .lines()
        .filter(|line| line.trim_start().starts_with("iteration"));
    assert_eq!(iterations.count(), 20);
    let first: Vec<&str> = outline.lines().take(7).collect();
    insta::assert_snapshot!(first.join("\n"), @r"
    run document-digest
      state SummariseEach
        iteration SummariseEach iteration 0
          state Summarise
            attempt Summarise attempt 1
              node llm
                model chat demo-model
    ");
    totals_add_up(&trace);
}
