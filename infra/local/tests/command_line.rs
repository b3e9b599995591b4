//! What the `stepscope` command promises, tried on the real binary.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use serde_json::{Value, json};
use support::Folder;

#[test]
fn a_workflow_runs_and_its_trace_is_there_after_a_restart() {
    let folder = Folder::new();
    let run = folder.succeeds_with_json(&["run", "support-triage", "--tenant", "acme", "--json"]);
    assert_eq!(run["status"], "SUCCEEDED");
    assert_eq!(run["output"]["category"], "billing");
    assert_eq!(run["error"], Value::Null);
    let execution = run["execution"].as_str().unwrap();
    assert!(execution.starts_with("support-triage:"), "{execution}");

    let list = folder.succeeds_with_json(&["executions", "--tenant", "acme", "--json"]);
    assert_eq!(list["executions"][0]["id"], execution);
    assert_eq!(list["executions"].as_array().unwrap().len(), 1);
    let tree = folder.succeeds(&["trace", execution, "--tenant", "acme"]);
    for expected in [
        "Classify",
        "LookUpCustomer",
        "DraftReply",
        "demo-model",
        "SUCCEEDED",
    ] {
        assert!(tree.contains(expected), "{expected} is missing:\n{tree}");
    }
}

#[test]
fn another_tenant_sees_nothing_of_it() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let run = folder.succeeds_with_json(&["run", "support-triage", "--tenant", "acme", "--json"]);
    let execution = run["execution"].as_str().unwrap();
    let foreign = folder.fails(&["trace", execution, "--tenant", "globex"]);
    let never = folder.fails(&["trace", "support-triage:never-ran", "--tenant", "globex"]);
    assert_eq!(
        foreign.replace(execution, "ID"),
        never.replace("support-triage:never-ran", "ID")
    );
    let list = folder.succeeds_with_json(&["executions", "--tenant", "globex", "--json"]);
    assert_eq!(list["executions"], json!([]));
    assert!(dev.interrupt().success());
}

#[test]
fn the_exit_status_is_the_run_s() {
    let folder = Folder::new();
    let file = folder.write(
        "doomed.asl.json",
        r#"{"QueryLanguage":"JSONata","StartAt":"Stop","States":{"Stop":{"Type":"Fail","Error":"OutOfLuck","Cause":"not today"}}}"#,
    );
    let output = folder.stepscope(&["run", file.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run["status"], "FAILED");
    assert_eq!(run["error"], "OutOfLuck");
    assert_eq!(run["cause"], "not today");
}

#[test]
fn a_second_dev_on_the_same_data_is_refused_in_words() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let refusal = folder.fails(&["dev", "--port", "0"]);
    assert!(
        refusal.contains("in use by the local cloud at"),
        "{refusal}"
    );
    assert!(refusal.contains(&dev.url), "{refusal}");
    assert!(refusal.contains("--data"), "{refusal}");
}

#[test]
fn a_command_finds_dev_by_url_and_by_data_folder() {
    let folder = Folder::new();
    let elsewhere = Folder::new();
    let dev = folder.dev(&[]);
    let by_folder = folder.succeeds_with_json(&["workflows", "--json"]);
    let by_url = elsewhere.succeeds_with_json(&["workflows", "--json", "--url", &dev.url]);
    assert_eq!(by_folder, by_url);
    assert_eq!(by_url["workflows"].as_array().unwrap().len(), 3);
    assert!(!elsewhere.data().exists());
}

