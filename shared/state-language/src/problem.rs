//! What is wrong with a definition, told to its author.

use std::fmt;

use crate::{Rule, Severity};

/// One thing that is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What it breaks; decides the severity.
    pub rule: Rule,
    /// From the root, such as `States.Classify.Retry[0].MaxAttempts`; empty for the definition itself.
    pub path: String,
    /// The innermost state it is in.
    pub state: Option<String>,
    /// Both from 1, in the definition's text. Inside an expression it is the place of what is wrong.
    pub line: usize,
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl Problem {
    pub fn severity(&self) -> Severity {
        self.rule.severity()
    }

    pub fn is_error(&self) -> bool {
        self.severity() == Severity::Error
    }

    /// The path in words: an empty one is `the definition`.
    pub fn place(&self) -> &str {
        if self.path.is_empty() {
            "the definition"
        } else {
            &self.path
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            line,
            column,
            message,
            advice,
            ..
        } = self;
        let (severity, place, rule) = (rule.severity().name(), self.place(), rule.name());
        write!(
            formatter,
            "{line}:{column}: {severity}: {place}: {message}; {advice} [{rule}]"
        )
    }
}

/// The errors of a definition, in the order of its text; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `None` when there is no error among them.
    pub(crate) fn errors(mut problems: Vec<Problem>) -> Option<Self> {
        problems.retain(Problem::is_error);
        (!problems.is_empty()).then_some(Self(problems))
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
