//! Reads fields of JSON objects, and notes what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::fields;
use crate::layout::member;
use crate::spelling::nearest;
use crate::substitution::is_open;
use crate::{Expression, Problem, Rule, Substitutions, ValueOrExpression};

use super::expressions::{Found, Moment};

/// The state of one reading.
pub(super) struct Reader {
    pub(super) noted: Vec<Noted>,
    /// The name of the state being read.
    pub(super) state: Option<String>,
    pub(super) flows: Vec<FlowRecord>,
    /// The flow being read.
    pub(super) flow: Option<usize>,
    /// Targets that are not beside the state that names them.
    pub(super) unresolved: Vec<Unresolved>,
    /// State names of the whole machine, with the path of each.
    pub(super) names: BTreeMap<String, String>,
    pub(super) machine_is_jsonata: bool,
    pub(super) has_jsonpath_states: bool,
    /// What the context object has beyond the execution, at the field being read.
    pub(super) surroundings: Surroundings,
    substitutions: Substitutions,
}

/// A problem, and what its line and column will be found by.
pub(super) struct Noted {
    pub(super) place: Place,
    pub(super) problem: Problem,
}

#[derive(Clone, Copy)]
pub(super) enum Place {
    /// That of the path.
    Path,
    Byte(usize),
    /// Of the string at the path, from 0.
    Character(usize),
}

/// Where a field stands, as far as the context object depends on it.
#[derive(Clone, Copy, Default)]
pub(super) struct Surroundings {
    pub(super) has_task_token: bool,
    pub(super) has_map_item: bool,
}

/// What is known of a flow for the checks that look at more than one state.
#[derive(Default)]
pub(super) struct FlowRecord {
    pub(super) parent: Option<Parent>,
    pub(super) start_at: String,
    /// Where its states lead.
    pub(super) targets: Vec<Target>,
    /// Names of states at which the flow may end.
    pub(super) ends: BTreeSet<String>,
    /// A state does not say, or not rightly, where it leads.
    pub(super) has_unknown_ways: bool,
    /// Variable names, each with its first assignment.
    pub(super) assigned: BTreeMap<String, Assigned>,
    pub(super) references: Vec<Reference>,
}

/// The state that a flow is nested in.
#[derive(Clone)]
pub(super) struct Parent {
    pub(super) flow: usize,
    pub(super) state: String,
    pub(super) sight: Sight,
}

/// Whether a nested flow sees the variables outside it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sight {
    Outwards,
    /// A distributed Map's iterations are executions of their own.
    OwnOnly,
}

pub(super) struct Target {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) path: String,
    /// Variables that are assigned on this way.
    pub(super) assigns: Vec<String>,
}

/// The name of a state that is not there.
pub(super) struct Unresolved {
    pub(super) to: String,
    pub(super) path: String,
    pub(super) state: Option<String>,
    pub(super) nearest: Option<String>,
}

/// Where a variable is assigned.
pub(super) struct Assigned {
    pub(super) path: String,
    pub(super) state: Option<String>,
}

/// A variable that an expression reads.
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) state: Option<String>,
    /// The expression asks whether there is such a variable.
    pub(super) is_probed: bool,
}

/// A JSON object and where it is.
#[derive(Clone)]
pub(super) struct Object<'v> {
    pub(super) path: String,
    pub(super) fields: &'v Map<String, Value>,
}

/// Whose fields they are, in words: `a Task state`, `a catcher`.
#[derive(Clone, Copy)]
pub(super) struct Holder<'h> {
    words: &'h str,
    /// A state's fields are told from those of other state types.
    is_state: bool,
}

impl<'h> Holder<'h> {
    pub(super) fn named(words: &'h str) -> Self {
        Self {
            words,
            is_state: false,
        }
    }

    pub(super) fn state(words: &'h str) -> Self {
        Self {
            words,
            is_state: true,
        }
    }
}

impl<'v> Object<'v> {
    pub(super) fn new(path: &str, fields: &'v Map<String, Value>) -> Self {
        Self {
            path: path.to_owned(),
            fields,
        }
    }

