use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, context};

use crate::error::NodeError;

/// Steps that one template may take; a prompt of a thousand items takes tens of thousands.
const FUEL: u64 = 5_000_000;

/// Templates over a task's `input`.
pub(super) struct Templates {
    environment: Environment<'static>,
    input: Value,
}

impl Templates {
    pub(super) fn new(input: &serde_json::Value) -> Self {
        let mut environment = Environment::new();
        // A misspelt variable is an error, not an empty place in a prompt.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_debug(true);
        Self {
            environment,
            input: Value::from(Serde(input)),
        }
    }

    /// `name` is where the template stands, for the error.
    pub(super) fn render(&self, name: &str, template: &str) -> Result<String, NodeError> {
        if !template.contains('{') {
            return Ok(template.to_owned());
        }
        let input = &self.input;
        self.environment
            .render_named_str(name, template, context! { input })
            .map_err(|error| NodeError::InvalidTemplate {
                template: name.to_owned(),
                line: error.line(),
                problem: problem(&error, template),
            })
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
        Templates::new(&input)
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
    }
}
