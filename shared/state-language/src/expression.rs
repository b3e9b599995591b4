//! One JSONata expression of a definition, parsed and checked once.

use std::fmt;
use std::sync::Arc;

use jsonata_core::ast::AstNode;

/// A parsed expression. Clones share it.
#[derive(Clone)]
pub struct Expression {
    inner: Arc<Parsed>,
}

struct Parsed {
    source: String,
    ast: AstNode,
}

impl Expression {
    /// What stands between `{%` and `%}`, trimmed.
    pub fn source(&self) -> &str {
        &self.inner.source
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.inner.source == other.inner.source
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{% {} %}}", self.inner.source)
    }
}