    pub(super) fn member(&self, field: &str) -> String {
        member(&self.path, field)
    }
}

impl Reader {
    pub(super) fn new(substitutions: Substitutions) -> Self {
        Self {
            noted: Vec::new(),
            state: None,
            flows: Vec::new(),
            flow: None,
            unresolved: Vec::new(),
            names: BTreeMap::new(),
            machine_is_jsonata: false,
            has_jsonpath_states: false,
            surroundings: Surroundings::default(),
            substitutions,
        }
    }

    pub(super) fn problem(&mut self, rule: Rule, path: &str, message: &str, advice: &str) {
        self.problem_at(Place::Path, rule, path, message, advice);
    }

    pub(super) fn problem_at(
        &mut self,
        place: Place,
        rule: Rule,
        path: &str,
        message: &str,
        advice: &str,
    ) {
        let problem = Problem {
            rule,
            path: path.to_owned(),
            state: self.state.clone(),
            line: 0,
            column: 0,
            message: message.to_owned(),
            advice: advice.to_owned(),
        };
        self.noted.push(Noted { place, problem });
    }

    /// Whether the value is one that the deployment will give.
    pub(super) fn is_open(&self, value: &Value) -> bool {
        self.substitutions == Substitutions::Open && value.as_str().is_some_and(is_open)
    }

    /// Notes every field that is not one of `known`.
    pub(super) fn known_fields(&mut self, object: &Object<'_>, holder: Holder<'_>, known: &[&str]) {
        let mut told: Vec<String> = Vec::new();
        for field in object
            .fields
            .keys()
            .filter(|field| !known.contains(&field.as_str()))
        {
            let path = object.member(field);
            let words = holder.words;
            if let Some(instead) = fields::instead_of(field, words) {
                // Several that are written as one, such as those of a choice rule, are told once.
                if told.contains(&instead) {
                    continue;
                }
                self.problem(
                    Rule::JsonPathField,
                    &path,
                    &format!("{field} belongs to JSONPath, and this is JSONata"),
                    &instead,
                );
                told.push(instead);
                continue;
            }
            let message = format!("{words} has no field {field:?}");
            let types = if holder.is_state {
                fields::types_with(field)
            } else {
                Vec::new()
            };
            let advice = match nearest(field, known.iter().copied()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None if types.is_empty() => {
                    format!("remove it, or use one of {}", known.join(", "))
                }
                None => format!("remove it: it is for {}", types.join(", ")),
            };
            self.problem(Rule::UnknownField, &path, &message, &advice);
        }
    }

