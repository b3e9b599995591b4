//! Evaluates a state's fields at one moment of it: `$states`, the variables and
//! the environment are fixed, and the fields' types are held to.

use std::cell::{OnceCell, RefCell};
use std::ops::RangeInclusive;

use chrono::{DateTime, FixedOffset};
use indexmap::IndexMap;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorOptions};
use jsonata_core::value::JValue;
use serde_json::{Map, Value};

use crate::bounds;
use crate::error::{StateError, StateVisit, name};
use crate::inspection::{PlainPath, PlainStep, Read};
use crate::json::{self, NotJson};
use crate::step_functions::{self, Functions};
use crate::{Assign, Environment, Expression, Scope, Template, ValueOrExpression};

/// AWS: the longest a state may take or wait.
pub const MAX_SECONDS: u64 = 99_999_999;

/// An expression that takes longer is stopped.
const TIMEOUT_MILLISECONDS: u64 = 2_000;
/// Levels of the evaluator's recursion; a call takes about three.
const MAX_STACK_DEPTH: usize = 3_000;
const MAX_SEQUENCE_LENGTH: usize = 1_000_000;
/// Of a value quoted in an error's cause.
const MAX_QUOTED_CHARACTERS: usize = 200;

/// What `$states` holds.
#[derive(Clone, Copy)]
pub struct StatesVariable<'a> {
    /// The state's input.
    pub input: &'a Value,
    /// The result of a Task, Parallel or Map, once there is one.
    pub result: Option<&'a Value>,
    /// `{"Error": …, "Cause": …}`, in a catcher only.
    pub error_output: Option<&'a Value>,
    /// Makes the context object. It holds the execution's whole input, and few expressions
    /// read it: so it is made for those only.
    pub context: &'a dyn Fn() -> Value,
}

/// The fields of one state at one moment. Values that several expressions read whole are converted once.
/// It belongs to one thread, and an expression may take until its limit of 2 seconds.
pub struct Evaluation<'a> {
    visit: StateVisit<'a>,
    states: StatesVariable<'a>,
    scope: &'a Scope,
    functions: Functions,
    context: OnceCell<Value>,
    converted: RefCell<Vec<(String, JValue)>>,
}

impl<'a> Evaluation<'a> {
    pub fn new(
        visit: StateVisit<'a>,
        states: StatesVariable<'a>,
        scope: &'a Scope,
        environment: Environment,
    ) -> Self {
        Self {
            visit,
            states,
            scope,
            functions: Functions::new(environment),
            context: OnceCell::new(),
            converted: RefCell::new(Vec::new()),
        }
    }

    /// The value of a template. `field` is its name in the state, such as `Output` or `Catch/0/Output`.
    pub fn template(&self, field: &str, template: &Template) -> Result<Value, StateError> {
        match template {
            Template::Literal(value) => Ok(value.clone()),
            Template::Expression(expression) => self.expression(field, expression),
            Template::Array(items) => {
                let items = items.iter().enumerate();
                items
                    .map(|(index, item)| self.template(&format!("{field}/{index}"), item))
                    .collect()
            }
            Template::Object(fields) => {
                let mut object = Map::with_capacity(fields.len());
                for (key, value) in fields {
                    object.insert(
                        key.clone(),
                        self.template(&format!("{field}/{key}"), value)?,
                    );
                }
                Ok(Value::Object(object))
            }
        }
    }

