//! People steer runs, and the trace shows it: on the real binary, from other terminals.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::io::Read as _;
use std::process::{Child, Output, Stdio};

use serde_json::Value;
use support::{Dev, Folder, eventually, outline};

/// Asks whether to go on, after a first state that went well; `no` fails.
const ASKS: &str = r#"{
  "QueryLanguage": "JSONata",
  "StartAt": "Prepare",
  "States": {
    "Prepare": {"Type": "Pass", "Assign": {"amount": 40}, "Next": "Approve"},
    "Approve": {
      "Type": "Task",
      "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
      "Arguments": {
        "FunctionName": "${RunNodeFunctionArn}",
        "Payload": {
          "node": "approval",
          "parameters": {"question": "Refund {{ input.amount }} EUR?"},
          "input": {"amount": "{% $amount %}"},
          "task_token": "{% $states.context.Task.Token %}",
          "headers": {"traceparent": "{% '00-' & $hash($states.context.Execution.Id, 'MD5') & '-' & $substring($replace($uuid(), '-', ''), 0, 16) & '-01' %}"},
          "stepscope": {
            "execution": "{% $states.context.Execution.Id %}",
            "tenant": "{% $states.context.Execution.Input.stepscope.tenant %}",
            "state": "{% $states.context.State.Name %}"
          }
        }
      },
      "Assign": {"approved": "{% $states.result.approved %}"},
      "Next": "Decide"
    },
    "Decide": {
      "Type": "Choice",
      "Choices": [{"Condition": "{% $approved %}", "Next": "Refunded"}],
      "Default": "Declined"
    },
    "Refunded": {"Type": "Pass", "Output": {"refunded": "{% $amount %}"}, "End": true},
    "Declined": {"Type": "Fail", "Error": "Declined", "Cause": "a person said no"}
  }
}"#;

struct Cloud {
    folder: Folder,
    _dev: Dev,
}

impl Cloud {
    fn start() -> Self {
        let folder = Folder::new();
        folder.write("asks.asl.json", ASKS);
        let dev = folder.dev(&[]);
        Self { folder, _dev: dev }
    }

