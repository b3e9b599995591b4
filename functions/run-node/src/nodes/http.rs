//! `http`: one HTTP request to a public address, bounded in size and time.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tracer::{HttpCall, http_call};
use url::Url;

use super::NodeCall;
use crate::error::{NodeError, excerpt};
use crate::network::{cause, refused, short};
use crate::parameters;

const DEFAULT_TIMEOUT_SECONDS: f64 = 10.0;
/// Four times what a Step Functions state may hand on.
const DEFAULT_MAX_RESPONSE_BYTES: u64 = 1024 * 1024;
/// A function's memory is 128 MB at least, and a body is held twice while it is parsed.
const LARGEST_RESPONSE_BYTES: u64 = 32 * 1024 * 1024;

/// What the connection sets itself; another value would desynchronise it, or its checks.
const OWN_HEADERS: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    url: String,
    method: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    query: Option<BTreeMap<String, Value>>,
    /// A string is sent as it is; anything else as JSON.
    body: Option<Value>,
    timeout_seconds: Option<f64>,
    max_response_bytes: Option<u64>,
    /// Statuses that are no error; by default 200 to 299.
    accept_status: Option<Vec<u16>>,
}

/// A request that passed all checks that need no network.
struct Prepared {
    request: Request,
    body: Option<(&'static str, String)>,
    timeout: Duration,
    most_bytes: u64,
    accepted: Option<Vec<u16>>,
}

/// A response read to its end.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// `{"status", "headers", "body"}`; a body that is not text is `body_base64` instead.
pub(crate) async fn run(call: NodeCall<'_>) -> Result<Value, NodeError> {
    let prepared = prepare(parameters::parse(call.parameters)?)?;
    let timeout = call.deadline.within(prepared.timeout);
    let method = prepared.request.method().to_string();
    let url = prepared.request.url().clone();
    let span = http_call(&method, &url);
    describe_request(&span, &prepared);
    let accepted = prepared.accepted.clone();
    let started = Instant::now();
    let sending = send(&call, prepared, &span);
    let outcome = match tokio::time::timeout(timeout, sending).await {
        Ok(outcome) => outcome,
        Err(_) => Err(NodeError::HttpTimeout {
            method: method.clone(),
            url: short(&url),
            after: started.elapsed(),
        }),
    };
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) => {
            span.fail(&error.name(), &error.to_string());
            return Err(error);
        }
    };
    let body = Body::read(&answer);
    if let Some((media_type, text)) = body.text(&answer) {
        span.response_body(media_type, text);
    }
    span.finish();
    let is_accepted = match &accepted {
        Some(statuses) => statuses.contains(&answer.status),
        None => (200..300).contains(&answer.status),
    };
    if is_accepted {
        Ok(output(&answer, body))
    } else {
        Err(NodeError::HttpStatus {
            method,
            url: short(&url),
            status: answer.status,
            body: status_detail(&answer),
        })
    }
}

async fn send(
    call: &NodeCall<'_>,
    prepared: Prepared,
    span: &HttpCall,
) -> Result<Answer, NodeError> {
    let mut request = prepared.request;
    let method = request.method().to_string();
    let url = request.url().clone();
    let network = call.environment.network();
    let client = network
        .client_for(&url)
        .map_err(|refused| NodeError::HttpAddressRefused {
            url: short(&url),
            refused,
        })?;
    if let Some(value) = span
        .traceparent()
        .and_then(|parent| HeaderValue::try_from(parent.to_string()).ok())
    {
        request.headers_mut().insert("traceparent", value);
    }
    let failed = |error: &reqwest::Error| connection_error(&method, &url, error);
    let response = client
        .execute(request)
        .await
        .map_err(|error| failed(&error))?;
    describe_response(span, &response);
    let too_large = || NodeError::HttpResponseTooLarge {
        method: method.clone(),
        url: short(&url),
        limit: prepared.most_bytes,
    };
    read(response, prepared.most_bytes, span, failed, too_large).await
}

