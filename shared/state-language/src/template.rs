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

impl Template {
    /// Every expression with its path below the template, such as `/order/items/0`.
    pub fn walk<'a>(&'a self, path: &str, visit: &mut dyn FnMut(&str, &'a Expression)) {
        match self {
            Self::Literal(_) => {}
            Self::Expression(expression) => visit(path, expression),
            Self::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.walk(&format!("{path}/{index}"), visit);
                }
            }
            Self::Object(fields) => {
                for (name, field) in fields {
                    field.walk(&format!("{path}/{name}"), visit);
                }
            }
        }
    }
}
