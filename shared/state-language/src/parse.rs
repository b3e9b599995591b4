//! From a definition's text to a [`StateMachine`], or to everything that is
//! wrong with it.

mod expressions;
mod flow;
mod map;
mod reader;
mod retry;
mod states;
mod task;
mod variables;

use std::borrow::Cow;

use serde_json::Value;

use crate::fields;
use crate::layout::{Layout, line_and_column, offset_in_string};
use crate::substitution::left_open;
use crate::{Problem, Problems, Rule, StateMachine};
use reader::{Holder, Noted, Object, Place, Reader};
use states::MAX_SECONDS;

/// AWS: a definition is at most 1 MB.
pub const MAX_DEFINITION_BYTES: usize = 1_048_576;

/// What `${Name}` in a definition means to [`check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Substitutions {
    /// The text is what runs: a `${Name}` in it is a mistake.
    #[default]
    Done,
    /// Each stands for a value that the deployment gives, of whatever type is right there.
    Open,
}

/// What came of looking at a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// `None` when there are errors, or when open substitutions leave too much open.
    pub machine: Option<StateMachine>,
    /// Errors and warnings, in the order of the text.
    pub problems: Vec<Problem>,
}

impl Checked {
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// Adds what only the one who is to run it can say. `definition` is the text that was checked.
    pub fn add(
        &mut self,
        definition: &str,
        rule: Rule,
        path: &str,
        state: &str,
        message: String,
        advice: &str,
    ) {
        let layout = Layout::of(&left_open(definition));
        let (line, column) = line_and_column(definition, layout.offset(path));
        self.problems.push(Problem {
            rule,
            path: path.to_owned(),
            state: Some(state.to_owned()),
            line,
            column,
            message,
            advice: advice.to_owned(),
        });
        sort(&mut self.problems);
    }
}

/// Reads a whole definition that is to be run, and says what keeps it from that.
pub fn parse(text: &str) -> Result<StateMachine, Problems> {
    let Checked { machine, problems } = check(text, Substitutions::Done);
    match (machine, Problems::errors(problems)) {
        (_, Some(problems)) => Err(problems),
        (Some(machine), None) => Ok(machine),
        (None, None) => {
            unreachable!("without open substitutions it is an error that leaves no machine")
        }
    }
}

/// Reads a definition that was accepted once, maybe by fewer rules than there are now: whatever
/// is said against it today, it goes on as long as it can be read.
pub fn parse_accepted(text: &str) -> Result<StateMachine, Problems> {
    let Checked { machine, problems } = read(text, Substitutions::Done);
    machine
        .ok_or_else(|| Problems::errors(problems).expect("it is an error that leaves no machine"))
}

/// Reads a whole definition, and says everything there is to say against it.
pub fn check(text: &str, substitutions: Substitutions) -> Checked {
    let Checked { machine, problems } = read(text, substitutions);
    let has_errors = problems.iter().any(Problem::is_error);
    Checked {
        machine: machine.filter(|_| !has_errors),
        problems,
    }
}

/// As [`check`], with the machine that could be read even if there are errors.
fn read(text: &str, substitutions: Substitutions) -> Checked {
    if text.len() > MAX_DEFINITION_BYTES {
        return alone(
            Rule::DefinitionTooLarge,
            (1, 1),
            format!(
                "it has {} bytes, and a definition has at most {MAX_DEFINITION_BYTES}",
                text.len()
            ),
            "split it: a state machine may start another with states:startExecution.sync:2",
        );
    }
    // Of the same length, so that what is found in one is where it is in the other.
    let readable = match substitutions {
        Substitutions::Done => Cow::Borrowed(text),
        Substitutions::Open => left_open(text),
    };
    let root: Value = match serde_json::from_str(&readable) {
        Ok(root) => root,
        Err(error) => return not_json(text, &error),
    };
    let Value::Object(root) = &root else {
        return alone(
            Rule::NotJson,
            (1, 1),
            "it is not a JSON object".to_owned(),
            "write {\"StartAt\": …, \"States\": {…}}",
        );
    };
    let layout = Layout::of(&readable);
    let mut reader = Reader::new(substitutions);
    for (path, offset) in &layout.duplicates {
        reader.problem_at(
            Place::Byte(*offset),
            Rule::DuplicateKey,
            path,
            "this key is here already, and only the last one would count",
            "rename or remove one",
        );
    }
    let machine = machine(&mut reader, &Object::new("", root));
    reader.check_unresolved();
    reader.check_variables();
    let problems = located(reader.noted, &readable, &layout);
    Checked { machine, problems }
}

