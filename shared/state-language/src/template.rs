//! Payload templates: JSON in which a string `{% … %}` is a JSONata expression.

use indexmap::IndexMap;
use serde_json::Value;

use crate::Expression;

/// A payload template with its expressions parsed. A part without any is kept as it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    Literal(Value),
    Expression(Expression),
    Array(Vec<Template>),
    Object(IndexMap<String, Template>),
}
