use std::sync::Arc;
use std::time::Duration;

use lambda_process::{ExportContent, OtlpCompression, OtlpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use redaction::RedactedSpan;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use trace_model::{Clock, Timestamp};

use crate::patience::Patience;
use crate::request::{LARGEST_REQUEST, Request, Texts};
use crate::{ExportError, Exported, Permanent, retry_after};

const PROTOBUF: &str = "application/x-protobuf";

/// An answer has a count and a reason; what is longer is not read.
const LONGEST_ANSWER: usize = 64 << 10;

/// Of the collector's reason that is logged.
const LONGEST_REASON: usize = 500;

/// With less time left no request is begun.
const SHORTEST_EXCHANGE: Duration = Duration::from_secs(1);

/// Sends spans to one collector. Cheap to clone; clones share what the collector asked for.
#[derive(Clone, Debug)]
pub struct Exporter {
    client: Client,
    config: OtlpConfig,
    content: ExportContent,
    clock: Clock,
    patience: Arc<Patience>,
}

/// What the collector said to a request that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Delivery {
    /// Spans that it did not take, and never will.
    rejected: u64,
    reason: Option<String>,
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
            patience: Arc::new(Patience::new(clock.clone())),
            clock,
        })
    }

    /// When the collector may be called again, if it failed or asked for patience.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.patience.not_before()
    }

    pub(crate) const fn content(&self) -> ExportContent {
        self.content
    }

    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends finished spans with the texts they carry, in as many requests as the collector's
    /// size takes. `until` is when the work is cut off.
    pub(crate) async fn send(
        &self,
        spans: &[RedactedSpan],
        until: Option<Timestamp>,
    ) -> Result<Exported, ExportError> {
        let mut outcome = Exported::default();
        let mut parts = vec![(spans, Texts::Carried)];
        while let Some((spans, texts)) = parts.pop() {
            if spans.is_empty() {
                continue;
            }
            let request = Request::of(spans, texts);
            // A single one goes out at any size: whether it is too large is the collector's to say.
            if request.protobuf.len() > LARGEST_REQUEST && spans.len() > 1 {
                parts.extend(halves(spans, texts));
                continue;
            }
            match self.send_request(request, until).await {
                Ok(delivery) => outcome.add(&delivery.counted(spans.len())),
                Err(ExportError::Permanent(Permanent::Status { status: 413 }))
                    if spans.len() > 1 =>
                {
                    parts.extend(halves(spans, texts));
                }
                Err(ExportError::Permanent(Permanent::Status { status: 413 }))
                    if texts == Texts::Carried && spans.iter().any(carries_text) =>
                {
                    tracing::warn!(
                        "a span goes without its texts: it is too large for the collector"
                    );
                    parts.push((spans, Texts::Summarised));
                }
                Err(ExportError::Permanent(error)) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(
                        spans = spans.len(),
                        error,
                        "spans are dropped: the collector will not take them"
                    );
                    outcome.dropped += spans.len() as u64;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcome)
    }

    async fn send_request(
        &self,
        request: Request,
        until: Option<Timestamp>,
    ) -> Result<Delivery, ExportError> {
        let waited = self.patience.wait(until).await;
        waited.map_err(|not_before| ExportError::TooEarly { not_before })?;
        let left = until.map(|until| until.since(self.clock.now()));
        if left.is_some_and(|left| left < SHORTEST_EXCHANGE) {
            return Err(ExportError::NoTimeLeft);
        }
        let timeout = self.config.timeout;
        let timeout = left.map_or(timeout, |left| left.min(timeout));
        let outcome = tokio::time::timeout(timeout, self.exchange(request)).await;
        let outcome = outcome.unwrap_or(Err(ExportError::TooSlow(timeout)));
        match &outcome {
            Err(ExportError::Refused { retry_after, .. }) => self.patience.failed(*retry_after),
            Err(ExportError::Unreachable(_) | ExportError::TooSlow(_)) => {
                self.patience.failed(None);
            }
            _ => self.patience.took(),
        }
        outcome
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
            retry_after: self.retry_after(&response),
        })
    }

    fn retry_after(&self, response: &Response) -> Option<Duration> {
        let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        retry_after::parse(value, self.clock.now())
    }
}

impl Delivery {
    fn counted(self, spans: usize) -> Exported {
        let Self { rejected, reason } = self;
        let rejected = rejected.min(spans as u64);
        if rejected > 0 || reason.is_some() {
            tracing::warn!(rejected, reason, "the collector took a request in part");
        }
        Exported {
            spans: spans as u64 - rejected,
            dropped: rejected,
        }
    }
}

/// The first half last: it is taken first.
fn halves(spans: &[RedactedSpan], texts: Texts) -> [(&[RedactedSpan], Texts); 2] {
    let (first, second) = spans.split_at(spans.len() / 2);
    [(second, texts), (first, texts)]
}

fn carries_text(span: &RedactedSpan) -> bool {
    let mut contents = span.span().content.values();
    contents.any(|content| content.as_text().is_some())
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
