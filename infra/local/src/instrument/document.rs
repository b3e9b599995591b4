//! A definition's text as JSON whose parts know where they stand.

use std::collections::HashSet;

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use state_language::line_and_column;

/// The text cannot be read as a state machine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}; {advice}")]
pub(crate) struct Malformed {
    /// Both from 1.
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub advice: &'static str,
}

pub(crate) fn parse(text: &str) -> Result<Object<'_>, Malformed> {
    // First as strict JSON: it says best what is wrong, and bounds the depth.
    serde_json::from_str::<serde_json::Value>(text).map_err(|error| {
        let message = error.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(message, _)| message);
        Malformed {
            line: error.line().max(1),
            column: error.column().max(1),
            message: format!("it is not JSON: {message}"),
            advice: "correct the text here, or just before",
        }
    })?;
    let parsed = parse_to_ast(text, &CollectOptions::default(), &strict());
    let root = parsed.map_err(|error| {
        let (line, column) = line_and_column(text, error.range().start);
        Malformed {
            line,
            column,
            message: format!("it is not JSON: {}", error.kind()),
            advice: "correct the text here, or just before",
        }
    })?;
    let Some(Value::Object(machine)) = root.value else {
        return Err(no_machine(text, 0, "it is not a JSON object"));
    };
    check_keys_of_object(text, &machine)?;
    if machine.get_object("States").is_none() {
        let message = "it has no States, so it is no state machine";
        return Err(no_machine(text, machine.range.start, message));
    }
    Ok(machine)
}

fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn no_machine(text: &str, offset: usize, message: &str) -> Malformed {
    let (line, column) = line_and_column(text, offset);
    Malformed {
        line,
        column,
        message: message.to_owned(),
        advice: "give the file of a definition, {\"StartAt\": …, \"States\": {…}}",
    }
}

/// Of a key that is there twice one reader takes the first, another the last: an insertion
/// into either could be lost.
fn check_keys(text: &str, value: &Value<'_>) -> Result<(), Malformed> {
    match value {
        Value::Object(object) => check_keys_of_object(text, object),
        Value::Array(array) => array
            .elements
            .iter()
            .try_for_each(|element| check_keys(text, element)),
        _ => Ok(()),
    }
}

fn check_keys_of_object(text: &str, object: &Object<'_>) -> Result<(), Malformed> {
    let mut keys = HashSet::new();
    for ObjectProp { range, name, value } in &object.properties {
        if !keys.insert(name.as_str()) {
            let (line, column) = line_and_column(text, range.start);
            return Err(Malformed {
                line,
                column,
                message: format!("the key {:?} is here already", name.as_str()),
                advice: "rename or remove one",
            });
        }
        check_keys(text, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn what_is_malformed_is_told_with_its_place() {
        check(
            "{\n  \"States\": {,}\n}",
            "2:14: it is not JSON: key must be a string; correct the text here, or just before",
        );
        check(
            "{\n  \"MaxConcurrency\": ${Limit}\n}",
            "2:21: it is not JSON: expected value; correct the text here, or just before",
        );
        check(
            "{\"States\": {}, // no\n}",
            "1:16: it is not JSON: key must be a string; correct the text here, or just before",
        );
        check(
            "{\"States\": {\n \"A\": {},\n \"é\": 1, \"A\": {}}}",
            "3:10: the key \"A\" is here already; rename or remove one",
        );
        check(
            "[]",
            "1:1: it is not a JSON object; \
             give the file of a definition, {\"StartAt\": …, \"States\": {…}}",
        );
        check(
            "{\"Resources\": {}}",
            "1:1: it has no States, so it is no state machine; \
             give the file of a definition, {\"StartAt\": …, \"States\": {…}}",
        );
        let deep = format!("{{\"States\": {}{}}}", "[".repeat(9_999), "]".repeat(9_999));
        assert!(parse(&deep).unwrap_err().message.contains("recursion"));
    }
}