/// Each mistake, and the words that must be in the one message about it.
#[test]
fn an_author_s_mistake_is_told_with_its_place_and_what_to_do() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let machine = |state: &str| {
        format!(r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{"A":{state}}}}}"#)
    };
    let check = |definition: &str, input: &str, expected: &[&str]| {
        let file = folder.write("mistake.asl.json", definition);
        let output = folder.stepscope(&[
            "run",
            file.to_str().unwrap(),
            "--input",
            input,
            "--url",
            &dev.url,
        ]);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            !output.status.success(),
            "{definition} was accepted:\n{said}"
        );
        for words in expected {
            assert!(
                said.contains(words),
                "{words:?} is missing for {definition}:\n{said}"
            );
        }
        assert!(!said.contains("panicked"), "{said}");
    };
    // JSON and Amazon States Language
    check("{", "{}", &["mistake.asl.json:1:1", "JSON"]);
    check(
        &machine(r#"{"Type":"Pass","Next":"B"}"#),
        "{}",
        &["A", "Next", "B"],
    );
    check(
        &machine(r#"{"Type":"Psas","End":true}"#),
        "{}",
        &["Psas", "Pass"],
    );
    check(
        &machine(r#"{"Type":"Pass","End":true,"InputPath":"$.x"}"#),
        "{}",
        &["InputPath", "JSONata"],
    );
    // JSONata, before and during the run
    check(
        &machine(r#"{"Type":"Pass","End":true,"Output":"{% $states.input. %}"}"#),
        "{}",
        &["A", "Output"],
    );
    check(
        &machine(r#"{"Type":"Pass","End":true,"Output":"{% $states.input.missing %}"}"#),
        "{}",
        &["States.QueryEvaluationError", "A", "$states.input.missing"],
    );
    // input
    check(
        &machine(r#"{"Type":"Pass","End":true}"#),
        "{oops",
        &["--input", "JSON"],
    );
    check(
        &machine(r#"{"Type":"Pass","End":true}"#),
        "@nowhere.json",
        &["nowhere.json"],
    );
    // node parameters
    let node = |node: &str, parameters: &str| {
        machine(&format!(
            r#"{{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{{"FunctionName":"${{RunNodeFunctionArn}}","Payload":{{"node":"{node}","parameters":{parameters},"input":{{}}}}}},"End":true}}"#
        ))
    };
    check(&node("lml", "{}"), "{}", &["lml", "llm"]);
    check(&node("http", r#"{"method":"GET"}"#), "{}", &["url"]);
    check(
        &node(
            "http",
            r#"{"method":"GET","url":"http://169.254.169.254/"}"#,
        ),
        "{}",
        &["169.254.169.254"],
    );
    check(
        &node("llm", r#"{"user":"{{ input.nobody }}"}"#),
        "{}",
        &["user", "nobody"],
    );
    check(
        &node("llm", r#"{"user":"x","temprature":1}"#),
        "{}",
        &["temprature", "temperature"],
    );

    let unknown = folder.fails(&["run", "support-triag", "--url", &dev.url]);
    assert!(
        unknown.contains("support-triag") && unknown.contains("support-triage"),
        "{unknown}"
    );
    let tenant = folder.fails(&["executions", "--tenant", "Acme", "--url", &dev.url]);
    assert!(tenant.contains("Acme"), "{tenant}");
}

#[test]
fn the_same_name_and_input_start_no_second_run() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let start = || {
        folder.succeeds_with_json(&[
            "run",
            "support-triage",
            "--name",
            "once",
            "--json",
            "--url",
            &dev.url,
        ])
    };
    assert_eq!(start()["execution"], "support-triage:once");
    assert_eq!(start()["execution"], "support-triage:once");
    let list = folder.succeeds_with_json(&["executions", "--json", "--url", &dev.url]);
    assert_eq!(list["executions"].as_array().unwrap().len(), 1);
}

const UNSERVED: &str = r#"{"QueryLanguage": "JSONata", "StartAt": "A", "States": {
"A": {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Arguments": {"Message": "${Greeting}"}, "End": true}}}"#;
const BROKEN: &str = r#"{"QueryLanguage": "JSONata", "StartAt": "A", "States": {
"A": {"Type": "Pass", "Output": "{% 1 + $costomer %}", "Next": "B"},
"B": {"Type": "Wait", "End": true}}}"#;

#[test]
fn check_tells_everything_with_its_place_and_the_exit_status() {
    let folder = Folder::new();
    let file = folder.write("broken.asl.json", BROKEN);
    let file = file.to_str().unwrap();
    let output = folder.stepscope(&["check", file]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!(
            "{file}:2:41: error: States.A.Output: no state here assigns $costomer; set it with Assign: \
             {{\"costomer\": …}} in a state before [undefined-variable]\n\
             {file}:3:1: error: States.B: it does not say how long; write either Seconds or Timestamp \
             [wait-duration]\n\
             2 errors and 0 warnings in 1 definition\n"
        )
    );
    let unserved = folder.write("unserved.asl.json", UNSERVED);
    let unserved = unserved.to_str().unwrap();
    let said = folder.succeeds(&["check", unserved]);
    assert_eq!(
        said,
        format!(
            "{unserved}:2:23: warning: States.A.Resource: the resource arn:aws:states:::sns:publish cannot be \
             served locally: the state runs on AWS, not here; call a Lambda function \
             (arn:aws:states:::lambda:invoke) instead [not-served-here]\n\
             0 errors and 1 warning in 1 definition\n"
        )
    );
}

#[test]
fn check_takes_folders_standard_input_and_prints_json() {
    let folder = Folder::new();
    folder.write("broken.asl.json", BROKEN);
    folder.write("unserved.asl.json", UNSERVED);
    folder.write("notes.json", "no definition");
    let path = folder.path().to_str().unwrap();
    let output = folder.stepscope(&["check", "--json", path]);
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["errors"], &told["warnings"]), (&json!(2), &json!(1)));
    assert_eq!(
        told["files"][0]["problems"][0],
        json!({
            "rule": "undefined-variable", "severity": "error", "path": "States.A.Output", "state": "A",
            "line": 2, "column": 41, "message": "no state here assigns $costomer",
            "advice": "set it with Assign: {\"costomer\": …} in a state before",
        })
    );
    assert_eq!(told["files"].as_array().unwrap().len(), 2);

    let mut child = folder
        .command(&["check", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, BROKEN.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("<stdin>:2:41: error: "), "{said}");

    let empty = Folder::new();
    let said = empty.fails(&["check", empty.path().to_str().unwrap()]);
    assert!(said.contains("must end in .asl.json"), "{said}");
    let said = empty.fails(&["check", "nowhere.asl.json"]);
    assert!(
        said.contains("cannot read the definition nowhere.asl.json"),
        "{said}"
    );
}

#[test]
fn there_is_nothing_to_say_against_the_example_workflows() {
    let folder = Folder::new();
    let workflows = concat!(env!("CARGO_MANIFEST_DIR"), "/../workflows");
    let said = folder.succeeds(&["check", workflows]);
    assert_eq!(said, "0 errors and 0 warnings in 3 definitions\n");
}

#[test]
fn run_tells_what_check_tells_and_which_names_have_no_value() {
    let folder = Folder::new();
    let run = |name: &str, text: &str| {
        let file = folder.write(name, text);
        folder.fails(&["run", file.to_str().unwrap()])
    };
    let said = run("broken.asl.json", BROKEN);
    assert!(
        said.contains("broken.asl.json:2:41: error: States.A.Output"),
        "{said}"
    );
    assert!(
        said.contains("the workflow cannot run: it has 2 errors"),
        "{said}"
    );
    let said = run("unserved.asl.json", UNSERVED);
    assert!(
        said.contains("unserved.asl.json:2:23: warning: States.A.Resource"),
        "{said}"
    );
    assert!(
        said.contains("unserved.asl.json:2:93: no value for ${Greeting}"),
        "{said}"
    );
    assert!(said.contains("${RunNodeFunctionArn}"), "{said}");
}
