//! What is wrong with a definition, told to its author.

use std::fmt;

/// One thing that is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From the root, such as `States.Classify.Retry[0].MaxAttempts`; empty for the definition itself.
    pub path: String,
    /// The innermost state it is in.
    pub state: Option<String>,
    /// Both from 1, in the definition's text.
    pub line: usize,
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            column,
            message,
            advice,
            ..
        } = self;
        let path = if path.is_empty() {
            "the definition"
        } else {
            path
        };
        write!(formatter, "{line}:{column} {path}: {message}; {advice}")
    }
}

/// Everything that is wrong with a definition, in the order of its text; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        Self(problems)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
