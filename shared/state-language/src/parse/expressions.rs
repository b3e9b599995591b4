//! Templates and their expressions.

use indexmap::IndexMap;
use serde_json::Value;

use crate::expression::{CLOSING, OPENING};
use crate::functions;
use crate::inspection::{Inspection, Read};
use crate::layout::{item, member};
use crate::scope::variable_name_problem;
use crate::spelling::nearest;
use crate::{Assign, Expression, Rule, Template};

use super::reader::{Assigned, Object, Place, Reader, Reference};

/// The context object's fields, and their own.
const CONTEXT: &[(&str, &[&str])] = &[
    (
        "Execution",
        &[
            "Id",
            "Input",
            "Name",
            "RedriveCount",
            "RedriveTime",
            "RoleArn",
            "StartTime",
        ],
    ),
    ("State", &["EnteredTime", "Name", "RetryCount"]),
    ("StateMachine", &["Id", "Name"]),
    ("Map", &["Item"]),
    ("Task", &["Token"]),
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
                Some((message, advice)) => {
                    self.problem(Rule::VariableName, &path, &message, &advice);
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
                Rule::ExpressionDelimiters,
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
                    Rule::ExpressionDelimiters,
                    path,
                    &message,
                    &format!("an expression is all of a string: {OPENING} … {CLOSING}"),
                );
                Found::Wrong
            }
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
                            Rule::JsonPathField,
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
        let space = source.len() - source.trim_start().len();
        let text = Text {
            path,
            source: source.trim(),
            start: OPENING.len() + source[..space].chars().count(),
        };
        let expression = match Expression::parse(source) {
            Ok(expression) => expression,
            Err(error) => {
                self.problem_at(
                    Place::Character(text.start + error.position - 1),
                    Rule::JsonataSyntax,
                    path,
                    &format!("the JSONata cannot be read: {error}"),
                    "correct the expression",
                );
                return None;
            }
        };
        let inspection = expression.inspection();
        for forbidden in &inspection.forbidden {
            self.problem_at(
                text.place(&forbidden.token),
                forbidden.rule,
                path,
                &forbidden.message,
                &forbidden.advice,
            );
        }
        self.check_calls(&text, inspection);
        if let Some(states) = inspection.reads.get("states") {
            self.check_states(&text, inspection, states, moment);
        }
        for name in inspection.reads.keys() {
            let known = name == "states"
                || name == "eval"
                || inspection.bound.contains(name)
                || functions::is_function(name);
            if !known && let Some(flow) = self.flow {
                let reference = Reference {
                    name: name.clone(),
                    path: path.to_owned(),
                    place: text.place(&format!("${name}")),
                    state: self.state.clone(),
                    is_probed: inspection.is_probed(&[name]),
                };
                self.flows[flow].references.push(reference);
            }
        }
        Some(expression)
    }

    fn check_calls(&mut self, text: &Text<'_>, inspection: &Inspection) {
        if inspection.calls.contains("eval") || inspection.reads.contains_key("eval") {
            self.problem_at(
                text.place("$eval"),
                Rule::EvalFunction,
                text.path,
                "Step Functions has no $eval",
                "read JSON with $parse(…)",
            );
        }
        let is_own = |name: &str| inspection.bound.contains(name);
        for name in &inspection.calls {
            // What a variable holds is data: a call of one is a mistake whether it is assigned or not.
            if name == "eval" || is_own(name) || functions::is_function(name) {
                continue;
            }
            let mut known: Vec<&str> = functions::names().collect();
            known.extend(inspection.bound.iter().map(String::as_str));
            let advice = match nearest(name, known) {
                Some(meant) => format!("did you mean ${meant}?"),
                None => {
                    format!("define it in the expression: ( ${name} := function($x) {{ … }}; … )")
                }
            };
            self.problem_at(
                text.place(&format!("${name}")),
                Rule::UnknownFunction,
                text.path,
                &format!("there is no function ${name}"),
                &advice,
            );
        }
        for call in inspection
            .complete_calls
            .iter()
            .filter(|call| !is_own(&call.name))
        {
            let name = &call.name;
            if let Some(takes) = functions::wrong_count(name, call.arguments, call.has_context) {
                let advice = if call.arguments == 0 && !call.has_context {
                    "hand it what it works on, such as $states.input"
                } else {
                    "see the function's description in JSONata or in Step Functions"
                };
                self.problem_at(
                    text.place(&format!("${name}")),
                    Rule::WrongArguments,
                    text.path,
                    &format!("${name} takes {takes}, and {} are given", call.arguments),
                    advice,
                );
            }
        }
    }

    fn check_states(
        &mut self,
        text: &Text<'_>,
        inspection: &Inspection,
        states: &Read,
        moment: Moment,
    ) {
        for (field, read) in &states.fields {
            let (rule, message, advice) = match field.as_str() {
                "context" => {
                    self.check_context(text, inspection, read);
                    continue;
                }
                "input" => continue,
                "result" | "errorOutput" if inspection.is_probed(&["states", field]) => continue,
                "result" if moment == Moment::Finished => continue,
                "errorOutput" if moment == Moment::Caught => continue,
                "result" => (
                    Rule::NoResultHere,
                    "there is no $states.result here".to_owned(),
                    "only Output and Assign of a Task, Parallel or Map have it".to_owned(),
                ),
                "errorOutput" => (
                    Rule::NoErrorOutputHere,
                    "there is no $states.errorOutput here".to_owned(),
                    "only Output and Assign of a catcher have it".to_owned(),
                ),
                other => (
                    Rule::UnknownStatesMember,
                    format!("there is no $states.{other}"),
                    match nearest(other, ["input", "result", "errorOutput", "context"]) {
                        Some(meant) => format!("did you mean $states.{meant}?"),
                        None => format!("did you mean $states.input.{other}?"),
                    },
                ),
            };
            let place = text.place_of_path(&["$states", field]);
            self.problem_at(place, rule, text.path, &message, &advice);
        }
    }

    fn check_context(&mut self, text: &Text<'_>, inspection: &Inspection, context: &Read) {
        for (field, read) in &context.fields {
            if inspection.is_probed(&["states", "context", field]) {
                continue;
            }
            let place = text.place_of_path(&["$states", "context", field]);
            let known = CONTEXT.iter().find(|(name, _)| name == field);
            let absent = match (field.as_str(), known) {
                ("Task", _) if !self.surroundings.has_task_token => Some((
                    Rule::NoTaskTokenHere,
                    "there is no $states.context.Task here".to_owned(),
                    "let the task's Resource end in .waitForTaskToken".to_owned(),
                )),
                ("Map", _) if !self.surroundings.has_map_item => Some((
                    Rule::NoMapItemHere,
                    "there is no $states.context.Map here".to_owned(),
                    "read it in ItemSelector, or in the states of an item processor".to_owned(),
                )),
                (_, Some(_)) => None,
                (_, None) => {
                    let known = CONTEXT.iter().map(|(name, _)| *name);
                    let advice = match nearest(field, known) {
                        Some(meant) => format!("did you mean $states.context.{meant}?"),
                        None => {
                            "it has Execution, State, StateMachine, and for some states Map and Task"
                                .to_owned()
                        }
                    };
                    let message = format!("the context object has no {field}");
                    Some((Rule::UnknownContextMember, message, advice))
                }
            };
            if let Some((rule, message, advice)) = absent {
                self.problem_at(place, rule, text.path, &message, &advice);
                continue;
            }
            let members = known.map_or(&[][..], |(_, members)| *members);
            for member in read.fields.keys() {
                if members.contains(&member.as_str()) {
                    continue;
                }
                let advice = match nearest(member, members.iter().copied()) {
                    Some(meant) => format!("did you mean $states.context.{field}.{meant}?"),
                    None => format!("it has {}", members.join(", ")),
                };
                self.problem_at(
                    text.place_of_path(&["$states", "context", field, member]),
                    Rule::UnknownContextMember,
                    text.path,
                    &format!("the context object's {field} has no {member}"),
                    &advice,
                );
            }
        }
    }

    fn note_assigned(&mut self, name: &str, path: &str) {
        if let Some(flow) = self.flow {
            let state = self.state.clone();
            self.flows[flow]
                .assigned
                .entry(name.to_owned())
                .or_insert_with(|| Assigned {
                    path: path.to_owned(),
                    state,
                });
        }
    }
}

