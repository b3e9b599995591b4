use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{NodeError, did_you_mean};

/// Reads a node's parameters; the error names the field, what is there and what should be.
pub(crate) fn parse<T: DeserializeOwned>(parameters: &Value) -> Result<T, NodeError> {
    if !parameters.is_object() {
        let found = kind_of(parameters);
        return Err(NodeError::parameter(
            "",
            format!("expected an object, found {found}"),
        ));
    }
    serde_path_to_error::deserialize(parameters).map_err(|error| {
        let field = error.path().to_string();
        let problem = error.into_inner().to_string();
        let suggestion = unknown_field(&problem)
            .map(|(found, known)| did_you_mean(nearest(found, known)))
            .unwrap_or_default();
        NodeError::parameter(field, problem + &suggestion)
    })
}

/// The name that was probably meant, if one is near.
pub(crate) fn nearest<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// Two in three letters are right, and in their place.
    const NEAR: f64 = 0.6;
    known
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(found, name), name))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

pub(crate) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Serde's words are ``unknown field `x`, expected one of `a`, `b` ``.
fn unknown_field(problem: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let mut names = problem
        .strip_prefix("unknown field")?
        .split('`')
        .skip(1)
        .step_by(2);
    Some((names.next()?, names))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Parameters {
        temperature: Option<f64>,
        max_tokens: u32,
        messages: Vec<Message>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Message {
        role: String,
    }

    fn check(parameters: &Value, expected: &str) {
        let error = parse::<Parameters>(parameters).unwrap_err();
        assert_eq!(error.name(), "Node.InvalidParameters");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn an_author_s_error_names_the_field_and_what_is_expected() {
        check(&json!(7), "parameters: expected an object, found a number");
        check(
            &json!({"max_tokens": 1, "messages": [{"role": "user"}, {"role": 3}]}),
            "parameters.messages[1].role: invalid type: integer `3`, expected a string",
        );
        check(
            &json!({"max_tokens": 1, "messages": [], "temprature": 1}),
            "parameters.temprature: unknown field `temprature`, expected one of `temperature`, \
             `max_tokens`, `messages`; did you mean \"temperature\"?",
        );
        check(
            &json!({"max_tokens": 1, "messages": [], "zzz": 1}),
            "parameters.zzz: unknown field `zzz`, expected one of `temperature`, `max_tokens`, \
             `messages`",
        );
        check(
            &json!({"messages": []}),
            "parameters: missing field `max_tokens`",
        );
    }
}
