//! Text with `{{ … }}` in it, filled in from a task's input.

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, context};

use crate::error::NodeError;

/// Steps that one template may take; a prompt of a thousand items takes tens of thousands.
const FUEL: u64 = 5_000_000;

/// How deep loops may call themselves.
const DEEPEST: usize = 64;

/// What one template may write: more than any model reads, less than a function's memory.
pub(crate) const MOST_BYTES: usize = 20 * 1024 * 1024;

/// What is done to values on their way into the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    Nothing,
    /// So that a value is text there, never markup.
    Html,
}

/// Templates over a task's `input`.
pub(crate) struct Templates {
    environment: Environment<'static>,
    input: Value,
}

impl Templates {
    pub(crate) fn new(input: &serde_json::Value, escape: Escape) -> Self {
        let mut environment = Environment::new();
        // A misspelt variable is an error, not an empty place in a prompt.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEEPEST);
        environment.set_debug(true);
        environment.set_auto_escape_callback(move |_| match escape {
            Escape::Nothing => AutoEscape::None,
            Escape::Html => AutoEscape::Html,
        });
        Self {
            environment,
            input: Value::from(Serde(input)),
        }
    }

    /// `name` is where the template stands, for the error.
    pub(crate) fn render(&self, name: &str, template: &str) -> Result<String, NodeError> {
        if !template.contains('{') {
            return Ok(template.to_owned());
        }
        let input = &self.input;
        let mut written = Bounded(Vec::new());
        let rendered = self
            .environment
            .template_from_named_str(name, template)
            .and_then(|parsed| {
                parsed
                    .render_captured_to(context! { input }, &mut written)
                    .map(drop)
            });
        rendered.map_err(|error| NodeError::InvalidTemplate {
            template: name.to_owned(),
            line: error.line(),
            problem: problem(&error, template),
        })?;
        Ok(String::from_utf8_lossy(&written.0).into_owned())
    }
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn problem(error: &Error, template: &str) -> String {
    let place = error
        .range()
        .and_then(|range| template.get(range))
        .map(str::trim);
    let detail = error.detail().unwrap_or_default();
    match (error.kind(), place) {
        (ErrorKind::UndefinedError, Some(place)) => {
            format!("`{place}` is undefined; templates see `input`, the task's input")
        }
        // Only the bound on what is written fails a write.
        (ErrorKind::WriteFailure, _) => format!("writes more than {MOST_BYTES} bytes"),
        (ErrorKind::OutOfFuel, _) => "takes too many steps".to_owned(),
        (kind, Some(place)) if !place.is_empty() => format!("{kind}: {detail} at `{place}`"),
        (kind, _) => format!("{kind}: {detail}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str) -> Result<String, String> {
        let input = json!({"ticket": {"id": 7, "tags": ["a", "b"]}, "note": "5 < 6 & {{x}}"});
        Templates::new(&input, Escape::Nothing)
            .render("parameters.user", template)
            .map_err(|error| {
                assert_eq!(error.name(), "Node.InvalidTemplate");
                error.to_string()
            })
    }

    fn check(template: &str, expected: &str) {
        assert_eq!(render(template).as_deref(), Ok(expected));
    }

    #[test]
    fn templates_fill_in_the_input_and_never_read_it_as_a_template() {
        check("no braces", "no braces");
        check("ticket {{ input.ticket.id }}", "ticket 7");
        check("{{ input.note }}", "5 < 6 & {{x}}");
        check(
            "{% for tag in input.ticket.tags %}[{{ tag }}]{% endfor %}",
            "[a][b]",
        );
        check(
            "{{ input.ticket | tojson }}",
            r#"{"id": 7, "tags": ["a", "b"]}"#,
        );
        check("{{ input.none is defined }}", "False");
    }

    #[test]
    fn in_html_a_value_is_text() {
        let input = json!({"name": "<script>&", "trusted": "<b>"});
        let rendered = Templates::new(&input, Escape::Html).render(
            "parameters.template",
            "<p>{{ input.name }} {{ input.trusted | safe }}</p>",
        );
        assert_eq!(rendered.unwrap(), "<p>&lt;script&gt;&amp; <b></p>");
    }

    fn check_error(template: &str, wanted: &[&str]) {
        let error = render(template).unwrap_err();
        for wanted in wanted {
            assert!(error.contains(wanted), "{template}: {error}");
        }
    }

    #[test]
    fn an_error_names_the_template_the_line_and_the_variable() {
        check_error(
            "one\ntwo {{ input.tickets }}",
            &["parameters.user, line 2", "input.tickets", "undefined"],
        );
        check_error("{{ ticket }}", &["line 1", "`ticket` is undefined"]);
        check_error(
            "a\nb\n{% for x in %}",
            &["parameters.user, line 3", "syntax error"],
        );
        check_error("{{ input.ticket.id | nosuch }}", &["nosuch"]);
        check_error(
            "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
            &["too many steps"],
        );
        check_error(
            "{% for a in range(30) %}{{ 'x' * 1000000 }}{% endfor %}",
            &["writes more than 20971520 bytes"],
        );
        check_error(
            "{% for a in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
            &["recursion"],
        );
    }
}
