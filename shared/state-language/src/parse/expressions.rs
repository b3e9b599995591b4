//! Templates and their expressions, and what can be told of the variables they
//! read before a run.

use indexmap::IndexMap;
use serde_json::Value;

use crate::expression::{CLOSING, OPENING};
use crate::inspection::Inspection;
use crate::layout::{item, member};
use crate::scope::variable_name_problem;
use crate::spelling::nearest;
use crate::{Assign, Expression, Template, step_functions};

use super::reader::{Object, Reader};

/// JSONata's own functions, `$eval` left out.
const JSONATA_FUNCTIONS: &[&str] = &[
    "abs",
    "append",
    "assert",
    "average",
    "base64decode",
    "base64encode",
    "boolean",
    "ceil",
    "contains",
    "count",
    "decodeUrl",
    "decodeUrlComponent",
    "distinct",
    "each",
    "encodeUrl",
    "encodeUrlComponent",
    "error",
    "exists",
    "filter",
    "floor",
    "formatBase",
    "formatInteger",
    "formatNumber",
    "fromMillis",
    "join",
    "keys",
    "length",
    "lookup",
    "lowercase",
    "map",
    "match",
    "max",
    "merge",
    "millis",
    "min",
    "not",
    "now",
    "number",
    "pad",
    "parseInteger",
    "power",
    "random",
    "reduce",
    "replace",
    "reverse",
    "round",
    "shuffle",
    "sift",
    "single",
    "sort",
    "split",
    "spread",
    "sqrt",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "sum",
    "toMillis",
    "trim",
    "type",
    "uppercase",
    "zip",
];

/// What a JSON value is, looked at for an expression.
pub(super) enum Found {
    NoExpression,
    /// A problem has been noted.
    Wrong,
    Expression(Expression),
}

/// When in a state's life a field is evaluated: it decides what `$states` holds.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Moment {
    /// `input` and `context`.
    Entered,
    /// `result` too: a Task, Parallel or Map has succeeded.
    Finished,
    /// `errorOutput` too: a catcher caught its error.
    Caught,
}

impl Reader {
    pub(super) fn template_field(
        &mut self,
        object: &Object<'_>,
        field: &str,
        moment: Moment,
    ) -> Option<Template> {
        let value = object.fields.get(field)?;
        Some(self.template(&object.member(field), value, moment))
    }

    pub(super) fn assign(&mut self, object: &Object<'_>, moment: Moment) -> Option<Assign> {
        let value = object.fields.get("Assign")?;
        let path = object.member("Assign");
        let Value::Object(variables) = value else {
            self.wrong_type(&path, value, "an object of variable names and values");
            return None;
        };
        let mut assign = IndexMap::with_capacity(variables.len());
        for (name, value) in variables {
            let path = member(&path, name);
            match variable_name_problem(name) {
                Some(problem) => {
                    self.problem(&path, &format!("{name:?} cannot be a variable"), &problem);
                }
                None => self.note_assigned(name, &path),
            }
            assign.insert(name.clone(), self.template(&path, value, moment));
        }
        Some(Assign(assign))
    }

    pub(super) fn expression_in(&mut self, path: &str, value: &Value, moment: Moment) -> Found {
        let Some(text) = value.as_str() else {
            return Found::NoExpression;
        };
        let trimmed = text.trim();
        if trimmed.len() < text.len() && trimmed.starts_with(OPENING) && trimmed.ends_with(CLOSING)
        {
            let advice = format!("remove the space before {OPENING} and after {CLOSING}");
            self.problem(
                path,
                "space around an expression makes it plain text",
                &advice,
            );
            return Found::Wrong;
        }
        match (text.strip_prefix(OPENING), text.ends_with(CLOSING)) {
            (Some(rest), true) if rest.len() >= CLOSING.len() => {
                let source = &rest[..rest.len() - CLOSING.len()];
                self.expression(path, source, moment)
                    .map_or(Found::Wrong, Found::Expression)
            }
            (None, false) => Found::NoExpression,
            (opened, _) => {
                let (has, lacks) = if opened.is_some() {
                    (OPENING, CLOSING)
                } else {
                    (CLOSING, OPENING)
                };
                let message = format!("the string has {has} and lacks {lacks}");
                self.problem(
                    path,
                    &message,
                    &format!("an expression is all of a string: {OPENING} … {CLOSING}"),
                );
                Found::Wrong
            }
        }
    }

    /// Notes variables that no state sets, and those that an inner scope would set over an outer one.
    pub(super) fn check_variables(&mut self) {
        let mut found = Vec::new();
        for flow in &self.flows {
            let outer: Vec<_> =
                std::iter::successors(flow.parent, |index| self.flows[*index].parent)
                    .map(|index| &self.flows[index].assigned)
                    .collect();
            for (name, path) in &flow.assigned {
                if outer.iter().any(|assigned| assigned.contains_key(name)) {
                    let message = format!("the variable ${name} is assigned outside as well");
                    found.push((
                        path.clone(),
                        None,
                        message,
                        "give one of them another name".to_owned(),
                    ));
                }
            }
            for (name, path, state) in &flow.references {
                let seen = || {
                    outer
                        .iter()
                        .copied()
                        .chain([&flow.assigned])
                        .flat_map(|assigned| assigned.keys())
                };
                if !seen().any(|assigned| assigned == name) {
                    let names = seen().map(String::as_str).chain(["states"]);
                    let advice = match nearest(name, names) {
                        Some(meant) => format!("did you mean ${meant}?"),
                        None => format!("set it with Assign: {{\"{name}\": …}} in a state before"),
                    };
                    found.push((
                        path.clone(),
                        state.clone(),
                        format!("no state here assigns ${name}"),
                        advice,
                    ));
                }
            }
        }
        for (path, state, message, advice) in found {
            self.state = state;
            self.problem(&path, &message, &advice);
        }
    }

