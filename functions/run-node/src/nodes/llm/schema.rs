use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::error::{NodeError, excerpt};

/// More would hide the first among them.
const MOST_VIOLATIONS: usize = 5;

/// What an answer must fit.
pub(super) struct Schema {
    source: Value,
    validator: Validator,
}

impl Schema {
    pub(super) fn new(source: &Value) -> Result<Self, NodeError> {
        if !source.is_object() {
            let problem = "expected a JSON schema, which is an object";
            return Err(NodeError::parameter("schema", problem));
        }
        // Patterns that backtrack could be made to run for ever.
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .build(source)
            .map_err(|error| {
                let problem = format!(
                    "not a JSON schema: {error}{}",
                    at(&error.instance_path().to_string())
                );
                NodeError::parameter("schema", problem)
            })?;
        Ok(Self {
            source: source.clone(),
            validator,
        })
    }

    pub(super) const fn source(&self) -> &Value {
        &self.source
    }

    pub(super) fn read(&self, text: &str, model: &str) -> Result<Value, NodeError> {
        let invalid = |problem: String| NodeError::LlmInvalidOutput {
            model: model.to_owned(),
            problem,
        };
        let value: Value = serde_json::from_str(without_fence(text))
            .map_err(|error| invalid(format!("not JSON ({error}): {}", excerpt(text))))?;
        let violations: Vec<String> = self
            .validator
            .iter_errors(&value)
            .take(MOST_VIOLATIONS)
            .map(|error| format!("{error}{}", at(&error.instance_path().to_string())))
            .collect();
        if violations.is_empty() {
            Ok(value)
        } else {
            Err(invalid(violations.join("; ")))
        }
    }
}

fn at(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!(" at {path}")
    }
}

/// Models without a mode for JSON put it into a Markdown code block, told or not.
fn without_fence(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text
        .strip_prefix("```")
        .and_then(|text| text.strip_suffix("```"))
    else {
        return text;
    };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::new(&json!({
            "type": "object", "additionalProperties": false, "required": ["kind"],
            "properties": {"kind": {"enum": ["bug", "billing"]}, "urgency": {"type": "integer"}},
        }))
        .unwrap()
    }

    #[test]
    fn an_answer_that_fits_is_read() {
        let expected = json!({"kind": "bug", "urgency": 2});
        for text in [
            r#"{"kind":"bug","urgency":2}"#,
            "\n```json\n{\"kind\": \"bug\", \"urgency\": 2}\n```\n",
            "```\n{\"kind\": \"bug\", \"urgency\": 2}```",
        ] {
            assert_eq!(schema().read(text, "m").unwrap(), expected, "{text}");
        }
    }

    fn check(text: &str, wanted: &str) {
        let error = schema().read(text, "m").unwrap_err();
        assert_eq!(error.name(), "Llm.InvalidOutput");
        assert!(error.to_string().contains(wanted), "{text}: {error}");
    }

    #[test]
    fn an_answer_that_does_not_fit_says_what_is_wrong() {
        check("Sure! It is a bug.", "not JSON");
        check("", "not JSON");
        check(r#"{"urgency": 2}"#, "\"kind\" is a required property");
        check(r#"{"kind": "praise"}"#, "at /kind");
        check(r#"{"kind": "bug", "urgency": "high"}"#, "at /urgency");
        check(r#"{"kind": "bug", "more": 1}"#, "more");
    }

    #[test]
    fn a_schema_that_is_none_is_the_author_s_error() {
        for bad in [
            json!("string"),
            json!({"type": "objekt"}),
            json!({"required": "kind"}),
        ] {
            let error = Schema::new(&bad).map(|_| ()).unwrap_err();
            assert_eq!(error.name(), "Node.InvalidParameters", "{bad}");
            assert!(error.to_string().contains("parameters.schema"), "{error}");
        }
    }

    #[test]
    fn a_schema_fetches_nothing() {
        let remote = json!({"$ref": "http://127.0.0.1:9/schema.json"});
        assert!(Schema::new(&remote).is_err());
        assert!(Schema::new(&json!({"$ref": "file:///etc/passwd"})).is_err());
    }
}
