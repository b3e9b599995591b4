//! What went wrong, as Step Functions tells it: an error name and a cause.

use redaction::Policy;
use serde_json::Value;

/// A status message stays a line: this many characters of the cause, the whole is content.
const SHORT_CAUSE: usize = 200;

/// Either may be missing: a Fail state inside a Parallel leaves no trace of its error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    pub error: Option<String>,
    pub cause: Option<String>,
}

impl Failure {
    pub(crate) fn new(error: Option<&str>, cause: Option<&str>) -> Self {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            error: error.and_then(said),
            cause: cause.and_then(said),
        }
    }

    pub(crate) const fn is_told(&self) -> bool {
        self.error.is_some() || self.cause.is_some()
    }

    /// The error output a Catch hands on: `{"Error": …, "Cause": …}`.
    pub(crate) fn from_error_output(output: &str) -> Option<Self> {
        let output: Value = serde_json::from_str(output).ok()?;
        let error = output.get("Error")?.as_str()?;
        let cause = output.get("Cause").and_then(Value::as_str);
        Some(Self::new(Some(error), cause))
    }

    /// `Error: short cause`.
    pub(crate) fn message(&self) -> String {
        match (&self.error, self.short_cause()) {
            (Some(error), Some(cause)) => format!("{error}: {cause}"),
            (Some(error), None) => error.clone(),
            (None, Some(cause)) => cause,
            (None, None) => "failed".to_owned(),
        }
    }

    /// The first line of the cause, or of the message inside it: Lambda's causes are JSON.
    fn short_cause(&self) -> Option<String> {
        let cause = self.cause.as_deref()?;
        let inner = serde_json::from_str::<Value>(cause)
            .ok()
            .and_then(|value| message_in(&value));
        // Masked while it is whole: of a secret that is cut, what is left is not known as one.
        let masked = Policy::standard().redact_text(inner.as_deref().unwrap_or(cause));
        let line = masked.first_line()?;
        Some(match line.beginning(SHORT_CAUSE) {
            Some(beginning) => format!("{beginning}…"),
            None => line.into_string(),
        })
    }
}

/// What a Lambda's error object or an execution that was started says of its failure.
fn message_in(cause: &Value) -> Option<String> {
    let text = |member| cause.get(member).and_then(Value::as_str);
    if let Some(message) = text("errorMessage") {
        return Some(message.to_owned());
    }
    text("ExecutionArn")?;
    match (text("Error"), text("Cause")) {
        (Some(error), Some(cause)) => Some(format!("{error}: {cause}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: Option<&str>, cause: Option<&str>, expected: &str) {
        assert_eq!(Failure::new(error, cause).message(), expected);
    }

    #[test]
    fn the_message_is_the_error_and_a_line_of_the_cause() {
        check(Some("States.Timeout"), None, "States.Timeout");
        check(Some("Refused"), Some("no\nsecond line"), "Refused: no");
        check(
            Some("ModelError"),
            Some(r#"{"errorMessage":"rate limit","errorType":"ModelError"}"#),
            "ModelError: rate limit",
        );
        check(
            Some("States.TaskFailed"),
            Some(r#"{"ExecutionArn":"arn","Error":"Refused","Cause":"no"}"#),
            "States.TaskFailed: Refused: no",
        );
        check(None, Some("only a cause"), "only a cause");
        check(None, None, "failed");
        check(Some("E"), Some(""), "E");
        let long = "é".repeat(500);
        let short = format!("E: {}…", "é".repeat(200));
        check(Some("E"), Some(&long), &short);
    }

    #[test]
    fn no_part_of_a_secret_is_in_the_message() {
        let words = "x".repeat(190);
        let short = format!("E: {words} …");
        check(
            Some("E"),
            Some(&format!("{words} AKIAIOSFODNN7EXAMPLE")),
            &short,
        );
        let nested = format!(r#"{{"secret": {{"code": "hunter22"}}, "more": "{words}"}}"#);
        let message = Failure::new(Some("E"), Some(&nested)).message();
        assert!(
            message.ends_with("xx…") && !message.contains("hunter22"),
            "{message}"
        );
        let key = "\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----";
        check(Some("E"), Some(key), "E: [REDACTED:private-key]");
    }

    #[test]
    fn an_error_output_is_read_back() {
        let failure = Failure::from_error_output(r#"{"Error":"E","Cause":"c"}"#).unwrap();
        assert_eq!(failure, Failure::new(Some("E"), Some("c")));
        assert_eq!(Failure::from_error_output(r#"{"error":"E"}"#), None);
        assert_eq!(Failure::from_error_output("no JSON"), None);
    }
}
