//! What other checkers find, the checks find too: definitions with one mistake each, and what
//! asl-validator 4 and cfn-lint 1 said of them when they were asked.

use serde::Deserialize;
use serde_json::Value;
use state_language::{Problem, Substitutions, check};

use super::{lines, problems};

#[derive(Deserialize)]
struct Table {
    /// A definition that all of them accept.
    valid: Value,
    cases: Vec<Case>,
}

/// A change to the valid definition, and who finds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    changes: Vec<Change>,
    /// Codes of what it says.
    #[serde(rename = "asl-validator")]
    asl_validator: Vec<String>,
    /// Paths of what it says, such as `States/Call/Next`; the rule is always E3601.
    #[serde(rename = "cfn-lint")]
    cfn_lint: Vec<String>,
    /// What is told here: `PATH: RULE`.
    told: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Change {
    Remove { remove: String },
    Put { put: String, value: Value },
}

impl Change {
    fn make(self, definition: &mut Value) {
        let (pointer, value) = match self {
            Self::Remove { remove } => (remove, None),
            Self::Put { put, value } => (put, Some(value)),
        };
        let Some((parent, name)) = pointer.rsplit_once('/') else {
            *definition = value.unwrap();
            return;
        };
        match (definition.pointer_mut(parent).unwrap(), value) {
            (Value::Object(fields), Some(value)) => {
                fields.insert(name.to_owned(), value);
            }
            (Value::Object(fields), None) => {
                fields.remove(name).unwrap();
            }
            (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
            (other, _) => panic!("{pointer} leads into {other}"),
        }
    }
}

fn table() -> Table {
    serde_json::from_str(include_str!("others.json")).unwrap()
}

/// Whether one of the two is the other, around it or beside it.
fn are_related(problem: &Problem, path: &str) -> bool {
    let told = problem.path.replace('[', "/").replace([']', '"'], "");
    let told = told.replace('.', "/");
    let around = |path: &str| {
        path.rsplit_once('/')
            .map_or("", |(around, _)| around)
            .to_owned()
    };
    let is_in =
        |inner: &str, outer: &str| outer.is_empty() || inner.starts_with(&format!("{outer}/"));
    told == path
        || is_in(&told, path)
        || is_in(path, &told)
        || (around(&told) == around(path) && !around(path).is_empty())
}

#[test]
fn what_others_find_is_found() {
    let table = table();
    let valid = check(&table.valid.to_string(), Substitutions::Done);
    assert_eq!(lines(&valid.problems), "");
    let mut wrong = Vec::new();
    for case in table.cases {
        let mut definition = table.valid.clone();
        for change in case.changes {
            change.make(&mut definition);
        }
        let found = problems(&definition.to_string());
        let mut told: Vec<String> = found
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.rule.name()))
            .collect();
        told.sort();
        let others_find = !case.asl_validator.is_empty() || !case.cfn_lint.is_empty();
        let has_error = found.iter().any(Problem::is_error);
        let is_at_the_place = case.cfn_lint.is_empty()
            || case
                .cfn_lint
                .iter()
                .any(|path| found.iter().any(|problem| are_related(problem, path)));
        if told != case.told || !others_find || !has_error || !is_at_the_place {
            wrong.push(format!(
                "{}: {told:?}, cfn-lint at {:?}",
                case.name, case.cfn_lint
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
