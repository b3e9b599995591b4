//! From a definition's text to a [`StateMachine`], or to everything that is
//! wrong with it.

mod expressions;
mod flow;
mod map;
mod reader;
mod retry;
mod states;

use serde_json::Value;

use crate::fields;
use crate::layout::{Layout, line_and_column};
use crate::{Problem, Problems, StateMachine};
use reader::{Holder, Object, Reader};

/// AWS: a definition is at most 1 MB.
pub const MAX_DEFINITION_BYTES: usize = 1_048_576;

/// Reads and checks a whole definition.
pub fn parse(text: &str) -> Result<StateMachine, Problems> {
    if text.len() > MAX_DEFINITION_BYTES {
        return Err(alone(
            (1, 1),
            format!(
                "it has {} bytes, and a definition has at most {MAX_DEFINITION_BYTES}",
                text.len()
            ),
            "split it: a state machine may start another with states:startExecution.sync:2",
        ));
    }
    let root: Value = serde_json::from_str(text).map_err(|error| {
        let place = (error.line().max(1), error.column().max(1));
        let message = error.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(message, _)| message);
        alone(
            place,
            format!("it is not JSON: {message}"),
            "correct the text here, or just before",
        )
    })?;
    let Value::Object(root) = &root else {
        return Err(alone(
            (1, 1),
            "it is not a JSON object".to_owned(),
            "write {\"StartAt\": …, \"States\": {…}}",
        ));
    };
    let layout = Layout::of(text);
    let mut reader = Reader::default();
    for (path, _) in &layout.duplicates {
        reader.problem(
            path,
            "this key is here already, and only the last one would count",
            "rename or remove one",
        );
    }
    let machine = machine(&mut reader, &Object::new("", root));
    reader.check_variables();
    match machine {
        Some(machine) if reader.problems.is_empty() => Ok(machine),
        _ => Err(located(reader.problems, text, &layout)),
    }
}

fn machine(reader: &mut Reader, object: &Object<'_>) -> Option<StateMachine> {
    reader.known_fields(object, Holder::named("a state machine"), fields::MACHINE);
    match object.fields.get("QueryLanguage").and_then(Value::as_str) {
        Some("JSONata") => reader.machine_is_jsonata = true,
        Some("JSONPath") | None => {}
        Some(other) => reader.problem(
            &object.member("QueryLanguage"),
            &format!("{other:?} is no query language"),
            "write \"JSONata\"",
        ),
    }
    let version = reader.text(object, "Version");
    let timeout_seconds = reader.literal_integer(object, "TimeoutSeconds", 1..=u64::from(u32::MAX));
    let flow = reader.flow(object);
    if reader.has_jsonpath_states {
        reader.problem(
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

fn alone((line, column): (usize, usize), message: String, advice: &str) -> Problems {
    let advice = advice.to_owned();
    Problems::new(vec![Problem {
        path: String::new(),
        state: None,
        line,
        column,
        message,
        advice,
    }])
}

fn located(problems: Vec<Problem>, text: &str, layout: &Layout) -> Problems {
    let place = |problem: &Problem| {
        let duplicate = layout
            .duplicates
            .iter()
            .find(|(path, _)| *path == problem.path);
        let offset = match duplicate {
            Some((_, offset)) if problem.message.starts_with("this key is here already") => *offset,
            _ => layout.offset(&problem.path),
        };
        line_and_column(text, offset)
    };
    let problems = problems.into_iter().map(|problem| {
        let (line, column) = place(&problem);
        Problem {
            line,
            column,
            ..problem
        }
    });
    Problems::new(problems.collect())
}
