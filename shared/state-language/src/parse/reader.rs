//! Reads fields of JSON objects, and notes what is wrong with them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::fields;
use crate::layout::member;
use crate::spelling::nearest;
use crate::{Problem, ValueOrExpression};

use super::expressions::{Found, Moment};

/// The state of one reading.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
    /// The name of the state being read.
    pub(super) state: Option<String>,
    pub(super) flows: Vec<FlowRecord>,
    /// The flow being read.
    pub(super) flow: Option<usize>,
    /// State names of the whole machine, with the path of each.
    pub(super) names: BTreeMap<String, String>,
    pub(super) machine_is_jsonata: bool,
    pub(super) has_jsonpath_states: bool,
}

/// What is known of a flow for the checks that look at more than one state.
#[derive(Default)]
pub(super) struct FlowRecord {
    pub(super) parent: Option<usize>,
    pub(super) targets: Vec<Target>,
    /// Names of states at which the flow may end.
    pub(super) ends: Vec<String>,
    /// Variable names, with the path of the first assignment.
    pub(super) assigned: BTreeMap<String, String>,
    /// Variables read: name, path, state.
    pub(super) references: Vec<(String, String, Option<String>)>,
}

pub(super) struct Target {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) path: String,
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
    pub(super) fn problem(&mut self, path: &str, message: &str, advice: &str) {
        self.problems.push(Problem {
            path: path.to_owned(),
            state: self.state.clone(),
            line: 0,
            column: 0,
            message: message.to_owned(),
            advice: advice.to_owned(),
        });
    }

    /// Notes every field that is not one of `known`.
    pub(super) fn known_fields(&mut self, object: &Object<'_>, holder: Holder<'_>, known: &[&str]) {
        for field in object
            .fields
            .keys()
            .filter(|field| !known.contains(&field.as_str()))
        {
            let path = object.member(field);
            let words = holder.words;
            if let Some(instead) = fields::instead_of(field, words) {
                self.problem(
                    &path,
                    &format!("{field} belongs to JSONPath, and this is JSONata"),
                    &instead,
                );
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
            self.problem(&path, &message, &advice);
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
            self.problem(
                &object.path,
                &format!("{field} is missing"),
                &format!("add {field}: {what}"),
            );
        }
        value
    }

    pub(super) fn wrong_type(&mut self, path: &str, value: &Value, expected: &str) {
        let mut text = value.to_string();
        if let Some((end, _)) = text.char_indices().nth(60) {
            text.truncate(end);
            text.push('…');
        }
        self.problem(
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
                &path,
                &format!("{field} is empty"),
                "add an entry, or remove the field",
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
            self.wrong_type(&object.member(field), value, &expected);
        }
        number
    }

    /// An optional field that is either an expression or what `read` takes.
    pub(super) fn value_or_expression<T>(
        &mut self,
        object: &Object<'_>,
        field: &str,
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
            self.wrong_type(
                &path,
                value,
                &format!("{expected}, or an expression {{% … %}}"),
            );
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
        self.value_or_expression(object, field, &expected, |value| {
            value.as_u64().filter(|number| bounds.contains(number))
        })
    }
}
