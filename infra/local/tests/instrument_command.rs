//! `stepscope instrument`: what it adds, that it adds nothing else, and that what it adds joins
//! a function's spans to the run's trace.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

#[path = "instrument/random_machines.rs"]
mod random_machines;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Folder, eventually, outline};

/// The definitions under `instrument/`, with what becomes of them and what is said.
#[test]
fn definitions_as_teams_write_them_are_instrumented_byte_for_byte() {
    let check = |name: &str, options: &[&str], case: &str| {
        let folder = Folder::new();
        let golden = |what: &str| golden_folder().join(format!("{case}.{what}"));
        let definition = golden_folder().join(format!("{name}.asl.json"));
        let original = std::fs::read_to_string(&definition).unwrap();
        let file = folder.write("machine.asl.json", &original);
        let arguments = [&["instrument", "machine.asl.json"], options].concat();
        let report = folder.succeeds(&arguments);
        let instrumented = std::fs::read_to_string(&file).unwrap();
        compare(&golden("instrumented.asl.json"), &instrumented);
        compare(&golden("report.txt"), &report);
        assert_only_added(&original, &instrumented);
        folder.succeeds(&arguments);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), instrumented);
    };
    check("orders-jsonata", &[], "orders-jsonata");
    check(
        "orders-jsonata",
        &["--tenant", "acme"],
        "orders-jsonata-acme",
    );
    check("review-jsonpath", &[], "review-jsonpath");
    check(
        "review-jsonpath",
        &[
            "--tenant",
            "acme",
            "--assume-objects",
            "--replace-input-headers",
        ],
        "review-jsonpath-acme",
    );
    check("nested-mixed", &[], "nested-mixed");
}

#[test]
fn the_example_workflows_have_it_all_already() {
    let folder = Folder::new();
    let workflows = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows");
    let mut seen = 0;
    for entry in std::fs::read_dir(workflows).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".asl.json") {
            let said = folder.succeeds(&["instrument", path.to_str().unwrap(), "--check"]);
            assert!(
                said.contains(" 0 to instrument") && said.contains(" 0 left"),
                "{said}"
            );
            assert!(!said.contains(" 0 instrumented already"), "{said}");
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen} workflows");
}

#[test]
fn check_writes_nothing_and_tells_by_its_status() {
    let folder = Folder::new();
    let definition = r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:eu-west-1:123456789012:function:a","Parameters":{},"End":true}}}"#;
    let file = folder.write("machine.asl.json", definition);
    let check = |status: i32, expected: &[&str]| {
        let before = std::fs::read_to_string(&file).unwrap();
        let output = folder.stepscope(&["instrument", "machine.asl.json", "--check"]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        for words in expected {
            assert!(said.contains(words), "{words} is missing:\n{said}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    };
    check(
        1,
        &[
            "1 to instrument",
            "+ States.A  1:26",
            "+ Parameters.headers.traceparent",
        ],
    );
    folder.succeeds(&["instrument", "machine.asl.json"]);
    check(0, &["1 instrumented already", "= States.A"]);
}

#[test]
fn the_result_goes_where_it_is_told() {
    let folder = Folder::new();
    let definition = r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Task","Resource":"${AFunctionArn}","End":true}}}"#;
    let file = folder.write("machine.asl.json", definition);
    let output = folder.stepscope(&["instrument", "machine.asl.json", "--output", "-"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("traceparent"), "{printed}");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("1 instrumented")
    );
    folder.succeeds(&["instrument", "machine.asl.json", "--output", "new.asl.json"]);
    let new = std::fs::read_to_string(folder.path().join("new.asl.json")).unwrap();
    assert_eq!(new, printed);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), definition);

    // Nothing but the file itself is left, with the permissions and behind the link it had.
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&file, mode).unwrap();
        symlink(&file, folder.path().join("link.asl.json")).unwrap();
        folder.succeeds(&["instrument", "link.asl.json"]);
        let link = std::fs::symlink_metadata(folder.path().join("link.asl.json")).unwrap();
        assert!(link.file_type().is_symlink());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed);
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let hidden = entries.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with('.')
    });
    assert_eq!(hidden.count(), 0);
}

