use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use lambda_runtime::Diagnostic;
use redaction::Policy;
use thiserror::Error;
use trace_store::StoreError;
use tracer::NodeFailure;

const APPROVAL_PAYLOAD: &str = "the state's Resource must be \
    arn:aws:states:::lambda:invoke.waitForTaskToken, and {% $states.context.Task.Token %} must \
    stand in its Payload as task_token";

/// Why a node failed. [`NodeError::name`] is what a `Catch` or `Retry` matches;
/// docs/reference/node-errors.md lists them.
#[derive(Error)]
#[non_exhaustive]
pub enum NodeError {
    #[error("{problem}")]
    InvalidPayload { problem: String },
    #[error("there is no node kind {found:?}{}; there are: {}", did_you_mean(*suggestion), kinds.join(", "))]
    UnknownKind {
        found: String,
        suggestion: Option<&'static str>,
        kinds: Vec<&'static str>,
    },
    #[error("{}{problem}", at_field(field))]
    InvalidParameters { field: String, problem: String },
    #[error("template {template}{}: {problem}", at_line(*line))]
    InvalidTemplate {
        template: String,
        line: Option<usize>,
        problem: String,
    },

    #[error("{}: {problem}", at_reference(place))]
    InvalidReference { place: String, problem: String },
    #[error(
        "{}: nothing is there: it expired, or was deleted",
        at_reference(place)
    )]
    ReferenceGone { place: String },
    #[error("{}: what is there is another value: {problem}", at_reference(place))]
    ReferenceAltered {
        place: String,
        problem: &'static str,
    },
    #[error(
        "the references of this task hold {bytes} bytes, and a node takes {limit} in all: give it fewer of them"
    )]
    ReferencesTooLarge { bytes: u64, limit: u64 },
    #[error("the answer has {bytes} bytes, and {limit} can be stored by reference: ask for less")]
    OutputTooLarge { bytes: u64, limit: u64 },
    #[error("the store cannot be reached or is overloaded: {problem}")]
    StoreUnavailable { problem: String },
    #[error("the store refused {what}: {problem}")]
    StoreFailed { what: &'static str, problem: String },

    #[error(
        "the artifact {name:?} has {bytes} bytes, and an artifact may have {limit}: store it in parts"
    )]
    ArtifactTooLarge {
        name: String,
        bytes: u64,
        limit: u64,
    },
    #[error("{problem}: {}", APPROVAL_PAYLOAD)]
    ApprovalNoTaskToken { problem: &'static str },

    #[error("{model} answered 429: too many requests{}: {answer}", retry_after(retry_after_header.as_ref()))]
    LlmRateLimited {
        model: String,
        /// As the provider wrote it: seconds, or a date.
        retry_after_header: Option<String>,
        answer: String,
    },
    #[error("{model} did not answer in {after:?}")]
    LlmTimeout { model: String, after: Duration },
    #[error("{model} cannot be reached or is overloaded: {problem}")]
    LlmUnavailable { model: String, problem: String },
    #[error("{model} refused the credentials: {problem}")]
    LlmUnauthorized { model: String, problem: String },
    #[error("{model} refused the request or answered what is not its protocol: {problem}")]
    LlmProviderError { model: String, problem: String },
    #[error("the answer of {model} broke off: {problem}")]
    LlmInterrupted { model: String, problem: String },
    #[error("{model} withheld its answer: {reason}")]
    LlmContentFiltered { model: String, reason: String },
    #[error("the answer of {model} does not fit the schema: {problem}")]
    LlmInvalidOutput { model: String, problem: String },
    #[error("{model} is at {refused}")]
    LlmAddressRefused {
        model: String,
        refused: AddressRefused,
    },

    #[error("{method} {url} answered {status}: {body}")]
    HttpStatus {
        method: String,
        url: String,
        status: u16,
        body: String,
    },
    #[error("{method} {url} did not end in {after:?}")]
    HttpTimeout {
        method: String,
        url: String,
        after: Duration,
    },
    #[error("{url} is at {refused}")]
    HttpAddressRefused {
        url: String,
        refused: AddressRefused,
    },
    #[error(
        "{method} {url} answered more than {limit} bytes; raise max_response_bytes if that is right"
    )]
    HttpResponseTooLarge {
        method: String,
        url: String,
        limit: u64,
    },
    #[error("{method} {url}: {problem}")]
    HttpConnectionFailed {
        method: String,
        url: String,
        problem: String,
    },
}

/// An address that a workflow's author has no business with.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{address}, {reason}: refused. Whoever runs Stepscope may allow host:port")]
pub struct AddressRefused {
    pub address: IpAddr,
    pub reason: &'static str,
}

