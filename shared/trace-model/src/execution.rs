use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::TraceId;

/// `arn:aws:states:REGION:ACCOUNT:execution:MACHINE:NAME`, or an Express run's or a
/// Distributed Map child's longer form. What names a run everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutionArn {
    arn: String,
    id_start: usize,
}

/// What follows `:execution:` or `:express:` in the ARN: `MACHINE:NAME`; or, for spans that
/// arrived without an execution, their trace id in 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutionId(String);

#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "not an execution ARN: {found:?}; expected arn:aws:states:REGION:ACCOUNT:execution:MACHINE:NAME"
)]
pub struct InvalidExecutionArn {
    found: String,
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("not an execution id: {found:?}; expected MACHINE:NAME, or a trace id of 32 hex digits")]
pub struct InvalidExecutionId {
    found: String,
}

/// Longer than any ARN Step Functions makes; bounds what a caller can have us hash.
const LONGEST: usize = 2048;

impl ExecutionArn {
    pub fn parse(text: &str) -> Result<Self, InvalidExecutionArn> {
        let invalid = || InvalidExecutionArn {
            found: text.chars().take(200).collect(),
        };
        let mut parts = text.splitn(7, ':');
        let prefix = [parts.next(), parts.next(), parts.next()];
        let partition_fits =
            prefix[1].is_some_and(|partition| partition == "aws" || partition.starts_with("aws-"));
        let region = parts.next().unwrap_or_default();
        let account = parts.next().unwrap_or_default();
        let resource = parts.next().unwrap_or_default();
        let id = parts.next().unwrap_or_default();
        let fits = prefix[0] == Some("arn")
            && partition_fits
            && prefix[2] == Some("states")
            && !region.is_empty()
            && !account.is_empty()
            && matches!(resource, "execution" | "express")
            && text.len() <= LONGEST
            && text.chars().all(|character| !character.is_control());
        let (machine, name) = id.split_once(':').unwrap_or_default();
        if !fits || machine.is_empty() || name.is_empty() {
            return Err(invalid());
        }
        Ok(Self {
            id_start: text.len() - id.len(),
            arn: text.to_owned(),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.arn
    }

    pub fn execution_id(&self) -> ExecutionId {
        ExecutionId(self.arn[self.id_start..].to_owned())
    }

    /// The state machine's name; for a Distributed Map child without the `/label`.
    pub fn workflow(&self) -> &str {
        let id = &self.arn[self.id_start..];
        let machine = id.split(':').next().unwrap_or(id);
        machine.split('/').next().unwrap_or(machine)
    }

    /// `arn:aws:states:REGION:ACCOUNT`, shared by all runs of an account and region.
    pub fn region_and_account(&self) -> (&str, &str) {
        let mut parts = self.arn.split(':').skip(3);
        (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        )
    }
}

impl ExecutionId {
    pub fn parse(text: &str) -> Result<Self, InvalidExecutionId> {
        let (machine, name) = text.split_once(':').unwrap_or_default();
        let named = !machine.is_empty() && !name.is_empty();
        let trace =
            text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let printable = text.chars().all(|character| !character.is_control());
        if (named || trace) && printable && text.len() <= LONGEST {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidExecutionId {
                found: text.chars().take(200).collect(),
            })
        }
    }

    /// Of spans that have no execution.
    pub fn of_trace(trace_id: TraceId) -> Self {
        Self(trace_id.to_string())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The standard execution's ARN; `None` for the id of a trace without an execution.
    pub fn to_arn(&self, region: &str, account: &str) -> Option<ExecutionArn> {
        let arn = format!("arn:aws:states:{region}:{account}:execution:{}", self.0);
        ExecutionArn::parse(&arn).ok()
    }
}

impl fmt::Display for ExecutionArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.arn)
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for ExecutionArn {
    type Error = InvalidExecutionArn;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ExecutionArn> for String {
    fn from(arn: ExecutionArn) -> Self {
        arn.arn
    }
}

impl TryFrom<String> for ExecutionId {
    type Error = InvalidExecutionId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ExecutionId> for String {
    fn from(id: ExecutionId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arn: &str, id: &str, workflow: &str) {
        let parsed = ExecutionArn::parse(arn).unwrap();
        assert_eq!(parsed.execution_id().as_str(), id);
        assert_eq!(parsed.workflow(), workflow);
    }

    #[test]
    fn every_kind_of_arn_has_an_id() {
        check(
            "arn:aws:states:us-east-1:123456789012:execution:triage:run-1",
            "triage:run-1",
            "triage",
        );
        check(
            "arn:aws:states:us-east-1:123456789012:execution:triage/label:8a-b",
            "triage/label:8a-b",
            "triage",
        );
        check(
            "arn:aws-cn:states:cn-north-1:123456789012:express:triage:run:5f",
            "triage:run:5f",
            "triage",
        );
    }

    #[test]
    fn what_is_no_execution_is_refused() {
        for bad in [
            "",
            "triage:run-1",
            "arn:aws:states:us-east-1:1:stateMachine:triage",
            "arn:aws:states:us-east-1:1:execution:triage",
            "arn:aws:states:us-east-1:1:execution::x",
            "arn:aws:lambda:us-east-1:1:execution:a:b",
            "arn:aws:states:us-east-1:1:execution:a:b\n",
        ] {
            assert!(ExecutionArn::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_gives_back_its_arn() {
        let id = ExecutionId::parse("triage:run-1").unwrap();
        let arn = id.to_arn("us-east-1", "000000000000").unwrap();
        assert_eq!(arn.execution_id(), id);
        let trace = ExecutionId::parse("0123456789abcdef0123456789abcdef").unwrap();
        assert!(trace.to_arn("us-east-1", "000000000000").is_none());
        assert_eq!(
            ExecutionId::of_trace(trace.as_str().parse().unwrap()),
            trace
        );
        assert!(ExecutionId::parse("0123456789ABCDEF0123456789abcdef").is_err());
    }
}