#[test]
fn what_is_no_definition_is_told_with_its_place_and_stays() {
    let folder = Folder::new();
    let check = |text: &str, expected: &str| {
        let file = folder.write("machine.asl.json", text);
        let said = folder.fails(&["instrument", "machine.asl.json"]);
        assert!(said.contains(expected), "{expected} is missing:\n{said}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), text);
    };
    check(
        "{\n  \"States\": {,}\n}",
        "machine.asl.json:2:14: it is not JSON",
    );
    check("{\"Resources\": {}}", "it is no state machine");
    check(
        "{\"States\": {}, \"States\": {}}",
        "the key \"States\" is here already",
    );
    let missing = folder.fails(&["instrument", "none.asl.json"]);
    assert!(
        missing.contains("cannot read the definition none.asl.json"),
        "{missing}"
    );
    let tenant = folder.fails(&["instrument", "machine.asl.json", "--tenant", "A#B"]);
    assert!(tenant.contains("A#B"), "{tenant}");
}

/// A payload written out, one that is an expression, one that is the whole input: each
/// function's spans stand under the attempt that called it.
#[test]
fn a_machine_nobody_wrote_for_tracing_is_one_trace_once_it_is_instrumented() {
    let folder = Folder::new();
    let call = json!({
        "node": "llm",
        "parameters": {"user": "Say hello."},
        "input": {},
        "headers": {"x-team": "orders"},
    });
    let definition = json!({
        "QueryLanguage": "JSONata",
        "StartAt": "Written out",
        "States": {
            "Written out": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {"FunctionName": "${RunNodeFunctionArn}", "Payload": call},
                "Output": "{% $states.input %}",
                "Next": "Each",
            },
            "Each": {
                "Type": "Map",
                "Items": "{% [1, 2] %}",
                "ItemProcessor": {
                    "StartAt": "Computed",
                    "States": {
                        "Computed": {
                            "Type": "Task",
                            "Resource": "arn:aws:states:::lambda:invoke",
                            "Arguments": {
                                "FunctionName": "${RunNodeFunctionArn}",
                                "Payload": "{% $merge([$states.context.Execution.Input, {'item': $states.input}]) %}",
                            },
                            "End": true,
                        },
                    },
                },
                "Output": "{% $states.input %}",
                "Next": "Whole input",
            },
            "Whole input": {
                "Type": "Task",
                "Resource": "arn:aws:lambda:us-east-1:000000000000:function:run-node",
                "End": true,
            },
        },
    });
    let text = serde_json::to_string_pretty(&definition).unwrap();
    folder.write("greet.asl.json", &text);
    folder.succeeds(&["instrument", "greet.asl.json"]);
    let input = call.to_string();
    let arguments = [
        "run",
        "greet.asl.json",
        "--input",
        &input,
        "--tenant",
        "acme",
        "--json",
    ];
    let run = folder.succeeds_with_json(&arguments);
    assert_eq!(run["status"], "SUCCEEDED", "{run}");
    let execution = run["execution"].as_str().unwrap();
    let trace = eventually("a whole trace", || {
        let arguments = ["trace", execution, "--tenant", "acme", "--json", "--all"];
        let trace = folder.succeeds_with_json(&arguments);
        let spans = trace["spans"].as_array().unwrap();
        let counted = trace["execution"]["totals"]["spans"] == spans.len();
        let ended = spans.iter().all(|span| !span["duration_us"].is_null());
        (counted && ended).then_some(trace)
    });
    assert_eq!(
        outline(&trace),
        "run greet\n\
         \x20 state Written out\n\
         \x20   attempt Written out attempt 1\n\
         \x20     node llm\n\
         \x20       model chat demo-model\n\
         \x20 state Each\n\
         \x20   iteration Each iteration 0\n\
         \x20     state Computed\n\
         \x20       attempt Computed attempt 1\n\
         \x20         node llm\n\
         \x20           model chat demo-model\n\
         \x20   iteration Each iteration 1\n\
         \x20     state Computed\n\
         \x20       attempt Computed attempt 1\n\
         \x20         node llm\n\
         \x20           model chat demo-model\n\
         \x20 state Whole input\n\
         \x20   attempt Whole input attempt 1\n\
         \x20     node llm\n\
         \x20       model chat demo-model\n"
    );
    assert_eq!(trace["execution"]["notices"], json!([]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_machine_gets_only_what_is_missing_and_only_once(
        case in random_machines::machine(),
        options in prop::sample::subsequence(vec!["--assume-objects", "--replace-input-headers", "--tenant=acme"], 0..=3),
    ) {
        let folder = Folder::new();
        let file = folder.write("machine.asl.json", &case.text);
        let arguments = [&["instrument", "machine.asl.json"], &*options].concat();
        folder.succeeds(&arguments);
        let once = std::fs::read_to_string(&file).unwrap();
        assert_only_added(&case.text, &once);
        assert!(!once.replace("${F", "").contains("${"), "nothing for SAM to replace: {once}");
        let said = folder.succeeds(&[&*arguments, &["--check"]].concat());
        assert!(said.contains(" 0 to instrument"), "{said}");
        folder.succeeds(&arguments);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), once);
        if case.is_jsonata {
            for text in [&case.text, &once] {
                if let Err(problems) = state_language::parse(text) {
                    panic!("{problems}
{text}");
                }
            }
        }
    }
}

/// The text is the original with more in between, and so is the value.
#[track_caller]
fn assert_only_added(original: &str, instrumented: &str) {
    let mut left = instrumented.chars();
    for character in original.chars() {
        assert!(left.any(|next| next == character), "{character:?} is gone");
    }
    let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let (mut found, expected) = (read(instrumented), read(original));
    take_away(&mut found, &expected);
    assert_eq!(found, expected);
}

/// What was added, away again.
fn take_away(found: &mut Value, expected: &Value) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let added = [
                "headers",
                "stepscope",
                "traceparent",
                "traceparent.$",
                "Payload",
                "Arguments",
                "execution",
                "execution.$",
                "tenant",
                "state",
                "state.$",
                "attempt",
                "attempt.$",
                "entered",
                "entered.$",
            ];
            found.retain(|name, _| expected.contains_key(name) || !added.contains(&name.as_str()));
            for (name, found) in found.iter_mut() {
                if let Some(expected) = expected.get(name) {
                    take_away(found, expected);
                }
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            for (found, expected) in found.iter_mut().zip(expected) {
                take_away(found, expected);
            }
        }
        (Value::String(found), Value::String(expected)) if found != expected => {
            let jsonata = found.starts_with("{% ( $stepscope_");
            let jsonpath = found.starts_with("States.JsonMerge(");
            let inside = expected.trim_start_matches("{%").trim_end_matches("%}");
            if (jsonata || jsonpath) && found.contains(inside) {
                found.clone_from(expected);
            }
        }
        _ => {}
    }
}

/// A golden file: where a difference is meant, `stepscope instrument` itself writes the new one.
#[track_caller]
fn compare(golden: &Path, found: &str) {
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    assert_eq!(found, expected, "{}", golden.display());
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instrument")
}
