//! The API's answers as far as the command line reads them; what else they hold is ignored, so
//! that this client and an API of another version understand each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::view::{TreeSpan, duration};

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
    pub redrives: u32,
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
    event_id: Option<u64>,
    start_offset_us: i64,
    duration_us: Option<u64>,
    status: SpanStatus,
    #[serde(default)]
    usage: Option<Usage>,
    cost_usd: Option<f64>,
    model: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    callback: Option<Callback>,
}

/// A task that somebody answers, and what they said.
#[derive(Debug, Deserialize)]
struct Callback {
    waiting: bool,
    approved: Option<bool>,
    by: Option<String>,
    waited_us: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Approvals {
    pub approvals: Vec<Approval>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Approval {
    pub execution_id: String,
    pub span_id: String,
    pub state: String,
    pub question: Option<String>,
    pub since: String,
    pub deadline: Option<String>,
    pub can_be_answered: bool,
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

    /// The state and the span id of a task that can be answered.
    pub(crate) fn waits(&self) -> Option<(&str, &str)> {
        let waits = self
            .callback
            .as_ref()
            .is_some_and(|callback| callback.waiting);
        waits.then(|| {
            let state = self.state.as_deref().unwrap_or(&self.name);
            (state, self.span_id.as_str())
        })
    }
}

impl Callback {
    /// `approved by ada, waited 3 min 05 s`.
    fn words(&self) -> String {
        if self.waiting {
            return "waits for an answer".to_owned();
        }
        let decision = match self.approved {
            Some(true) => Some("approved"),
            Some(false) => Some("rejected"),
            None => None,
        };
        let by = self.by.as_ref().map(|by| format!("by {by}"));
        let decision = decision.map(str::to_owned).into_iter().chain(by);
        let decision = decision.collect::<Vec<_>>().join(" ");
        let waited = self
            .waited_us
            .map(|waited| format!("waited {}", duration(Duration::from_micros(waited))));
        let decision = (!decision.is_empty()).then_some(decision);
        let parts: Vec<String> = decision.into_iter().chain(waited).collect();
        parts.join(", ")
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
            note: span.callback.as_ref().map(Callback::words),
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            name: span.name,
            kind: span.kind,
            iteration: span.iteration,
            event_id: span.event_id,
            model: span.model,
            cost_usd: span.cost_usd,
        }
    }
}
