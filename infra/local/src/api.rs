//! The API's answers as far as the command line reads them; what else they hold is ignored, so
//! that this client and an API of another version understand each other.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::view::TreeSpan;

#[derive(Debug, Deserialize)]
pub(crate) struct Executions {
    pub executions: Vec<Execution>,
    pub page_info: PageInfo,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Execution {
    pub id: String,
    pub status: String,
    pub started_at: String,
    pub finished_at: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub totals: Option<Totals>,
    #[serde(default)]
    pub redaction: Value,
    #[serde(default)]
    pub notices: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Totals {
    pub spans: u64,
    pub errors: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_usd: f64,
    pub cost_unknown: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Trace {
    pub execution: Execution,
    pub spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PageInfo {
    pub has_next_page: bool,
    pub cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the wire's names")]
pub(crate) struct Span {
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    kind: String,
    #[serde(default)]
    iteration: Option<u64>,
    start_offset_us: i64,
    duration_us: Option<u64>,
    status: SpanStatus,
    #[serde(default)]
    usage: Option<Usage>,
    cost_usd: Option<f64>,
    model: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SpanStatus {
    code: String,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(default)]
    time_to_first_token_us: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Workflows {
    pub workflows: Vec<Workflow>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Workflow {
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Started {
    pub id: String,
    pub execution_arn: String,
}

impl Span {
    pub(crate) const fn is_open(&self) -> bool {
        self.duration_us.is_none()
    }
}

impl From<Span> for TreeSpan {
    fn from(span: Span) -> Self {
        let usage = span.usage.as_ref();
        Self {
            start_offset: Duration::from_micros(u64::try_from(span.start_offset_us).unwrap_or(0)),
            duration: span.duration_us.map(Duration::from_micros),
            error: (span.status.code == "error")
                .then(|| span.status.message.unwrap_or_else(|| "failed".to_owned())),
            input_tokens: usage.and_then(|usage| usage.input_tokens),
            output_tokens: usage.and_then(|usage| usage.output_tokens),
            time_to_first_token: usage
                .and_then(|usage| usage.time_to_first_token_us)
                .map(Duration::from_micros),
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            name: span.name,
            kind: span.kind,
            iteration: span.iteration,
            model: span.model,
            cost_usd: span.cost_usd,
        }
    }
}
