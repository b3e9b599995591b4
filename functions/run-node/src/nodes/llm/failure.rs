use std::error::Error as StdError;
use std::time::Duration;

use genai::webc;
use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::error::{NodeError, excerpt};
use crate::network::{cause, refused};

/// What a provider's failure is called, by its status, or by what its error event says.
pub(super) fn provider_failure(model: &str, error: &genai::Error) -> NodeError {
    use genai::Error as E;
    match error {
        E::HttpError {
            status,
            body,
            headers,
            ..
        } => of_status(model, *status, headers, body),
        E::WebModelCall { webc_error, .. } | E::WebAdapterCall { webc_error, .. } => {
            of_web(model, webc_error)
        }
        E::WebStream { error, cause, .. } => of_stream(model, &**error, cause),
        E::ChatResponse { body, .. } => of_error_event(model, body),
        E::RequiresApiKey { .. } | E::NoAuthResolver { .. } | E::NoAuthData { .. } => {
            unauthorized(model, "it needs a key, and none is set".to_owned())
        }
        E::Resolver { resolver_error, .. } => match resolver_error {
            genai::resolver::Error::ApiKeyEnvNotFound { env_name } => {
                unauthorized(model, format!("it needs a key; set {env_name}"))
            }
            other => unauthorized(model, other.to_string()),
        },
        E::StreamParse { serde_error, .. } => malformed(model, &serde_error.to_string()),
        // Its own words repeat the whole request.
        E::ChatResponseGeneration { cause, .. } => malformed(model, cause),
        other => provider_error(model, other.to_string()),
    }
}

fn of_web(model: &str, error: &webc::Error) -> NodeError {
    match error {
        webc::Error::ResponseFailedStatus {
            status,
            body,
            headers,
        } => of_status(model, *status, headers, body),
        webc::Error::ResponseFailedNotJson { content_type, body } => malformed(
            model,
            &format!("expected JSON, found {content_type:?}: {}", excerpt(body)),
        ),
        webc::Error::ResponseFailedInvalidJson { body, cause } => {
            malformed(model, &format!("{cause}: {}", excerpt(body)))
        }
        webc::Error::Reqwest(error) => of_connection(model, error),
        webc::Error::JsonValueExt(error) => malformed(model, &error.to_string()),
    }
}

fn of_stream(
    model: &str,
    error: &(dyn StdError + Send + Sync + 'static),
    words: &str,
) -> NodeError {
    if let Some(error) = error.downcast_ref::<genai::Error>() {
        provider_failure(model, error)
    } else if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        of_connection(model, error)
    } else {
        NodeError::LlmInterrupted {
            model: model.to_owned(),
            problem: words.to_owned(),
        }
    }
}

fn of_status(model: &str, status: StatusCode, headers: &HeaderMap, body: &str) -> NodeError {
    let answer = excerpt(&error_message(body));
    match status.as_u16() {
        429 => NodeError::LlmRateLimited {
            model: model.to_owned(),
            retry_after_header: headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            answer,
        },
        401 | 403 => unauthorized(model, format!("status {status}: {answer}")),
        408 | 500.. => unavailable(model, format!("status {status}: {answer}")),
        _ => provider_error(model, format!("status {status}: {answer}")),
    }
}

fn of_connection(model: &str, error: &reqwest::Error) -> NodeError {
    let model = model.to_owned();
    if let Some(refused) = refused(error) {
        NodeError::LlmAddressRefused { model, refused }
    } else if error.is_timeout() {
        NodeError::LlmTimeout {
            model,
            after: Duration::ZERO,
        }
    } else if error.is_connect() || error.is_request() {
        unavailable(&model, cause(error))
    } else {
        NodeError::LlmInterrupted {
            model,
            problem: cause(error),
        }
    }
}

/// An error in the midst of a stream, whose status was 200.
fn of_error_event(model: &str, body: &Value) -> NodeError {
    let error = body.get("error").unwrap_or(body);
    let kind = ["type", "code", "status"]
        .iter()
        .find_map(|field| error.get(field)?.as_str())
        .unwrap_or_default()
        .to_lowercase();
    let words = error.get("message").and_then(Value::as_str);
    let answer = excerpt(&words.map_or_else(|| error.to_string(), str::to_owned));
    let is = |parts: &[&str]| parts.iter().any(|part| kind.contains(part));
    if is(&["rate_limit", "resource_exhausted", "insufficient_quota"]) {
        NodeError::LlmRateLimited {
            model: model.to_owned(),
            retry_after_header: None,
            answer,
        }
    } else if is(&[
        "overloaded",
        "unavailable",
        "server_error",
        "api_error",
        "timeout",
    ]) {
        unavailable(model, answer)
    } else {
        provider_error(model, answer)
    }
}

/// Providers put their words at `error.message`; else the body speaks for itself.
fn error_message(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    parsed
        .as_ref()
        .and_then(|body| {
            body.pointer("/error/message")
                .or_else(|| body.get("message"))
        })
        .and_then(Value::as_str)
        .map_or_else(|| body.to_owned(), str::to_owned)
}

fn malformed(model: &str, problem: &str) -> NodeError {
    provider_error(model, format!("malformed response: {problem}"))
}

fn provider_error(model: &str, problem: String) -> NodeError {
    NodeError::LlmProviderError {
        model: model.to_owned(),
        problem,
    }
}

fn unauthorized(model: &str, problem: String) -> NodeError {
    NodeError::LlmUnauthorized {
        model: model.to_owned(),
        problem,
    }
}

fn unavailable(model: &str, problem: String) -> NodeError {
    NodeError::LlmUnavailable {
        model: model.to_owned(),
        problem,
    }
}
