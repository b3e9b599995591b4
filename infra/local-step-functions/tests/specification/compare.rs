//! Whether what came about is what was expected.

use regex::Regex;
use serde_json::Value;

/// Whether objects may have members that are not expected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Members {
    Exactly,
    AtLeast,
}

/// Where the two differ first, if they do.
pub(crate) fn difference(expected: &Value, got: &Value, members: Members) -> Option<String> {
    difference_at("", expected, got, members)
}

fn difference_at(path: &str, expected: &Value, got: &Value, members: Members) -> Option<String> {
    let differs = || Some(format!("at {path:?}: expected {expected}, got {got}"));
    if let Some(pattern) = pattern(expected) {
        let text = got.as_str().map_or_else(|| got.to_string(), str::to_owned);
        return if pattern.is_match(&text) {
            None
        } else {
            differs()
        };
    }
    match (expected, got) {
        (Value::Object(expected), Value::Object(found)) => {
            if members == Members::Exactly && expected.len() != found.len() {
                return differs();
            }
            expected
                .iter()
                .find_map(|(name, expected)| match found.get(name) {
                    Some(found) => {
                        difference_at(&format!("{path}/{name}"), expected, found, members)
                    }
                    None => Some(format!("at {path:?}: {name:?} is missing in {got}")),
                })
        }
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                return differs();
            }
            let pairs = expected.iter().zip(found).enumerate();
            pairs.into_iter().find_map(|(index, (expected, found))| {
                difference_at(&format!("{path}/{index}"), expected, found, members)
            })
        }
        // The history has inputs and outputs as the text of JSON.
        (Value::Object(_) | Value::Array(_), Value::String(text))
            if members == Members::AtLeast =>
        {
            match serde_json::from_str(text) {
                Ok(got) => difference_at(path, expected, &got, members),
                Err(_) => differs(),
            }
        }
        _ if expected == got => None,
        _ => differs(),
    }
}

/// `{"$match": "…"}` stands for a text, or the JSON of another value, that the pattern is all of.
fn pattern(expected: &Value) -> Option<Regex> {
    let fields = expected.as_object().filter(|fields| fields.len() == 1)?;
    let pattern = fields.get("$match")?.as_str()?;
    Some(Regex::new(&format!("^(?s:{pattern})$")).unwrap())
}
