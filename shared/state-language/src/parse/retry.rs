//! Retriers and catchers.

use serde_json::Value;

use crate::error::{MAX_DELAY_SECONDS, matches, name};
use crate::fields;
use crate::layout::item;
use crate::spelling::nearest;
use crate::{Catcher, JitterStrategy, Retrier, Rule};

use super::expressions::Moment;
use super::reader::{Holder, Object, Reader, rule_of_number};

/// AWS: the largest number of attempts, and of seconds.
const MAX_COUNT: u32 = 99_999_999;

impl Reader {
    pub(super) fn retry(&mut self, object: &Object<'_>) -> Vec<Retrier> {
        self.check_order(object, "Retry");
        self.list(object, "Retry", |reader, retrier| {
            reader.known_fields(&retrier, Holder::named("a retrier"), fields::RETRIER);
            let interval_seconds = reader
                .count(&retrier, "IntervalSeconds", 1, MAX_COUNT)
                .unwrap_or(1);
            let max_delay_seconds =
                reader.count(&retrier, "MaxDelaySeconds", 1, MAX_DELAY_SECONDS - 1);
            if max_delay_seconds.is_some_and(|ceiling| ceiling <= interval_seconds) {
                let path = retrier.member("MaxDelaySeconds");
                let message = format!("it is no longer than IntervalSeconds, {interval_seconds}");
                reader.problem(
                    Rule::MaxDelayTooShort,
                    &path,
                    &message,
                    "make it longer, or remove it",
                );
            }
            let comment = reader.text(&retrier, "Comment");
            let error_equals = reader.error_equals(&retrier);
            let max_attempts = reader.count(&retrier, "MaxAttempts", 0, MAX_COUNT);
            let backoff_rate = reader.backoff_rate(&retrier);
            let jitter_strategy = reader.jitter_strategy(&retrier);
            Some(Retrier {
                comment,
                error_equals: error_equals?,
                interval_seconds,
                max_attempts: max_attempts.unwrap_or(3),
                backoff_rate,
                max_delay_seconds,
                jitter_strategy,
            })
        })
    }

    pub(super) fn catch(&mut self, object: &Object<'_>) -> Vec<Catcher> {
        self.check_order(object, "Catch");
        self.list(object, "Catch", |reader, catcher| {
            reader.known_fields(&catcher, Holder::named("a catcher"), fields::CATCHER);
            let comment = reader.text(&catcher, "Comment");
            let error_equals = reader.error_equals(&catcher);
            let next = reader.required_text(&catcher, "Next", "the name of the state that goes on");
            match &next {
                Some(next) => reader.note_target(next, &catcher.member("Next"), &[&catcher]),
                None => reader.note_unknown_way(),
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
            Value::Array(names) if names.is_empty() => {
                let message = "ErrorEquals is empty, and so matches nothing";
                self.problem(Rule::EmptyList, &path, message, "name an error in it");
                return None;
            }
            Value::Array(names) => names,
            other => {
                self.wrong_type(&path, other, WHAT);
                return None;
            }
        };
        let mut read: Vec<String> = Vec::with_capacity(names.len());
        for (index, value) in names.iter().enumerate() {
            let path = item(&path, index);
            match value {
                Value::String(error) if read.contains(error) => self.problem(
                    Rule::DuplicateErrorName,
                    &path,
                    &format!("{error:?} is in this list already"),
                    "remove it",
                ),
                Value::String(error) => {
                    self.check_error_name(error, &path);
                    read.push(error.clone());
                }
                other => self.wrong_type(&path, other, "an error name"),
            }
        }
        if read.len() > 1 && read.iter().any(|error| error == name::ALL) {
            self.problem(
                Rule::StatesAllNotAlone,
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
                Rule::UnknownErrorName,
                path,
                &format!("Step Functions has no error {error:?}"),
                &advice,
            );
        } else if error == name::RUNTIME {
            self.problem(
                Rule::NeverMatched,
                path,
                "States.Runtime ends the execution, whatever matches it",
                "remove it, and prevent the error instead",
            );
        }
    }

    /// `States.ALL` is last, and every entry has something left to match.
    fn check_order(&mut self, object: &Object<'_>, field: &str) {
        let Some(Value::Array(entries)) = object.fields.get(field) else {
            return;
        };
        let names_of = |entry: &Value| -> Vec<String> {
            let names = entry.get("ErrorEquals").and_then(Value::as_array);
            let names = names.into_iter().flatten().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        };
        let mut before: Vec<String> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let names = names_of(entry);
            let path = item(&object.member(field), index);
            if names.iter().any(|error| error == name::ALL) && index + 1 < entries.len() {
                self.problem(
                    Rule::StatesAllNotLast,
                    &path,
                    "States.ALL leaves nothing to the entries after it",
                    "move it to the end",
                );
                // What comes after it is not told again.
                return;
            }
            let taken = |error: &String| before.iter().any(|earlier| takes_all_of(earlier, error));
            if !names.is_empty() && names.iter().all(taken) {
                self.problem(
                    Rule::UnreachableEntry,
                    &path,
                    &format!(
                        "entries before it match all that it matches: {}",
                        names.join(", ")
                    ),
                    "remove it, or move it before them",
                );
            }
            before.extend(names);
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
                self.unexpected(
                    rule_of_number(value),
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

/// Whether an entry with the one name leaves nothing for an entry with the other.
fn takes_all_of(earlier: &str, later: &str) -> bool {
    match later {
        // Wildcards: they match more than their own name.
        name::ALL => earlier == name::ALL,
        name::TASK_FAILED => earlier == name::TASK_FAILED || earlier == name::ALL,
        name::TIMEOUT => earlier == name::TIMEOUT || earlier == name::ALL,
        _ => matches(earlier, later),
    }
}
