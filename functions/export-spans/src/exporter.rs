use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambda_process::{ExportContent, OtlpCompression, OtlpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use trace_model::{Clock, Timestamp};

use crate::request::Request;
use crate::{ExportError, Permanent, retry_after};

const PROTOBUF: &str = "application/x-protobuf";

/// An answer has a count and a reason; what is longer is not read.
const LONGEST_ANSWER: usize = 64 << 10;

/// Of the collector's reason that is logged.
const LONGEST_REASON: usize = 500;

/// Sends spans to one collector. Cheap to clone; clones share what the collector asked for.
#[derive(Clone, Debug)]
pub struct Exporter {
    client: Client,
    config: OtlpConfig,
    content: ExportContent,
    clock: Clock,
    /// The collector asked not to be called before this.
    not_before: Arc<Mutex<Option<Timestamp>>>,
}

/// What the collector said to a request that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Spans that it did not take, and never will.
    pub rejected: u64,
    pub reason: Option<String>,
}

impl Exporter {
    /// The client follows no redirects, so that a collector sends nobody's headers elsewhere.
    pub fn new(
        config: OtlpConfig,
        content: ExportContent,
        clock: Clock,
    ) -> Result<Self, ExportError> {
        let client = lambda_process::http_client();
        Ok(Self {
            client: client.map_err(|error| ExportError::Client(Box::new(error)))?,
            config,
            content,
            clock,
            not_before: Arc::default(),
        })
    }

    pub(crate) const fn content(&self) -> ExportContent {
        self.content
    }

    pub(crate) async fn send(&self, request: Request) -> Result<Delivery, ExportError> {
        self.wait_as_asked().await;
        let timeout = self.config.timeout;
        match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ExportError::TooSlow(timeout)),
        }
    }

    /// When the collector may be called again, if it asked for patience.
    pub fn not_before(&self) -> Option<Timestamp> {
        *self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait_as_asked(&self) {
        let now = self.clock.now();
        let delay = self.not_before().map_or(Duration::ZERO, |at| at.since(now));
        tokio::time::sleep(delay.min(retry_after::LONGEST)).await;
    }

    async fn exchange(&self, request: Request) -> Result<Delivery, ExportError> {
        let mut post = self
            .client
            .post(self.config.traces_url.clone())
            .header(CONTENT_TYPE, PROTOBUF);
        for (name, value) in &self.config.headers {
            post = post.header(name, value.reveal());
        }
        let post = match self.config.compression {
            OtlpCompression::Gzip => post.header(CONTENT_ENCODING, "gzip").body(request.gzip()?),
            OtlpCompression::None => post.body(request.protobuf),
        };
        let response = post.send().await.map_err(|error| {
            // The URL may hold a key.
            let error = error.without_url();
            if error.is_builder() {
                ExportError::Permanent(Permanent::Request(error))
            } else {
                ExportError::Unreachable(error)
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return delivery(response).await;
        }
        let status_code = status.as_u16();
        if !is_retryable(status) {
            let status = status_code;
            return Err(ExportError::Permanent(Permanent::Status { status }));
        }
        Err(ExportError::Refused {
            status: status_code,
            retry_after: self.remember_retry_after(&response),
        })
    }

    fn remember_retry_after(&self, response: &Response) -> Option<Duration> {
        let now = self.clock.now();
        let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        let delay = retry_after::parse(value, now)?;
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(now.plus(delay));
        Some(delay)
    }
}

/// OTLP/HTTP, "Retryable response codes".
fn is_retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// A whole answer is read, or none: one that breaks off may come from something between us
/// and the collector, so the spans go again, under the same ids. One that is too long came
/// from whoever took them.
async fn delivery(mut response: Response) -> Result<Delivery, ExportError> {
    let mut answer = Vec::new();
    loop {
        let piece = response.chunk().await;
        let piece = piece.map_err(|error| ExportError::Unreachable(error.without_url()))?;
        let Some(piece) = piece else {
            break;
        };
        if answer.len() + piece.len() > LONGEST_ANSWER {
            tracing::warn!(
                limit = LONGEST_ANSWER,
                "the collector's answer is too long to read"
            );
            return Ok(Delivery::default());
        }
        answer.extend_from_slice(&piece);
    }
    let answer = ExportTraceServiceResponse::decode(answer.as_slice()).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    let reason = partial.error_message;
    Ok(Delivery {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or_default(),
        reason: (!reason.is_empty()).then(|| reason.chars().take(LONGEST_REASON).collect()),
    })
}