impl NodeError {
    /// Stable: a state machine matches it.
    pub fn name(&self) -> String {
        let name = match self {
            Self::InvalidPayload { .. } => "Node.InvalidPayload",
            Self::UnknownKind { .. } => "Node.UnknownKind",
            Self::InvalidParameters { .. } => "Node.InvalidParameters",
            Self::InvalidTemplate { .. } => "Node.InvalidTemplate",
            Self::InvalidReference { .. } => "Reference.Invalid",
            Self::ReferenceGone { .. } => "Reference.Gone",
            Self::ReferenceAltered { .. } => "Reference.Altered",
            Self::ReferencesTooLarge { .. } => "Reference.TooLarge",
            Self::OutputTooLarge { .. } => "Node.OutputTooLarge",
            Self::StoreUnavailable { .. } => "Node.StoreUnavailable",
            Self::StoreFailed { .. } => "Node.StoreFailed",
            Self::ArtifactTooLarge { .. } => "Artifact.TooLarge",
            Self::ApprovalNoTaskToken { .. } => "Approval.NoTaskToken",
            Self::LlmRateLimited { .. } => "Llm.RateLimited",
            Self::LlmTimeout { .. } => "Llm.Timeout",
            Self::LlmUnavailable { .. } => "Llm.Unavailable",
            Self::LlmUnauthorized { .. } => "Llm.Unauthorized",
            Self::LlmProviderError { .. } => "Llm.ProviderError",
            Self::LlmInterrupted { .. } => "Llm.Interrupted",
            Self::LlmContentFiltered { .. } => "Llm.ContentFiltered",
            Self::LlmInvalidOutput { .. } => "Llm.InvalidOutput",
            Self::LlmAddressRefused { .. } => "Llm.AddressRefused",
            Self::HttpStatus { status, .. } => return format!("Http.Status{status}"),
            Self::HttpTimeout { .. } => "Http.Timeout",
            Self::HttpAddressRefused { .. } => "Http.AddressRefused",
            Self::HttpResponseTooLarge { .. } => "Http.ResponseTooLarge",
            Self::HttpConnectionFailed { .. } => "Http.ConnectionFailed",
        };
        name.to_owned()
    }

    /// For a failed call of the store.
    pub(crate) fn store(what: &'static str, error: &StoreError) -> Self {
        let problem = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        if error.is_retryable() {
            Self::StoreUnavailable { problem }
        } else {
            Self::StoreFailed { what, problem }
        }
    }

    pub(crate) fn parameter(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidParameters {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// The name alone: `lambda_runtime` logs a handler's error so, and the words may hold what a
/// log must not.
impl fmt::Debug for NodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name())
    }
}

impl NodeFailure for NodeError {
    fn error_type(&self) -> String {
        self.name()
    }

    fn message(&self) -> String {
        self.to_string()
    }
}

impl From<NodeError> for Diagnostic {
    fn from(error: NodeError) -> Self {
        Self {
            error_type: error.name(),
            error_message: error.to_string(),
        }
    }
}

pub(crate) fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

fn at_field(field: &str) -> String {
    if field.is_empty() || field == "." {
        "parameters: ".to_owned()
    } else {
        format!("parameters.{field}: ")
    }
}

fn at_reference(place: &str) -> String {
    format!("the stepscope_reference at {place}")
}

fn at_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

fn retry_after(header: Option<&String>) -> String {
    header.map_or_else(String::new, |value| format!(" (retry after {value})"))
}

/// The beginning of a body, for a message: what is left out says so. Masked before it is cut,
/// since what the trace masks later are the pieces that it can still tell for secrets.
pub(crate) fn excerpt(body: &str) -> String {
    const LONGEST: usize = 500;
    let body = body.trim();
    if body.is_empty() {
        return "(an empty body)".to_owned();
    }
    let masked = Policy::standard().redact_text(body);
    match masked.beginning(LONGEST) {
        Some(beginning) => format!("{beginning}… ({} bytes in all)", body.len()),
        None => masked.into_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        assert_eq!(excerpt(body), expected);
    }

    #[test]
    fn an_excerpt_is_short_and_holds_no_part_of_a_secret() {
        check(" \n", "(an empty body)");
        check(" no such customer\n", "no such customer");
        let words = "x".repeat(490);
        check(
            &format!("{words} AKIAIOSFODNN7EXAMPLE"),
            &format!("{words} … (511 bytes in all)"),
        );
        check(
            &format!(r#"{{"credentials": {{"code": "hunter22"}}, "more": "{words}"}}"#),
            &format!(
                r#"{{"credentials": {{"code": "[REDACTED:named-secret]"}}, "more": "{}… (539 bytes in all)"#,
                "x".repeat(438)
            ),
        );
    }
}
