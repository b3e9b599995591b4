//! One JSONata expression of a definition, parsed and looked through once.

use std::fmt;
use std::sync::Arc;

use jsonata_core::ast::AstNode;
use jsonata_core::parser;

use crate::inspection::{Inspection, PlainPath, plain_path};

/// What opens an expression in a string; nothing may stand before it.
pub const OPENING: &str = "{%";
/// What closes it; nothing may follow.
pub const CLOSING: &str = "%}";

/// A parsed expression. Clones share it.
#[derive(Clone)]
pub struct Expression {
    inner: Arc<Parsed>,
}

struct Parsed {
    source: String,
    ast: AstNode,
    inspection: Inspection,
    plain_path: Option<PlainPath>,
}

/// What is wrong with an expression's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at character {position}{}", near(.rest))]
pub struct SyntaxError {
    /// JSONata's own words, with its error code where it has one.
    pub message: String,
    /// Of the expression without its delimiters, the first being 1.
    pub position: usize,
    /// What stands there.
    pub rest: String,
}

impl Expression {
    /// Parses what stands between the delimiters.
    pub fn parse(source: &str) -> Result<Self, SyntaxError> {
        let source = source.trim();
        let ast = parser::parse(source).map_err(|error| locate(source, &error.to_string()))?;
        let inspection = Inspection::of(&ast);
        let plain_path = plain_path(&ast);
        Ok(Self {
            inner: Arc::new(Parsed {
                source: source.to_owned(),
                ast,
                inspection,
                plain_path,
            }),
        })
    }

    /// What stands between `{%` and `%}`, trimmed.
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    pub(crate) fn ast(&self) -> &AstNode {
        &self.inner.ast
    }

    pub(crate) fn inspection(&self) -> &Inspection {
        &self.inner.inspection
    }

    /// The variable and the fields below it, when the expression is no more than that.
    pub(crate) fn plain_path(&self) -> Option<&PlainPath> {
        self.inner.plain_path.as_ref()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.inner.source == other.inner.source
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{OPENING} {} {CLOSING}", self.inner.source)
    }
}

/// The parser does not say where it stopped. It reads from the left, so a text cut behind the token it
/// stumbled over gives the same error, and a text cut before it another one.
fn locate(source: &str, message: &str) -> SyntaxError {
    // A longer expression is not worth the square of its length.
    const LONGEST: usize = 2_000;
    let mut position = source.chars().count() + 1;
    let mut rest = "";
    let ends: Vec<usize> = source.char_indices().map(|(index, _)| index).collect();
    let at_end = message.contains("S0207")
        || message.contains("S0203")
        || message.to_lowercase().contains("end of");
    if ends.len() <= LONGEST && !at_end {
        for (index, end) in ends.iter().enumerate().rev() {
            if parser::parse(&source[..*end])
                .err()
                .is_none_or(|error| error.to_string() != message)
            {
                position = index + 1;
                rest = &source[*end..];
                break;
            }
        }
    }
    let rest: String = rest.chars().take(20).collect();
    SyntaxError {
        message: message.trim_end_matches('.').to_owned(),
        position,
        rest,
    }
}

fn near(rest: &str) -> String {
    if rest.is_empty() {
        ", its end".to_owned()
    } else {
        format!(": {rest}")
    }
}
