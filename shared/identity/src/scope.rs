use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a caller may do. The names are the API's: `GET /executions` needs `traces:read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    TracesRead,
    ContentRead,
    ArtifactsRead,
    TracesDelete,
    WorkflowsRead,
    WorkflowsRun,
    ScoresRead,
    ScoresWrite,
    FlagsWrite,
    TracesWrite,
}

/// The scopes of one token. Scopes that this application does not know are dropped on the
/// way in: a token may carry those of other services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the token lacks the scope {scope}: ask for a token that has it")]
pub struct MissingScope {
    pub scope: Scope,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown scope {found:?}; the scopes are {}", Scopes::all())]
pub struct UnknownScope {
    found: String,
}

impl Scope {
    pub const ALL: [Self; 10] = [
        Self::TracesRead,
        Self::ContentRead,
        Self::ArtifactsRead,
        Self::TracesDelete,
        Self::WorkflowsRead,
        Self::WorkflowsRun,
        Self::ScoresRead,
        Self::ScoresWrite,
        Self::FlagsWrite,
        Self::TracesWrite,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TracesRead => "traces:read",
            Self::ContentRead => "content:read",
            Self::ArtifactsRead => "artifacts:read",
            Self::TracesDelete => "traces:delete",
            Self::WorkflowsRead => "workflows:read",
            Self::WorkflowsRun => "workflows:run",
            Self::ScoresRead => "scores:read",
            Self::ScoresWrite => "scores:write",
            Self::FlagsWrite => "flags:write",
            Self::TracesWrite => "traces:write",
        }
    }
}

impl Scopes {
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl MissingScope {
    /// The `WWW-Authenticate` value of RFC 6750, section 3.
    pub fn challenge(&self) -> String {
        format!(
            "Bearer error=\"insufficient_scope\", scope=\"{}\"",
            self.scope
        )
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| UnknownScope {
            found: text.chars().take(80).collect(),
        })
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// Separated by spaces, as in a token's `scope`.
impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(formatter, "{separator}{scope}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_reads_back_from_its_name() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert_eq!(Scopes::all().iter().count(), Scope::ALL.len());
        let unknown = "traces:READ".parse::<Scope>().unwrap_err().to_string();
        assert!(unknown.contains("traces:read content:read"), "{unknown}");
    }
}