async fn read(
    mut response: Response,
    most_bytes: u64,
    span: &HttpCall,
    failed: impl Fn(&reqwest::Error) -> NodeError,
    too_large: impl Fn() -> NodeError,
) -> Result<Answer, NodeError> {
    if response
        .content_length()
        .is_some_and(|length| length > most_bytes)
    {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if (body.len() + chunk.len()) as u64 > most_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    span.response_size(body.len() as u64);
    Ok(Answer {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

fn prepare(parameters: Parameters) -> Result<Prepared, NodeError> {
    let url = check_url(&parameters.url, parameters.query.unwrap_or_default())?;
    let method = parameters.method.as_deref().unwrap_or("GET");
    let method = match Method::from_bytes(method.to_ascii_uppercase().as_bytes()) {
        Ok(Method::CONNECT) | Err(_) => {
            let problem =
                format!("{method:?} is no method that can be sent; expected GET, POST, …");
            return Err(NodeError::parameter("method", problem));
        }
        Ok(method) => method,
    };
    let mut request = Request::new(method, url);
    *request.headers_mut() = check_headers(parameters.headers.unwrap_or_default())?;
    let body = match parameters.body {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(("text/plain; charset=utf-8", text)),
        Some(value) => Some(("application/json", value.to_string())),
    };
    if let Some((media_type, text)) = &body {
        request
            .headers_mut()
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(media_type));
        *request.body_mut() = Some(text.clone().into());
    }
    let seconds = parameters
        .timeout_seconds
        .unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    let timeout = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| {
            NodeError::parameter(
                "timeout_seconds",
                format!("{seconds} is not a time above 0"),
            )
        })?;
    let most_bytes = parameters
        .max_response_bytes
        .unwrap_or(DEFAULT_MAX_RESPONSE_BYTES);
    if most_bytes > LARGEST_RESPONSE_BYTES {
        let problem = format!("{most_bytes} is more than the {LARGEST_RESPONSE_BYTES} that fit");
        return Err(NodeError::parameter("max_response_bytes", problem));
    }
    Ok(Prepared {
        request,
        body,
        timeout,
        most_bytes,
        accepted: parameters.accept_status,
    })
}

fn check_url(text: &str, query: BTreeMap<String, Value>) -> Result<Url, NodeError> {
    let invalid = |problem: String| NodeError::parameter("url", problem);
    let mut url = Url::parse(text)
        .map_err(|error| invalid(format!("not a URL: {error}; expected https://host/path")))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(invalid(format!(
            "scheme {scheme:?} cannot be requested; expected http or https"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "credentials in a URL end up in logs; send an Authorization header".to_owned(),
        ));
    }
    for (name, value) in query {
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Array(_) | Value::Object(_) => {
                    let problem = "expected a string, number or boolean, or an array of them";
                    return Err(NodeError::parameter(format!("query.{name}"), problem));
                }
            };
            url.query_pairs_mut().append_pair(&name, &text);
        }
    }
    Ok(url)
}

fn check_headers(headers: BTreeMap<String, String>) -> Result<HeaderMap, NodeError> {
    let mut checked = HeaderMap::new();
    for (name, value) in headers {
        let field = format!("headers.{name}");
        let header = HeaderName::try_from(name.as_str())
            .map_err(|_| NodeError::parameter(&field, "not a header's name"))?;
        if OWN_HEADERS.contains(&header) {
            return Err(NodeError::parameter(
                &field,
                "set by the connection itself; leave it out",
            ));
        }
        let value = HeaderValue::try_from(value).map_err(|_| {
            NodeError::parameter(
                &field,
                "a header's value has no line breaks or control characters",
            )
        })?;
        checked.insert(header, value);
    }
    Ok(checked)
}

fn describe_request(span: &HttpCall, prepared: &Prepared) {
    if !span.is_recording() {
        return;
    }
    for (name, value) in prepared.request.headers() {
        span.request_header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    if let Some((media_type, body)) = &prepared.body {
        span.request_body(media_type, body);
    }
}

fn describe_response(span: &HttpCall, response: &Response) {
    span.status(response.status().as_u16());
    if span.is_recording() {
        for (name, value) in response.headers() {
            span.response_header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        }
    }
}

fn connection_error(method: &str, url: &Url, error: &reqwest::Error) -> NodeError {
    let url = short(url);
    match refused(error) {
        Some(refused) => NodeError::HttpAddressRefused { url, refused },
        None => NodeError::HttpConnectionFailed {
            method: method.to_owned(),
            url,
            problem: cause(error),
        },
    }
}

enum Body<'a> {
    Json(Value, &'a str),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Body<'a> {
    fn read(answer: &'a Answer) -> Self {
        let Ok(text) = std::str::from_utf8(&answer.body) else {
            return Self::Bytes(&answer.body);
        };
        let media_type = media_type(answer);
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let is_json = essence == "application/json" || essence.ends_with("+json");
        // What calls itself JSON and is not stays text: the caller decides what that means.
        match is_json.then(|| serde_json::from_str(text)) {
            Some(Ok(value)) => Self::Json(value, text),
            _ => Self::Text(text),
        }
    }

    fn text(&self, answer: &'a Answer) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Json(_, text) | Self::Text(text) if !text.is_empty() => {
                Some((media_type(answer), text))
            }
            _ => None,
        }
    }
}

fn media_type(answer: &Answer) -> &str {
    let value = answer.headers.get(header::CONTENT_TYPE);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or("text/plain")
}

fn output(answer: &Answer, body: Body<'_>) -> Value {
    let mut headers = Map::new();
    for name in answer.headers.keys() {
        let values = answer.headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        headers.insert(name.to_string(), values.join(", ").into());
    }
    let (field, body) = match body {
        Body::Json(value, _) => ("body", value),
        Body::Text(text) => ("body", text.into()),
        Body::Bytes(bytes) => ("body_base64", STANDARD.encode(bytes).into()),
    };
    json!({"status": answer.status, "headers": headers, field: body})
}

fn status_detail(answer: &Answer) -> String {
    let location = answer.headers.get(header::LOCATION);
    match location.and_then(|location| location.to_str().ok()) {
        Some(location) if (300..400).contains(&answer.status) => {
            format!("a redirect to {location}, which is not followed; request that URL itself")
        }
        _ => excerpt(&String::from_utf8_lossy(&answer.body)),
    }
}