/// An expression's text, and where it stands.
struct Text<'t> {
    path: &'t str,
    source: &'t str,
    /// Of the source, in the characters of the string.
    start: usize,
}

impl Text<'_> {
    /// Where the token stands first.
    fn place(&self, token: &str) -> Place {
        match find_token(self.source, token) {
            Some(offset) => Place::Character(self.start + self.source[..offset].chars().count()),
            None => Place::Path,
        }
    }

    /// Where a path of fields begins, or as much of it as is written in one.
    fn place_of_path(&self, fields: &[&str]) -> Place {
        (1..=fields.len())
            .rev()
            .find_map(|length| find_token(self.source, &fields[..length].join(".")))
            .map_or(Place::Path, |offset| {
                Place::Character(self.start + self.source[..offset].chars().count())
            })
    }
}

/// The byte at which a token stands by itself, outside of strings and comments.
fn find_token(source: &str, token: &str) -> Option<usize> {
    let is_name = |character: char| character.is_alphanumeric() || "_$".contains(character);
    let mut position = 0;
    let mut before = ' ';
    while let Some(character) = source[position..].chars().next() {
        let rest = &source[position..];
        let skipped = match character {
            '\'' | '"' => Some(quoted_length(rest, character)),
            '/' if rest.starts_with("/*") => {
                Some(rest.find("*/").map_or(rest.len(), |end| end + "*/".len()))
            }
            _ => None,
        };
        if let Some(length) = skipped {
            position += length;
            before = ' ';
            continue;
        }
        let stands_alone = |rest: &str| rest.chars().next().is_none_or(|next| !is_name(next));
        if !is_name(before) && rest.strip_prefix(token).is_some_and(stands_alone) {
            return Some(position);
        }
        before = character;
        position += character.len_utf8();
    }
    None
}

/// The bytes of a quoted string with its quotes.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == quote => return index + 1,
            _ => {}
        }
    }
    text.len()
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

#[cfg(test)]
mod tests {
    use super::find_token;

    #[test]
    fn a_token_is_found_where_it_stands_by_itself() {
        for (source, token, expected) in [
            ("$a + $b", "$b", Some(5)),
            ("$ab + $a", "$a", Some(6)),
            ("'$a' & \"it's $a\" & $a", "$a", Some(19)),
            ("/* $a */ $a", "$a", Some(9)),
            ("'a\\'$a' & $a", "$a", Some(10)),
            ("$$.a", "$", None),
            ("$.a", "$", Some(0)),
            ("'open $a", "$a", None),
        ] {
            assert_eq!(find_token(source, token), expected, "{source}");
        }
    }
}