    pub(super) fn required<'v>(
        &mut self,
        object: &Object<'v>,
        field: &str,
        what: &str,
    ) -> Option<&'v Value> {
        let value = object.fields.get(field);
        if value.is_none() {
            let misspelt = misspelt(object, field);
            let advice = match misspelt {
                Some(misspelt) => format!("did you mean it by {misspelt:?}?"),
                None => format!("add {field}: {what}"),
            };
            // Of a misspelt field it is told that there is no such field; Type decides which there are.
            if misspelt.is_none() || field == "Type" {
                let message = format!("{field} is missing");
                self.problem(Rule::MissingField, &object.path, &message, &advice);
            }
        }
        value
    }

    pub(super) fn wrong_type(&mut self, path: &str, value: &Value, expected: &str) {
        self.unexpected(Rule::WrongType, path, value, expected);
    }

    /// A value that is not what the field takes, unless it is still to come.
    pub(super) fn unexpected(&mut self, rule: Rule, path: &str, value: &Value, expected: &str) {
        if self.is_open(value) {
            return;
        }
        let mut text = value.to_string();
        if let Some((end, _)) = text.char_indices().nth(60) {
            text.truncate(end);
            text.push('…');
        }
        self.problem(
            rule,
            path,
            &format!("{text} is not {expected}"),
            &format!("write {expected}"),
        );
    }

    /// An optional string that is no expression.
    pub(super) fn text(&mut self, object: &Object<'_>, field: &str) -> Option<String> {
        match object.fields.get(field)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.wrong_type(&object.member(field), other, "a string");
                None
            }
        }
    }

    pub(super) fn required_text(
        &mut self,
        object: &Object<'_>,
        field: &str,
        what: &str,
    ) -> Option<String> {
        self.required(object, field, what)?;
        self.text(object, field)
    }

    /// An optional list, read item by item; an item that cannot be read is noted and left out.
    pub(super) fn list<T>(
        &mut self,
        object: &Object<'_>,
        field: &str,
        mut read: impl FnMut(&mut Self, Object<'_>) -> Option<T>,
    ) -> Vec<T> {
        let path = object.member(field);
        let items = match object.fields.get(field) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.wrong_type(&path, other, "an array of objects");
                return Vec::new();
            }
        };
        // AWS takes an empty Retry or Catch as none.
        if items.is_empty() && !matches!(field, "Retry" | "Catch") {
            self.problem(
                Rule::EmptyList,
                &path,
                &format!("{field} is empty"),
                "add an entry",
            );
        }
        let mut read_items = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = crate::layout::item(&path, index);
            match item {
                Value::Object(fields) => read_items.extend(read(self, Object { path, fields })),
                other => self.wrong_type(&path, other, "an object"),
            }
        }
        read_items
    }

    /// An optional integer within bounds, which may not be an expression.
    pub(super) fn literal_integer(
        &mut self,
        object: &Object<'_>,
        field: &str,
        bounds: RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = object.fields.get(field)?;
        let number = value.as_u64().filter(|number| bounds.contains(number));
        if number.is_none() {
            let expected = format!("an integer from {} to {}", bounds.start(), bounds.end());
            self.unexpected(
                rule_of_number(value),
                &object.member(field),
                value,
                &expected,
            );
        }
        number
    }

    /// An optional field that is either an expression or what `read` takes.
    pub(super) fn value_or_expression<T>(
        &mut self,
        object: &Object<'_>,
        field: &str,
        rule: Rule,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<ValueOrExpression<T>> {
        let value = object.fields.get(field)?;
        let path = object.member(field);
        match self.expression_in(&path, value, Moment::Entered) {
            Found::NoExpression => {}
            Found::Wrong => return None,
            Found::Expression(expression) => {
                return Some(ValueOrExpression::Expression(expression));
            }
        }
        let literal = read(value);
        if literal.is_none() {
            if self.is_open(value) {
                return open_expression(value).map(ValueOrExpression::Expression);
            }
            let expected = format!("{expected}, or an expression {{% … %}}");
            self.unexpected(rule, &path, value, &expected);
        }
        literal.map(ValueOrExpression::Value)
    }

    pub(super) fn integer_or_expression(
        &mut self,
        object: &Object<'_>,
        field: &str,
        bounds: RangeInclusive<u64>,
    ) -> Option<ValueOrExpression<u64>> {
        let expected = format!("an integer from {} to {}", bounds.start(), bounds.end());
        let rule = object.fields.get(field).map(rule_of_number)?;
        self.value_or_expression(object, field, rule, &expected, |value| {
            value.as_u64().filter(|number| bounds.contains(number))
        })
    }
}

/// A field that there is not, and that was meant to be the given one.
pub(super) fn misspelt<'v>(object: &Object<'v>, meant: &str) -> Option<&'v str> {
    let fields = object.fields.keys().map(String::as_str);
    fields
        .filter(|field| *field != meant && !fields::is_known(field))
        .find(|field| nearest(field, [meant]).is_some())
}

/// The rule that a value breaks which is no number, or not the right one.
pub(super) fn rule_of_number(value: &Value) -> Rule {
    if value.is_number() {
        Rule::OutOfRange
    } else {
        Rule::WrongType
    }
}

/// What is still to come, as an expression that gives its text: nobody runs it.
fn open_expression(value: &Value) -> Option<Expression> {
    let text = serde_json::to_string(value).ok()?;
    Expression::parse(&text).ok()
}
