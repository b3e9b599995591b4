//! Lambda's Invoke API, as a client.

use std::error::Error as _;

use serde_json::Value;
use url::Url;

use super::{InvocationRequest, failure};
use crate::interpreter::ErrorAndCause;

/// Bytes a function may answer with: Lambda's quota for synchronous calls, 6 MB.
const RESPONSE_LIMIT: usize = 6 * 1024 * 1024;

/// `POST {endpoint}/2015-03-31/functions/{name}/invocations`.
pub(super) async fn invoke(
    client: &reqwest::Client,
    endpoint: &Url,
    request: InvocationRequest,
) -> Result<Value, ErrorAndCause> {
    let mut url = endpoint.clone();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().extend(["2015-03-31", "functions"]);
            path.push(&request.function_name).push("invocations");
        }
        Err(()) => {
            return Err(failure(
                "Lambda.SdkClientException",
                format!("the Lambda endpoint {endpoint} is no http:// or https:// URL"),
            ));
        }
    }
    let unreachable = |error: &reqwest::Error| {
        let reason = error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string);
        failure(
            "Lambda.SdkClientException",
            format!("the Lambda endpoint {endpoint} did not answer: {reason}. Is it running?"),
        )
    };
    let sent = client.post(url).json(&request.payload).send().await;
    let mut response = sent.map_err(|error| unreachable(&error))?;
    let status = response.status();
    let header = |name| {
        let value = response.headers().get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    let function_error = header("x-amz-function-error");
    let error_type = header("x-amzn-errortype");

    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unreachable(&error))?
    {
        if body.len() + chunk.len() > RESPONSE_LIMIT {
            return Err(failure(
                "Function.ResponseSizeTooLarge",
                format!("the function answered with more than {RESPONSE_LIMIT} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        // Emulators answer 500 with the function's own error, where Lambda answers 200 and
        // says so in a header.
        let payload = serde_json::from_slice::<Value>(&body).ok();
        let payload = payload.filter(|payload| payload["errorType"].is_string());
        return Err(match payload {
            Some(payload) if error_type.is_none() => errored(&payload),
            _ => refused(&request.function_name, status.as_u16(), error_type, &body),
        });
    }
    let payload = if body.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_slice(&body)
    };
    match (payload, function_error) {
        (Ok(payload), None) => Ok(payload),
        (Ok(payload), Some(_)) => Err(errored(&payload)),
        (Err(_), _) => Err(failure(
            "Lambda.Unknown",
            format!("the function's answer is not JSON: {}", quoted(&body)),
        )),
    }
}

/// The function ran and failed.
fn errored(payload: &Value) -> ErrorAndCause {
    match payload.get("errorType").and_then(Value::as_str) {
        Some(error_type) => failure(error_type, payload.to_string()),
        None => failure(
            "Lambda.Unknown",
            format!(
                "The cause could not be determined because Lambda did not return an error type. Returned payload: {payload}"
            ),
        ),
    }
}

/// The call itself was refused.
fn refused(function: &str, status: u16, error_type: Option<String>, body: &[u8]) -> ErrorAndCause {
    let name = error_type
        .map(|name| name.split(':').next().unwrap_or_default().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| {
            match status {
                404 => "ResourceNotFoundException",
                429 => "TooManyRequestsException",
                400..=499 => "InvalidRequestContentException",
                _ => "ServiceException",
            }
            .to_owned()
        });
    let said = quoted(body);
    failure(
        &format!("Lambda.{name}"),
        format!("the Lambda endpoint answered {status} for the function {function}: {said}"),
    )
}

fn quoted(body: &[u8]) -> String {
    const SHOWN: usize = 500;
    String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned()
}