    fn template(&mut self, path: &str, value: &Value, moment: Moment) -> Template {
        match self.expression_in(path, value, moment) {
            Found::NoExpression => {}
            Found::Wrong => return Template::Literal(Value::Null),
            Found::Expression(expression) => return Template::Expression(expression),
        }
        match value {
            Value::Array(items) => {
                let read = |(index, value)| self.template(&item(path, index), value, moment);
                let items: Vec<Template> = items.iter().enumerate().map(read).collect();
                literal_or(value, items.iter().all(is_literal), Template::Array(items))
            }
            Value::Object(fields) => {
                let mut read = IndexMap::with_capacity(fields.len());
                for (name, value) in fields {
                    let path = member(path, name);
                    if let Some(plain) = name.strip_suffix(".$") {
                        let message =
                            format!("the key {name:?} is JSONPath's, and this is JSONata");
                        self.problem(
                            &path,
                            &message,
                            &format!("write \"{plain}\": \"{{% … %}}\""),
                        );
                    }
                    read.insert(name.clone(), self.template(&path, value, moment));
                }
                literal_or(value, read.values().all(is_literal), Template::Object(read))
            }
            _ => Template::Literal(value.clone()),
        }
    }

    fn expression(&mut self, path: &str, source: &str, moment: Moment) -> Option<Expression> {
        let expression = match Expression::parse(source) {
            Ok(expression) => expression,
            Err(error) => {
                self.problem(
                    path,
                    &format!("the JSONata cannot be read: {error}"),
                    "correct the expression",
                );
                return None;
            }
        };
        let inspection = expression.inspection();
        for sentence in &inspection.forbidden {
            let (message, advice) = sentence
                .split_once(": ")
                .unwrap_or((sentence, "write it otherwise"));
            self.problem(path, message, advice);
        }
        self.check_calls(path, inspection);
        self.check_states(path, inspection, moment);
        for name in inspection.reads.keys() {
            let known = name == "states"
                || name == "eval"
                || inspection.bound.contains(name)
                || is_function(name);
            if !known && let Some(flow) = self.flow {
                let reference = (name.clone(), path.to_owned(), self.state.clone());
                self.flows[flow].references.push(reference);
            }
        }
        Some(expression)
    }

    fn check_calls(&mut self, path: &str, inspection: &Inspection) {
        if inspection.calls.contains("eval") || inspection.reads.contains_key("eval") {
            self.problem(
                path,
                "Step Functions has no $eval",
                "read JSON with $parse(…)",
            );
        }
        for name in &inspection.calls {
            if name == "eval" || inspection.bound.contains(name) || is_function(name) {
                continue;
            }
            let functions = JSONATA_FUNCTIONS
                .iter()
                .chain(&step_functions::NAMES)
                .copied();
            let advice = match nearest(
                name,
                functions.chain(inspection.bound.iter().map(String::as_str)),
            ) {
                Some(meant) => format!("did you mean ${meant}?"),
                None => {
                    format!("define it in the expression: ( ${name} := function($x) {{ … }}; … )")
                }
            };
            self.problem(path, &format!("there is no function ${name}"), &advice);
        }
    }

    fn check_states(&mut self, path: &str, inspection: &Inspection, moment: Moment) {
        let Some(states) = inspection.reads.get("states") else {
            return;
        };
        for field in states.fields.keys() {
            let (message, advice) = match field.as_str() {
                "input" | "context" => continue,
                "result" if moment == Moment::Finished => continue,
                "errorOutput" if moment == Moment::Caught => continue,
                "result" => (
                    "there is no $states.result here".to_owned(),
                    "only Output and Assign of a Task, Parallel or Map have it".to_owned(),
                ),
                "errorOutput" => (
                    "there is no $states.errorOutput here".to_owned(),
                    "only Output and Assign of a catcher have it".to_owned(),
                ),
                other => (
                    format!("there is no $states.{other}"),
                    match nearest(other, ["input", "result", "errorOutput", "context"]) {
                        Some(meant) => format!("did you mean $states.{meant}?"),
                        None => format!("did you mean $states.input.{other}?"),
                    },
                ),
            };
            self.problem(path, &message, &advice);
        }
    }

    fn note_assigned(&mut self, name: &str, path: &str) {
        if let Some(flow) = self.flow {
            self.flows[flow]
                .assigned
                .entry(name.to_owned())
                .or_insert_with(|| path.to_owned());
        }
    }
}

fn is_function(name: &str) -> bool {
    JSONATA_FUNCTIONS.contains(&name) || step_functions::NAMES.contains(&name)
}

fn is_literal(template: &Template) -> bool {
    matches!(template, Template::Literal(_))
}

fn literal_or(value: &Value, all_literal: bool, template: Template) -> Template {
    if all_literal {
        Template::Literal(value.clone())
    } else {
        template
    }
}
