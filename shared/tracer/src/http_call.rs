use trace_model::{AttributeValue, Content, OtelKind, SpanKind, Traceparent, conventions};
use url::Url;

use crate::handle::SpanHandle;
use crate::open_span::mark_error;

const URL_FULL: &str = "url.full";
const SERVER_ADDRESS: &str = "server.address";
const SERVER_PORT: &str = "server.port";
const RESPONSE_STATUS: &str = "http.response.status_code";
const REQUEST_BODY_SIZE: &str = "http.request.body.size";
const RESPONSE_BODY_SIZE: &str = "http.response.body.size";

/// Opens the span of an HTTP request. User name and password never enter it; the query does,
/// and is masked like any other text. The name is the method and the host: what OpenTelemetry
/// asks for, few different names, and still one that tells calls apart.
pub fn http_call(method: &str, url: &Url) -> HttpCall {
    let name = format!("{method} {}", url.host_str().unwrap_or_default());
    let handle = SpanHandle::child(name.trim_end(), SpanKind::Http, |span| {
        span.otel_kind = OtelKind::Client;
        span.set(conventions::HTTP_REQUEST_METHOD, method);
        span.set(URL_FULL, without_userinfo(url));
        if let Some(host) = url.host_str() {
            span.set(SERVER_ADDRESS, host);
        }
        if let Some(port) = url.port_or_known_default() {
            span.set(SERVER_PORT, port);
        }
    });
    HttpCall { handle }
}

/// An open HTTP request.
pub struct HttpCall {
    handle: SpanHandle,
}

impl HttpCall {
    /// The value of the `traceparent` header to send.
    pub fn traceparent(&self) -> Option<Traceparent> {
        self.handle.traceparent()
    }

    pub fn request_header(&self, name: &str, value: &str) {
        self.header("http.request.header", name, value);
    }

    pub fn response_header(&self, name: &str, value: &str) {
        self.header("http.response.header", name, value);
    }

    pub fn request_body(&self, media_type: &str, body: &str) {
        self.set(REQUEST_BODY_SIZE, body.len() as u64);
        self.content(conventions::HTTP_REQUEST_BODY, media_type, body);
    }

    pub fn response_body(&self, media_type: &str, body: &str) {
        self.content(conventions::HTTP_RESPONSE_BODY, media_type, body);
    }

    /// As it came, which for an unreadable body is all that is known of it.
    pub fn response_size(&self, bytes: u64) {
        self.set(RESPONSE_BODY_SIZE, bytes);
    }

    /// A status of 400 or more makes the span an error, as OpenTelemetry has it for clients.
    pub fn status(&self, status: u16) {
        self.handle.change(|span| {
            span.set(RESPONSE_STATUS, status);
            if status >= 400 {
                mark_error(span, &status.to_string(), &format!("status {status}"));
            }
        });
    }

    pub fn set(&self, key: &str, value: impl Into<AttributeValue>) {
        self.handle.set(key, value);
    }

    pub const fn is_recording(&self) -> bool {
        self.handle.is_recording()
    }

    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        self.handle.scope(work).await
    }

    pub fn finish(self) {
        self.handle.finish();
    }

    pub fn fail(self, error_type: &str, message: &str) {
        self.handle.fail(error_type, message);
    }

    fn content(&self, field: &str, media_type: &str, body: &str) {
        if self.is_recording() {
            self.handle.content(field, Content::text(media_type, body));
        }
    }

    /// A name that came before keeps its earlier values.
    fn header(&self, prefix: &str, name: &str, value: &str) {
        self.handle.change(|span| {
            let key = format!("{prefix}.{}", name.to_ascii_lowercase());
            let value = AttributeValue::from(value);
            match span.attributes.get_mut(&key) {
                Some(AttributeValue::Array(values)) => values.push(value),
                _ => span.set(&key, vec![value]),
            }
        });
    }
}

fn without_userinfo(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot carry them, and so do not.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}
