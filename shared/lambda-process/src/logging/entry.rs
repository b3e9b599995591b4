use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write};
use std::panic::{self, AssertUnwindSafe};

use redaction::Policy;
use serde_json::{Map, Value, json};
use trace_model::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

use super::escape;

/// CloudWatch Logs takes 256 KB an event; a value that long helps nobody.
const LONGEST_VALUE: usize = 16 * 1024;

/// What stands in for a value that could not be masked: closed rather than open.
const NOT_MASKED: &str = "[left out: masking failed]";

/// The fields of one span or event, masked.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

/// All that one line says.
pub(super) struct Entry<'a> {
    pub(super) time: Timestamp,
    pub(super) metadata: &'a Metadata<'a>,
    pub(super) fields: Fields,
    /// From the outermost in.
    pub(super) spans: Vec<&'static str>,
}

/// Masks on the way in.
pub(super) struct FieldVisitor<'a> {
    pub(super) policy: &'a Policy,
    pub(super) fields: &'a mut Fields,
}

thread_local! {
    static MASKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is masking a value right now: a panic in there is not logged, as its
/// message could not be masked either.
pub(super) fn is_masking() -> bool {
    MASKING.get()
}

impl Fields {
    /// The inner span's and the event's values go before the outer ones'.
    pub(super) fn extend(&mut self, inner: &Self) {
        let inner = inner.0.iter();
        self.0
            .extend(inner.map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Lambda's runtime writes it its own way.
    fn take_request_id(&mut self) -> Option<Value> {
        let runtimes = self.0.shift_remove("requestId");
        self.0.shift_remove("request_id").or(runtimes)
    }

    fn take_message(&mut self) -> String {
        match self.0.shift_remove("message") {
            Some(Value::String(message)) => message,
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }
}

impl Entry<'_> {
    /// One JSON object and a line feed.
    pub(super) fn into_json_line(mut self) -> String {
        let message = self.fields.take_message();
        let mut object = json!({
            "timestamp": self.time.to_rfc3339(),
            "level": self.metadata.level().as_str(),
            "target": self.metadata.target(),
            "message": message,
        });
        if let Some(request_id) = self.fields.take_request_id() {
            object["request_id"] = request_id;
        }
        if !self.spans.is_empty() {
            object["spans"] = json!(self.spans);
        }
        // Apart from the names above, so that no field can pass for one of them.
        if !self.fields.0.is_empty() {
            object["fields"] = Value::Object(self.fields.0);
        }
        escape::json_line(&object.to_string()) + "\n"
    }

    /// One line for a person, with a line feed.
    pub(super) fn into_text_line(mut self) -> String {
        let message = self.fields.take_message();
        let level = match *self.metadata.level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN ",
            Level::INFO => "INFO ",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "TRACE",
        };
        let time = self.time.to_rfc3339();
        let target = self.metadata.target();
        let mut line = format!("{time} {level} {target}: {message}");
        for (name, value) in &self.fields.0 {
            // Writing to a string does not fail.
            let _ = write!(line, " {name}={value}");
        }
        escape::text_line(&line) + "\n"
    }
}

impl FieldVisitor<'_> {
    fn put_text(&mut self, field: &Field, text: &str) {
        let masked = shortened(closed(|| self.policy.redact_text(text).into_string()));
        self.put(field, Value::String(masked));
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.fields.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for FieldVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    /// With all its causes.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // Writing to a string does not fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.put_text(field, &text);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// The masked text, or nothing of it.
fn closed(mask: impl FnOnce() -> String) -> String {
    let before = MASKING.replace(true);
    let masked = panic::catch_unwind(AssertUnwindSafe(mask));
    MASKING.set(before);
    masked.unwrap_or_else(|_| NOT_MASKED.to_owned())
}

/// After masking: a secret cut in half would no longer be known for one.
fn shortened(mut text: String) -> String {
    let length = text.len();
    if length > LONGEST_VALUE {
        let end = text.floor_char_boundary(LONGEST_VALUE);
        text.truncate(end);
        // Writing to a string does not fail.
        let _ = write!(text, "… [cut: {length} bytes]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_be_masked_is_left_out() {
        let masked = closed(|| {
            assert!(is_masking());
            panic!("with the value in its message")
        });
        assert_eq!(masked, NOT_MASKED);
        assert!(!is_masking());
        assert_eq!(closed(|| "fine".to_owned()), "fine");
    }
}
