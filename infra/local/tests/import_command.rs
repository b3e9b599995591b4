//! `stepscope import`: what ran without being recorded becomes traces.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::fs;

use serde_json::json;
use support::Folder;

/// A machine that nobody instrumented, without any function.
fn machine(folder: &Folder) -> String {
    let definition = json!({
        "QueryLanguage": "JSONata", "StartAt": "Which",
        "States": {
            "Which": {
                "Type": "Choice", "Default": "Short",
                "Choices": [{"Condition": "{% $states.input.long %}", "Next": "Long"}],
            },
            "Long": {"Type": "Pass", "Next": "Short"},
            "Short": {"Type": "Succeed"},
        },
    });
    let path = folder.write("plain.asl.json", &definition.to_string());
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_lost_trace_comes_back_as_it_was_and_only_once() {
    let folder = Folder::new();
    let plain = machine(&folder);
    let mut ids = Vec::new();
    for long in [true, false] {
        let input = json!({"long": long, "mail": "jane.doe@example.com"}).to_string();
        let run = folder.succeeds_with_json(&["run", &plain, "--input", &input, "--json"]);
        ids.push(run["execution"].as_str().unwrap().to_owned());
    }
    let traces = || -> Vec<serde_json::Value> {
        let read = |id| folder.succeeds_with_json(&["trace", id, "--json"])["spans"].clone();
        ids.iter().map(|id| read(id.as_str())).collect()
    };
    let before = traces();
    assert_eq!(before[0].as_array().unwrap().len(), 4);
    // The table is gone, the histories are not.
    for entry in fs::read_dir(folder.data()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("dynamodb.db")
        {
            fs::remove_file(path).unwrap();
        }
    }
    let import = || folder.succeeds_with_json(&["import", "plain", "--json"]);
    let done = import();
    assert_eq!(done["listed"], 2, "{done}");
    assert_eq!(done["failed"], 0, "{done}");
    assert_eq!(traces(), before);
    let again = import();
    assert_eq!(
        (&again["recorded"], &again["already_there"]),
        (&json!(0), &json!(2))
    );
    let counted = folder.succeeds(&["import", "plain", "--dry-run"]);
    assert!(
        counted.contains("2 executions of plain would be looked at"),
        "{counted}"
    );
}

#[test]
fn what_cannot_be_imported_is_told() {
    let folder = Folder::new();
    let unknown = folder.fails(&["import", "never-made"]);
    assert!(unknown.contains("no state machine never-made"), "{unknown}");
    let too_long = folder.fails(&["import", "support-triage", "--since", "91d"]);
    assert!(too_long.contains("give 90d or less"), "{too_long}");
    let nonsense = folder.fails(&["import", "support-triage", "--since", "yesterday"]);
    assert!(nonsense.contains("such as 90m, 24h or 7d"), "{nonsense}");
}
