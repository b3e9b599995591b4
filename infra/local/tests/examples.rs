//! The tree of each example: every state and attempt once, right parents, right order, failed
//! attempts with their errors, tokens and cost that add up.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use serde_json::{Value, json};
use support::{Folder, outline};

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
    let (_, trace) = run_and_trace(&folder, "support-triage", None);
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
    ");
    totals_add_up(&trace);
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
    let outline = outline(&trace);
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