    /// A command that waits for somebody, in a terminal of its own.
    fn begin(&self, arguments: &[&str]) -> Child {
        self.folder
            .command(arguments)
            .args(["--tenant", "acme"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn run(&self, name: &str) -> Child {
        self.begin(&["run", "./asks.asl.json", "--name", name])
    }

    /// What waits in the run, once something does.
    fn waiting(&self, execution: &str) -> Value {
        eventually("the run waits for a person", || {
            let listed =
                self.folder
                    .succeeds_with_json(&["approvals", "--tenant", "acme", "--json"]);
            let listed = listed["approvals"].as_array().unwrap().clone();
            listed.into_iter().find(|approval| {
                approval["execution_id"] == execution && approval["question"].is_string()
            })
        })
    }

    fn trace(&self, execution: &str) -> Value {
        self.folder
            .succeeds_with_json(&["trace", execution, "--tenant", "acme", "--json"])
    }
}

/// What the run says while it goes on, up to some words; the rest of it stays to be read.
fn until_shown(run: &mut Child, words: &str) -> String {
    let terminal = run.stderr.as_mut().unwrap();
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains(words) {
        let mut byte = [0];
        let read = terminal.read(&mut byte).unwrap();
        let text = String::from_utf8_lossy(&shown);
        assert_ne!(read, 0, "it ended without {words:?}:\n{text}");
        shown.extend(byte);
    }
    String::from_utf8(shown).unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

fn span<'a>(trace: &'a Value, name: &str) -> &'a Value {
    let spans = trace["spans"].as_array().unwrap();
    spans.iter().find(|span| span["name"] == name).unwrap()
}

#[test]
fn a_person_approves_by_the_command_that_the_run_shows() {
    let cloud = Cloud::start();
    let mut run = cloud.run("one");
    let waiting = cloud.waiting("asks:one");
    assert_eq!(waiting["state"], "Approve");
    assert_eq!(waiting["question"], "Refund 40 EUR?");
    let span_id = waiting["span_id"].as_str().unwrap();
    let tree = cloud
        .folder
        .succeeds(&["trace", "asks:one", "--tenant", "acme"]);
    assert!(tree.contains("waits for an answer"), "{tree}");
    let command = format!("stepscope approve {span_id} --tenant acme");
    assert!(tree.contains(&command), "{tree}");
    let shown = until_shown(&mut run, &command);
    assert!(
        shown.contains("waits for an answer: Refund 40 EUR?"),
        "{shown}"
    );

    let unknown = cloud
        .folder
        .fails(&["approve", "nothing", "--tenant", "acme"]);
    assert!(unknown.contains("stepscope approvals"), "{unknown}");
    let foreign = cloud
        .folder
        .fails(&["approve", span_id, "--tenant", "globex"]);
    assert!(
        foreign.contains("nothing of the tenant globex"),
        "{foreign}"
    );
    let said = cloud.folder.succeeds(&[
        "approve",
        &span_id[..6],
        "--tenant",
        "acme",
        "--comment",
        "a good customer",
    ]);
    assert!(said.contains("approved Approve of asks:one"), "{said}");

    let output = run.wait_with_output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("approved by"), "{said}");
    let none = cloud
        .folder
        .succeeds_with_json(&["approvals", "--tenant", "acme", "--json"]);
    assert_eq!(none["approvals"], serde_json::json!([]));
    let trace = cloud.trace("asks:one");
    let attempt = span(&trace, "Approve attempt 1");
    assert_eq!(attempt["span_id"], span_id);
    assert_eq!(attempt["callback"]["approved"], true);
    assert_eq!(attempt["callback"]["waiting"], false);
}

#[test]
fn a_rejection_leads_where_the_choice_says() {
    let cloud = Cloud::start();
    let run = cloud.run("two");
    let waiting = cloud.waiting("asks:two");
    let span_id = waiting["span_id"].as_str().unwrap();
    cloud
        .folder
        .succeeds(&["reject", span_id, "--tenant", "acme"]);
    let output = run.wait_with_output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Declined: a person said no"), "{said}");
    assert!(said.contains("rejected by"), "{said}");
}

/// Nothing that had succeeded runs again, and the trace stays one.
#[test]
fn a_stopped_run_is_redriven_from_where_it_stood() {
    let cloud = Cloud::start();
    let run = cloud.run("three");
    let first = cloud.waiting("asks:three");
    let refused = cloud
        .folder
        .fails(&["redrive", "asks:three", "--tenant", "acme"]);
    assert!(refused.contains("RUNNING"), "{refused}");
    let stop = [
        "stop",
        "asks:three",
        "--tenant",
        "acme",
        "--cause",
        "not now",
    ];
    let said = cloud.folder.succeeds(&stop);
    assert!(said.contains("asks:three ABORTED"), "{said}");
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("not now"), "{}", text(&output));
    assert_eq!(cloud.trace("asks:three")["execution"]["status"], "ABORTED");

    let mut redrive = cloud.begin(&["redrive", "asks:three"]);
    let second = cloud.waiting("asks:three");
    assert_ne!(first["span_id"], second["span_id"]);
    let span_id = second["span_id"].as_str().unwrap();
    let running = cloud.trace("asks:three");
    assert_eq!(running["execution"]["status"], "RUNNING");
    assert_eq!(running["execution"]["finished_at"], Value::Null);
    until_shown(&mut redrive, "waits for an answer: Refund 40 EUR?");
    cloud
        .folder
        .succeeds(&["approve", span_id, "--tenant", "acme"]);
    let output = redrive.wait_with_output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("redriven once"), "{said}");

    let trace = cloud.trace("asks:three");
    assert_eq!(
        outline(&trace),
        "run asks\n\
         \x20 state Prepare\n\
         \x20 state Approve\n\
         \x20   attempt Approve attempt 1  ✗ aborted\n\
         \x20     node approval\n\
         \x20   attempt Approve attempt 2\n\
         \x20     node approval\n\
         \x20 state Decide\n\
         \x20 state Refunded\n"
    );
    let execution = &trace["execution"];
    assert_eq!(
        (&execution["status"], &execution["redrives"]),
        (&"SUCCEEDED".into(), &1.into())
    );
    assert_eq!(execution["error"], Value::Null);
    let spans = trace["spans"].as_array().unwrap().len();
    assert_eq!(execution["totals"]["spans"], spans);
    assert_eq!(execution["totals"]["errors"], 1);
    let again = cloud
        .folder
        .fails(&["redrive", "asks:three", "--tenant", "acme"]);
    assert!(again.contains("SUCCEEDED"), "{again}");
    let unknown = cloud
        .folder
        .fails(&["stop", "asks:never", "--tenant", "acme"]);
    assert!(unknown.contains("has no run asks:never"), "{unknown}");
}
