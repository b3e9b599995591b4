//! Texts beyond a state's limit go through a Map of fetches and model calls, by reference.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde_json::{Value, json};
use support::Folder;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const DOCUMENTS: usize = 6;
/// Of each document: more than a state's input or output may have in all.
const BYTES: usize = 300_000;

fn document(number: usize) -> String {
    let sentence = format!("Bridge number {number} needs a coat of paint every few years. ");
    sentence.repeat(BYTES / sentence.len() + 1)
}

fn serve(runtime: &Runtime) -> String {
    let fetch = get(|Path(number): Path<usize>| async move { document(number) });
    let app = Router::new().route("/documents/{number}", fetch);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, app).await });
    address.to_string()
}

fn task(payload: &Value, output: &Value) -> Value {
    let mut payload = payload.clone();
    payload["headers"] = json!({"traceparent": "{% '00-' & $hash($states.context.Execution.Id, 'MD5') & '-' & $substring($replace($uuid(), '-', ''), 0, 16) & '-01' %}"});
    payload["stepscope"] = json!({
        "execution": "{% $states.context.Execution.Id %}",
        "tenant": "{% $states.context.Execution.Input.stepscope.tenant %}",
        "state": "{% $states.context.State.Name %}",
        "attempt": "{% $states.context.State.RetryCount %}",
    });
    json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "${RunNodeFunctionArn}", "Payload": payload},
        "Output": output})
}

fn definition(address: &str) -> Value {
    let url = format!("{{% 'http://{address}/documents/' & $states.input %}}");
    let mut fetch = task(
        &json!({"node": "http", "parameters": {"url": url}, "input": null}),
        &json!("{% $states.result.Payload.body %}"),
    );
    fetch["Next"] = json!("Summarise");
    let mut summarise = task(
        &json!({
            "node": "llm",
            "parameters": {"system": "You summarise.", "user": "{{ input.text }}"},
            "input": {"text": "{% $states.input %}"},
        }),
        &json!({"text": "{% $states.input %}", "summary": "{% $states.result.Payload.text %}"}),
    );
    summarise["End"] = json!(true);
    let mut save = task(
        &json!({
            "node": "artifact",
            "parameters": {"name": "all.txt",
                "template": "All:\n{% for document in input %}{{ document.text }}\n{% endfor %}\n"},
            "input": "{% $states.input %}",
        }),
        &json!({
            "summaries": "{% $states.input.summary %}",
            "texts": "{% $states.input.text %}",
            "artifact": "{% $states.result.Payload.artifact %}",
        }),
    );
    save["End"] = json!(true);
    json!({"QueryLanguage": "JSONata", "StartAt": "Each", "States": {
        "Each": {"Type": "Map", "Items": "{% $states.input.numbers %}", "MaxConcurrency": 3,
            "ItemProcessor": {"StartAt": "Fetch",
                "States": {"Fetch": fetch, "Summarise": summarise}},
            "Next": "Save"},
        "Save": save,
    }})
}

#[test]
fn a_map_over_large_texts_works_by_reference() {
    let runtime = Runtime::new().unwrap();
    let address = serve(&runtime);
    let folder = Folder::new();
    let file = folder.write("large.asl.json", &definition(&address).to_string());
    let numbers: Vec<usize> = (0..DOCUMENTS).collect();
    let input = json!({"numbers": numbers}).to_string();
    let output = folder
        .command(&[
            "run",
            file.to_str().unwrap(),
            "--tenant",
            "acme",
            "--json",
            "--input",
            &input,
        ])
        .env("STEPSCOPE_HTTP_ALLOW", &address)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let run: Value = serde_json::from_str(&stdout).unwrap();
    for number in numbers {
        let summary = run["output"]["summaries"][number].as_str().unwrap();
        assert!(
            summary.contains(&format!("Bridge number {number}")),
            "{summary}"
        );
        let text = &run["output"]["texts"][number]["stepscope_reference"];
        assert_eq!(text["bytes"], document(number).len());
    }
    let whole: usize = (0..DOCUMENTS)
        .map(|number| document(number).len() + 1)
        .sum();
    assert_eq!(run["output"]["artifact"]["bytes"], whole + "All:\n".len());
    let execution = run["execution"].as_str().unwrap();
    let trace = folder.succeeds_with_json(&["trace", execution, "--tenant", "acme", "--json"]);
    let storage = trace["spans"].as_array().unwrap().iter();
    let storage = storage.filter(|span| span["kind"] == "storage");
    // Each text is stored once, and read by its summary and for the whole.
    assert_eq!(storage.count(), 3 * DOCUMENTS + 1);
}
