//! One JSONata expression of a definition, parsed and looked through once.

use std::fmt;
use std::sync::Arc;

use jsonata_core::ast::AstNode;
use jsonata_core::parser;

use crate::bounds;
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
    /// The same with what bounds it, where it needs bounds.
    guarded: Option<AstNode>,
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
        let guarded = bounds::guarded(&ast);
        Ok(Self {
            inner: Arc::new(Parsed {
                source: source.to_owned(),
                ast,
                guarded,
                inspection,
                plain_path,
            }),
        })
    }

    /// What stands between `{%` and `%}`, trimmed.
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// What is evaluated.
    pub(crate) fn ast(&self) -> &AstNode {
        self.inner.guarded.as_ref().unwrap_or(&self.inner.ast)
    }

    /// Whether the evaluator must know the guards of [`bounds`].
    pub(crate) fn is_guarded(&self) -> bool {
        self.inner.guarded.is_some()
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
        message: as_written(message),
        position,
        rest,
    }
}

/// The parser's names of tokens, as they are written.
fn as_written(message: &str) -> String {
    const TOKENS: [(&str, &str); 10] = [
        ("LeftParen", "("),
        ("RightParen", ")"),
        ("LeftBrace", "{"),
        ("RightBrace", "}"),
        ("LeftBracket", "["),
        ("RightBracket", "]"),
        ("Comma", ","),
        ("Colon", ":"),
        ("Semicolon", ";"),
        ("Ampersand", "&"),
    ];
    // What it found instead stands at the position, and reads better there.
    let message = message.strip_prefix("Invalid syntax: ").unwrap_or(message);
    let message = message.split(", got ").next().unwrap_or(message);
    let message = match message.split_once("Syntax error: ") {
        Some((code, _)) => format!("{code}this does not follow on what is before it"),
        None => message.trim_end_matches('.').to_owned(),
    };
    let words = message.split(' ').map(|word| {
        let written = TOKENS.iter().find(|(name, _)| *name == word);
        written.map_or_else(|| word.to_owned(), |(_, written)| format!("`{written}`"))
    });
    words.collect::<Vec<_>>().join(" ")
}

fn near(rest: &str) -> String {
    if rest.is_empty() {
        ", its end".to_owned()
    } else {
        format!(": {rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(Expression::parse(source).unwrap_err().to_string(), expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        check(
            "1 + (2",
            "S0203: Expected `)` before end of expression, at character 7, its end",
        );
        check("[1 2]", "S0202: Expected `]`, at character 4: 2]");
        check(
            "$map([1], function($x { $x })",
            "S0202: Expected `)`, at character 23: { $x })",
        );
        check(
            "'é' & & 'y'",
            "S0211: The symbol `&` cannot be used as a unary operator, at character 7: & 'y'",
        );
        check(
            "$states.input.a b",
            "S0201: this does not follow on what is before it, at character 17: b",
        );
    }
}
