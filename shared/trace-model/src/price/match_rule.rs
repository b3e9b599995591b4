use std::sync::OnceLock;

use regex::Regex;
use serde::Deserialize;

/// What a provider's or a model's name must be. Text is compared in lower case, which the
/// table is written in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MatchRule {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(LazyRegex),
    Or(Vec<MatchRule>),
    And(Vec<MatchRule>),
    Not(Box<MatchRule>),
}

/// Compiled when first asked: of the table's few dozen a process meets one or two.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct LazyRegex {
    pattern: String,
    compiled: OnceLock<Option<Regex>>,
}

impl MatchRule {
    /// `name` is in lower case.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == text,
            Self::StartsWith(text) => name.starts_with(text.as_str()),
            Self::EndsWith(text) => name.ends_with(text.as_str()),
            Self::Contains(text) => name.contains(text.as_str()),
            Self::Regex(regex) => regex.compiled().is_some_and(|regex| regex.is_match(name)),
            Self::Or(rules) => rules.iter().any(|rule| rule.matches(name)),
            Self::And(rules) => rules.iter().all(|rule| rule.matches(name)),
            Self::Not(rule) => !rule.matches(name),
        }
    }

    /// Its patterns that do not compile: none, as a test of the embedded table shows.
    #[cfg(test)]
    pub(super) fn broken_patterns(&self) -> Vec<&str> {
        match self {
            Self::Regex(regex) if regex.compiled().is_none() => vec![&regex.pattern],
            Self::Or(rules) | Self::And(rules) => {
                rules.iter().flat_map(Self::broken_patterns).collect()
            }
            Self::Not(rule) => rule.broken_patterns(),
            _ => Vec::new(),
        }
    }
}

impl LazyRegex {
    fn compiled(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| Regex::new(&self.pattern).ok())
            .as_ref()
    }
}

impl From<String> for LazyRegex {
    fn from(pattern: String) -> Self {
        Self {
            pattern,
            compiled: OnceLock::new(),
        }
    }
}