fn machine(reader: &mut Reader, object: &Object<'_>) -> Option<StateMachine> {
    reader.known_fields(object, Holder::named("a state machine"), fields::MACHINE);
    match object.fields.get("QueryLanguage").and_then(Value::as_str) {
        Some("JSONata") => reader.machine_is_jsonata = true,
        Some("JSONPath") => {}
        None => {
            reader.text(object, "QueryLanguage");
        }
        Some(other) => {
            reader.problem(
                Rule::QueryLanguage,
                &object.member("QueryLanguage"),
                &format!("{other:?} is no query language"),
                "write \"JSONata\"",
            );
            // What else is wrong is judged by what can only have been meant.
            reader.machine_is_jsonata = true;
        }
    }
    let version = reader.text(object, "Version");
    if let Some(version) = version.as_deref().filter(|version| *version != "1.0") {
        reader.problem(
            Rule::UnknownVersion,
            &object.member("Version"),
            &format!("there is no version {version:?} of the language"),
            "write \"1.0\", or remove it",
        );
    }
    let timeout_seconds = reader.literal_integer(object, "TimeoutSeconds", 1..=MAX_SECONDS);
    let flow = reader.flow(object);
    if reader.has_jsonpath_states {
        reader.problem(
            Rule::QueryLanguage,
            if object.fields.contains_key("QueryLanguage") { "QueryLanguage" } else { "" },
            "its states are JSONPath, which is what a machine without a QueryLanguage is; only JSONata runs here",
            "set \"QueryLanguage\": \"JSONata\" beside StartAt and write the states in JSONata",
        );
    }
    Some(StateMachine {
        flow: flow?,
        timeout_seconds,
        version,
    })
}

fn not_json(text: &str, error: &serde_json::Error) -> Checked {
    let line = error.line().max(1);
    // serde_json counts bytes, and 0 for the end of the line before.
    let column = text.lines().nth(line - 1).map_or(1, |line| {
        let before = line.floor_char_boundary(error.column().saturating_sub(1));
        line[..before].chars().count() + 1
    });
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(message, _)| message);
    alone(
        Rule::NotJson,
        (line, column),
        format!("it is not JSON: {message}"),
        "correct the text here, or just before",
    )
}

fn alone(rule: Rule, (line, column): (usize, usize), message: String, advice: &str) -> Checked {
    let problem = Problem {
        rule,
        path: String::new(),
        state: None,
        line,
        column,
        message,
        advice: advice.to_owned(),
    };
    Checked {
        machine: None,
        problems: vec![problem],
    }
}

fn located(noted: Vec<Noted>, text: &str, layout: &Layout) -> Vec<Problem> {
    let mut problems: Vec<Problem> = noted
        .into_iter()
        .map(|Noted { place, problem }| {
            let offset = match place {
                Place::Path => layout.offset(&problem.path),
                Place::Byte(offset) => offset,
                Place::Character(character) => {
                    offset_in_string(text, layout, &problem.path, character)
                }
            };
            let (line, column) = line_and_column(text, offset);
            Problem {
                line,
                column,
                ..problem
            }
        })
        .collect();
    sort(&mut problems);
    problems
}

fn sort(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| (problem.line, problem.column, problem.severity()));
}
