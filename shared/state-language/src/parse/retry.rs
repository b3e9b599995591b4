//! Retriers and catchers.

use serde_json::Value;

use crate::error::{MAX_DELAY_SECONDS, name};
use crate::fields;
use crate::layout::item;
use crate::spelling::nearest;
use crate::{Catcher, JitterStrategy, Retrier};

use super::expressions::Moment;
use super::reader::{Holder, Object, Reader};

/// AWS: the largest number of attempts, and of seconds.
const MAX_COUNT: u32 = 99_999_999;

impl Reader {
    pub(super) fn retry(&mut self, object: &Object<'_>) -> Vec<Retrier> {
        self.check_all_is_last(object, "Retry");
        self.list(object, "Retry", |reader, retrier| {
            reader.known_fields(&retrier, Holder::named("a retrier"), fields::RETRIER);
            let interval_seconds = reader
                .count(&retrier, "IntervalSeconds", 1, MAX_COUNT)
                .unwrap_or(1);
            let max_delay_seconds = reader.count(&retrier, "MaxDelaySeconds", 1, MAX_DELAY_SECONDS);
            if max_delay_seconds.is_some_and(|ceiling| ceiling <= interval_seconds) {
                let path = retrier.member("MaxDelaySeconds");
                let message = format!("it is no longer than IntervalSeconds, {interval_seconds}");
                reader.problem(&path, &message, "make it longer, or remove it");
            }
            Some(Retrier {
                comment: reader.text(&retrier, "Comment"),
                error_equals: reader.error_equals(&retrier)?,
                interval_seconds,
                max_attempts: reader
                    .count(&retrier, "MaxAttempts", 0, MAX_COUNT)
                    .unwrap_or(3),
                backoff_rate: reader.backoff_rate(&retrier),
                max_delay_seconds,
                jitter_strategy: reader.jitter_strategy(&retrier),
            })
        })
    }

    pub(super) fn catch(&mut self, object: &Object<'_>) -> Vec<Catcher> {
        self.check_all_is_last(object, "Catch");
        self.list(object, "Catch", |reader, catcher| {
            reader.known_fields(&catcher, Holder::named("a catcher"), fields::CATCHER);
            let comment = reader.text(&catcher, "Comment");
            let error_equals = reader.error_equals(&catcher);
            let next = reader.required_text(&catcher, "Next", "the name of the state that goes on");
            if let Some(next) = &next {
                reader.note_target(next, &catcher.member("Next"));
            }
            let output = reader.template_field(&catcher, "Output", Moment::Caught);
            let assign = reader.assign(&catcher, Moment::Caught);
            Some(Catcher {
                comment,
                error_equals: error_equals?,
                next: next?,
                output,
                assign,
            })
        })
    }

    fn error_equals(&mut self, object: &Object<'_>) -> Option<Vec<String>> {
        const WHAT: &str = "an array of error names, such as [\"States.ALL\"]";
        let value = self.required(object, "ErrorEquals", WHAT)?;
        let path = object.member("ErrorEquals");
        let names = match value {
            Value::Array(names) if !names.is_empty() => names,
            other => {
                self.wrong_type(&path, other, WHAT);
                return None;
            }
        };
        let mut read = Vec::with_capacity(names.len());
        for (index, value) in names.iter().enumerate() {
            let path = item(&path, index);
            match value {
                Value::String(error) => {
                    self.check_error_name(error, &path);
                    read.push(error.clone());
                }
                other => self.wrong_type(&path, other, "an error name"),
            }
        }
        if names.len() > 1 && read.iter().any(|error| error == name::ALL) {
            self.problem(
                &path,
                "States.ALL stands beside other names",
                "write it alone, in an entry of its own",
            );
        }
        Some(read)
    }

    fn check_error_name(&mut self, error: &str, path: &str) {
        let known = !error.starts_with("States.")
            || name::PREDEFINED.contains(&error)
            || error.starts_with("States.Http.StatusCode.");
        if !known {
            let advice = match nearest(error, name::PREDEFINED) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => {
                    "an error of your own has a name that does not begin with States.".to_owned()
                }
            };
            self.problem(
                path,
                &format!("Step Functions has no error {error:?}"),
                &advice,
            );
        }
    }

    fn check_all_is_last(&mut self, object: &Object<'_>, field: &str) {
        let Some(Value::Array(entries)) = object.fields.get(field) else {
            return;
        };
        for (index, entry) in entries.iter().enumerate().rev().skip(1) {
            let names = entry.get("ErrorEquals").and_then(Value::as_array);
            if names.is_some_and(|names| names.iter().any(|error| error == name::ALL)) {
                let path = item(&object.member(field), index);
                self.problem(
                    &path,
                    "States.ALL leaves nothing to the entries after it",
                    "move it to the end",
                );
            }
        }
    }

    fn count(&mut self, object: &Object<'_>, field: &str, least: u32, most: u32) -> Option<u32> {
        let number = self.literal_integer(object, field, u64::from(least)..=u64::from(most))?;
        u32::try_from(number).ok()
    }

    fn backoff_rate(&mut self, object: &Object<'_>) -> f64 {
        const DEFAULT: f64 = 2.0;
        let Some(value) = object.fields.get("BackoffRate") else {
            return DEFAULT;
        };
        value
            .as_f64()
            .filter(|rate| *rate >= 1.0)
            .unwrap_or_else(|| {
                self.wrong_type(
                    &object.member("BackoffRate"),
                    value,
                    "a number of 1.0 or more",
                );
                DEFAULT
            })
    }

    fn jitter_strategy(&mut self, object: &Object<'_>) -> JitterStrategy {
        match object
            .fields
            .get("JitterStrategy")
            .map(|value| (value, value.as_str()))
        {
            None | Some((_, Some("NONE"))) => JitterStrategy::None,
            Some((_, Some("FULL"))) => JitterStrategy::Full,
            Some((value, _)) => {
                self.wrong_type(
                    &object.member("JitterStrategy"),
                    value,
                    "\"FULL\" or \"NONE\"",
                );
                JitterStrategy::None
            }
        }
    }
}
