//! Tests of the table itself: a case that checks nothing must not pass.

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::{Chapter, read_chapter};
use crate::run::run;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("table::misspelled_files_are_refused", || {
            for (case, words) in [
                (json!({"say": "x"}), "unknown field `say`"),
                (json!({"expect": {"outputs": 1}}), "unknown field `outputs`"),
                (json!({"expect": {}}), "it expects nothing"),
                (
                    json!({"expect": {"refused": []}, "seconds": 1}),
                    "cannot both be",
                ),
                (json!({"definition": {}}), "either `states` or `definition`"),
                (
                    json!({"history": [{"typ": "X"}]}),
                    "did not match any variant",
                ),
                (
                    json!({"signals": [{"after": "X", "send": "sucess"}]}),
                    "unknown variant",
                ),
                (json!({"says": ""}), "`says` is empty"),
            ] {
                let problems = read_chapter(&file(&case)).unwrap_err().join("\n");
                contains(&problems, words)?;
            }
            let twice = json!({"chapter": "c", "source": "s", "cases": [with(&json!({})), with(&json!({}))]});
            let problems = read_chapter(&twice.to_string()).unwrap_err().join("\n");
            contains(&problems, "another case of that name")
        }),
        Trial::test("table::every_expectation_is_held_against_the_run", || {
            for (case, words) in [
                (
                    json!({"expect": {"output": 2}}),
                    "output at \"\": expected 2, got 1",
                ),
                (json!({"expect": {"output": null}}), "expected null, got 1"),
                (json!({"expect": {"output": {"$match": "[2-9]"}}}), "got 1"),
                (
                    json!({"expect": {"status": "FAILED"}}),
                    "status: expected FAILED",
                ),
                (
                    json!({"expect": {"status": "SUCCEEDED", "error": "E"}}),
                    "error at",
                ),
                (
                    json!({"expect": {"status": "SUCCEEDED", "cause": "E"}}),
                    "cause at",
                ),
                (
                    json!({"expect": {"status": "SUCCEEDED", "cause_contains": ["E"]}}),
                    "cause: expected \"E\" in it",
                ),
                (json!({"expect": {"refused": ["E"]}}), "expected a refusal"),
                (
                    json!({"expect": {"create_refused": "E"}}),
                    "expected E, got no refusal",
                ),
                (
                    json!({"expect": {"start_refused": "E"}}),
                    "expected E, got no refusal",
                ),
                (
                    json!({"states": {"A": {}}}),
                    "CreateStateMachine: expected no refusal",
                ),
                (json!({"seconds": 3}), "seconds: expected 3, got 0"),
                (json!({"history": []}), "expected 0 events"),
                (
                    json!({"history": ["PassStateEntered"]}),
                    "event 1: expected PassStateEntered",
                ),
                (
                    json!({"history": [{"type": "ExecutionStarted", "previous": 1}]}),
                    "expected previous 1",
                ),
                (
                    json!({"history": [{"type": "ExecutionStarted", "details": {"input": {"a": 1}}}]}),
                    "\"a\" is missing",
                ),
                (
                    json!({"signals": [{"after": "TaskScheduled", "send": "stop"}]}),
                    "ended before it came to TaskScheduled",
                ),
                (
                    json!({"signals": [{"after": "ExecutionSucceeded", "send": "stop", "refused": "E"}]}),
                    "Stop: expected E",
                ),
            ] {
                let chapter = read_chapter(&file(&case)).map_err(|problems| problems.join("\n"))?;
                let Chapter { cases, source, .. } = chapter;
                let Err(report) = run(&cases[0], &source) else {
                    return Err(format!("{case} has passed").into());
                };
                contains(&report, "the rule: a rule (https://example.org)")?;
                contains(&report, words)?;
            }
            Ok(())
        }),
    ]
}

/// A file of one case, which is right but for what is given.
fn file(case: &Value) -> String {
    json!({"chapter": "c", "source": "https://example.org", "cases": [with(case)]}).to_string()
}

fn with(fields: &Value) -> Value {
    let mut case = json!({
        "name": "a-case",
        "says": "a rule",
        "states": {"Only": {"Type": "Pass", "Output": 1, "End": true}},
    });
    if fields.get("expect").is_none() {
        case["expect"] = json!({"status": "SUCCEEDED"});
    }
    let fields = fields.as_object().unwrap().clone();
    case.as_object_mut().unwrap().extend(fields);
    case
}

fn contains(text: &str, words: &str) -> Result<(), Failed> {
    if text.contains(words) {
        return Ok(());
    }
    Err(format!("{words:?} is not in: {text}").into())
}