    /// The value of an expression: defined, and no function.
    pub fn expression(&self, field: &str, expression: &Expression) -> Result<Value, StateError> {
        match self.walk(expression) {
            Walk::Value(value) => return Ok(json::copy(value)),
            Walk::Undefined => return Err(self.undefined(field, expression)),
            Walk::NeedsEvaluator => {}
        }
        let result = self.run(expression).map_err(|said| {
            self.error(
                field,
                expression,
                &format!("threw an error during evaluation. {}", said.trim_end()),
            )
        })?;
        match json::from_jsonata(&result) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.undefined(field, expression)),
            Err(problem) => Err(self.error(
                field,
                expression,
                match problem {
                    NotJson::Function => "returned an unsupported result type.",
                    NotJson::TooDeep => "returned a value that is nested too deeply to be JSON.",
                    NotJson::TooLarge => "returned a value that is too large for a state.",
                    NotJson::NotFinite => {
                        "returned a number that is not finite, which JSON does not have."
                    }
                },
            )),
        }
    }

    /// A `Condition`.
    pub fn boolean(
        &self,
        field: &str,
        value: &ValueOrExpression<bool>,
    ) -> Result<bool, StateError> {
        self.typed(field, value, "boolean", Value::as_bool)
    }

    /// `Seconds`, `TimeoutSeconds` or `HeartbeatSeconds`: from `at_least` to [`MAX_SECONDS`].
    pub fn seconds(
        &self,
        field: &str,
        value: &ValueOrExpression<u64>,
        at_least: u64,
    ) -> Result<u64, StateError> {
        let bounds: RangeInclusive<u64> = at_least..=MAX_SECONDS;
        let expected = format!("integer from {at_least} to {MAX_SECONDS}");
        self.typed(field, value, &expected, |value| {
            value.as_u64().filter(|seconds| bounds.contains(seconds))
        })
    }

    /// A count: an integer, 0 or more.
    pub fn integer(&self, field: &str, value: &ValueOrExpression<u64>) -> Result<u64, StateError> {
        self.typed(field, value, "non-negative integer", Value::as_u64)
    }

    /// A percentage: from 0 to 100.
    pub fn percentage(
        &self,
        field: &str,
        value: &ValueOrExpression<f64>,
    ) -> Result<f64, StateError> {
        self.typed(field, value, "number from 0 to 100", |value| {
            value
                .as_f64()
                .filter(|number| (0.0..=100.0).contains(number))
        })
    }

    /// `Error` and `Cause` of a Fail.
    pub fn string(
        &self,
        field: &str,
        value: &ValueOrExpression<String>,
    ) -> Result<String, StateError> {
        self.typed(field, value, "string", |value| {
            value.as_str().map(str::to_owned)
        })
    }

    /// `Timestamp` of a Wait, as [`timestamp`] reads it.
    pub fn timestamp(
        &self,
        field: &str,
        value: &ValueOrExpression<DateTime<FixedOffset>>,
    ) -> Result<DateTime<FixedOffset>, StateError> {
        let expression = match value {
            ValueOrExpression::Value(timestamp) => return Ok(*timestamp),
            ValueOrExpression::Expression(expression) => expression,
        };
        match self.expression(field, expression)? {
            Value::String(text) => timestamp(&text).ok_or_else(|| {
                let cause = format!(
                    "The {field} field cannot be parsed as an ISO-8601 extended offset date-time format string: {text}"
                );
                StateError::at(self.visit, name::QUERY_EVALUATION_ERROR, &cause).in_field(field)
            }),
            other => Err(self.unexpected(field, expression, "string", &other)),
        }
    }

    /// `Items` of a Map, or the state's input where the state has none.
    pub fn items(&self, items: Option<&Template>) -> Result<Vec<Value>, StateError> {
        let value = match items {
            Some(template) => self.template("Items", template)?,
            None => json::copy(self.states.input),
        };
        match (value, items) {
            (Value::Array(items), _) => Ok(items),
            (other, Some(Template::Expression(expression))) => {
                Err(self.unexpected("Items", expression, "array", &other))
            }
            (other, _) => {
                let what = if items.is_some() {
                    "Items"
                } else {
                    "Map state input"
                };
                let cause = format!("{what} must be an array but was: {}", quoted(&other));
                Err(StateError::at(
                    self.visit,
                    name::QUERY_EVALUATION_ERROR,
                    &cause,
                ))
            }
        }
    }

    /// New values for variables, all computed from the old ones; [`Scope::assign`] sets them.
    /// `field` is `Assign`, `Choices/0/Assign` or `Catch/0/Assign`.
    pub fn assign(
        &self,
        field: &str,
        assign: &Assign,
    ) -> Result<IndexMap<String, Value>, StateError> {
        assign
            .0
            .iter()
            .map(|(variable, template)| {
                Ok((
                    variable.clone(),
                    self.template(&format!("{field}/{variable}"), template)?,
                ))
            })
            .collect()
    }

    /// An expression that only walks down objects needs no evaluator.
    fn walk(&self, expression: &Expression) -> Walk<'_> {
        let Some(PlainPath { variable, steps }) = expression.plain_path() else {
            return Walk::NeedsEvaluator;
        };
        let (mut value, steps) = if variable == "states" {
            match steps.split_first() {
                Some((PlainStep { field, index: None }, steps)) => {
                    (self.states_field(field), steps)
                }
                _ => return Walk::NeedsEvaluator,
            }
        } else {
            match self.scope.get(variable) {
                // It may still be the name of a function.
                None => return Walk::NeedsEvaluator,
                found => (found, steps.as_slice()),
            }
        };
        for PlainStep { field, index } in steps {
            value = match value {
                Some(Value::Object(object)) => object.get(field),
                // JSONata maps over it.
                Some(Value::Array(_)) => return Walk::NeedsEvaluator,
                _ => None,
            };
            value = match (value, index) {
                (_, None) => value,
                (Some(Value::Array(items)), Some(index)) => match items.get(*index) {
                    // JSONata flattens, or not, by rules that are its own.
                    Some(Value::Array(_)) => return Walk::NeedsEvaluator,
                    item => item,
                },
                // A value stands for the array that holds it.
                (single, Some(0)) => single,
                (_, Some(_)) => None,
            };
        }
        value.map_or(Walk::Undefined, Walk::Value)
    }

    fn run(&self, expression: &Expression) -> Result<JValue, String> {
        let inspection = expression.inspection();
        let mut context = Context::new();
        for (variable, read) in &inspection.reads {
            if variable == "states" {
                context.bind(variable.clone(), self.states_value(read));
            } else if let Some(value) = self.scope.get(variable) {
                context.bind(variable.clone(), self.convert(variable, value, read));
            }
        }
        let options = EvaluatorOptions {
            timeout_ms: Some(TIMEOUT_MILLISECONDS),
            cancel: None,
            max_stack_depth: Some(MAX_STACK_DEPTH),
            max_sequence_length: Some(MAX_SEQUENCE_LENGTH),
        };
        let mut evaluator = Evaluator::with_options(context, options);
        for function in step_functions::NAMES {
            if inspection.calls.contains(function) || inspection.reads.contains_key(function) {
                self.functions
                    .register(&mut evaluator, function)
                    .map_err(|error| error.message().to_owned())?;
            }
        }
        if expression.is_guarded() {
            bounds::register(&mut evaluator).map_err(|error| error.message().to_owned())?;
        }
        evaluator
            .evaluate(expression.ast(), &JValue::Undefined)
            .map_err(|error| error.message().to_owned())
    }

    fn states_field(&self, field: &str) -> Option<&Value> {
        match field {
            "input" => Some(self.states.input),
            "result" => self.states.result,
            "errorOutput" => self.states.error_output,
            "context" => Some(self.context.get_or_init(self.states.context)),
            _ => None,
        }
    }

    fn states_value(&self, read: &Read) -> JValue {
        const FIELDS: [&str; 4] = ["input", "result", "errorOutput", "context"];
        let whole = Read {
            whole: true,
            fields: IndexMap::new(),
        };
        let fields = FIELDS.into_iter().filter_map(|field| {
            let read = if read.whole {
                &whole
            } else {
                read.fields.get(field)?
            };
            Some((
                field.to_owned(),
                self.convert(&format!("states.{field}"), self.states_field(field)?, read),
            ))
        });
        JValue::object(fields.collect::<IndexMap<String, JValue>>())
    }

    fn convert(&self, key: &str, value: &Value, read: &Read) -> JValue {
        if let Some((_, converted)) = self.converted.borrow().iter().find(|(name, _)| name == key) {
            return converted.clone();
        }
        let converted = json::to_jsonata_read(value, read);
        if read.whole {
            self.converted
                .borrow_mut()
                .push((key.to_owned(), converted.clone()));
        }
        converted
    }

    fn typed<T: Clone>(
        &self,
        field: &str,
        value: &ValueOrExpression<T>,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, StateError> {
        match value {
            ValueOrExpression::Value(value) => Ok(value.clone()),
            ValueOrExpression::Expression(expression) => {
                let value = self.expression(field, expression)?;
                read(&value).ok_or_else(|| self.unexpected(field, expression, expected, &value))
            }
        }
    }

    fn undefined(&self, field: &str, expression: &Expression) -> StateError {
        self.error(field, expression, "returned nothing (undefined).")
    }

    fn unexpected(
        &self,
        field: &str,
        expression: &Expression,
        expected: &str,
        value: &Value,
    ) -> StateError {
        let (actual, value) = (type_name(value), quoted(value));
        self.error(
            field,
            expression,
            &format!("returned an unexpected result type. Expected '{expected}', but was '{actual}' for value: {value}"),
        )
    }

    fn error(&self, field: &str, expression: &Expression, what: &str) -> StateError {
        let source = expression.source();
        let what =
            format!("The JSONata expression '{source}' specified for the field '{field}' {what}");
        StateError::at(self.visit, name::QUERY_EVALUATION_ERROR, &what).in_field(field)
    }
}

/// RFC 3339 with an upper-case T, and an upper-case Z where there is no offset.
pub fn timestamp(text: &str) -> Option<DateTime<FixedOffset>> {
    // Where RFC 3339 leaves both open, the States Language does not.
    if text.contains(['t', 'z', ' ']) {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok()
}

/// What walking down objects comes to.
enum Walk<'a> {
    Value(&'a Value),
    Undefined,
    NeedsEvaluator,
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn quoted(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_QUOTED_CHARACTERS) {
        None => text,
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}
