use std::collections::BTreeMap;

use serde::Serialize;
use trace_model::{Run, Totals};
use utoipa::ToSchema;

/// One run of a workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Execution {
    /// `MACHINE:NAME`, or a trace id for spans that came without an execution.
    id: String,
    workflow: String,
    /// As Step Functions spells it.
    #[schema(example = "SUCCEEDED")]
    status: &'static str,
    /// RFC 3339 with nanoseconds.
    started_at: String,
    finished_at: Option<String>,
    /// How often it was redriven: taken up again from where it had failed.
    redrives: u32,
    /// 32 hex digits.
    trace_id: String,
    /// 16 hex digits.
    root_span_id: String,
    /// The error name of a run that did not succeed.
    error: Option<String>,
    /// Computed from the stored spans; null until that was done for the first time.
    totals: Option<ExecutionTotals>,
    redaction: Redaction,
    /// What a reader should know, in words.
    notices: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Totals)]
pub(crate) struct ExecutionTotals {
    spans: u64,
    errors: u64,
    model_calls: u64,
    /// Cached ones included.
    input_tokens: u64,
    output_tokens: u64,
    /// Of the input tokens.
    cached_tokens: u64,
    /// Of the output tokens.
    reasoning_tokens: u64,
    /// Without the calls that `cost_unknown` counts.
    cost_usd: f64,
    /// Model calls whose price is unknown.
    cost_unknown: u64,
    models: Vec<String>,
    /// Null while the run goes on.
    duration_us: Option<u64>,
}

/// What was masked before the trace was stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Redaction {
    values: u64,
    by_detector: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionPage {
    pub executions: Vec<Execution>,
    pub page_info: PageInfo,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageInfo {
    pub has_next_page: bool,
    /// For the next page: the same request with `cursor=` this.
    pub cursor: Option<String>,
    /// Of the run: grows with each change of its status and of its totals. Spans that were
    /// written since the totals were computed are shown before it grows: whether anything at
    /// all has changed, the `ETag` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

impl From<&Run> for Execution {
    fn from(run: &Run) -> Self {
        let duration_us = run.finished_at.map(|end| micros(end.since(run.started_at)));
        Self {
            id: run.execution_id.to_string(),
            workflow: run.workflow.clone(),
            status: run.status.as_str(),
            started_at: run.started_at.to_rfc3339(),
            finished_at: run.finished_at.map(trace_model::Timestamp::to_rfc3339),
            redrives: run.redrives,
            trace_id: run.trace_id.to_string(),
            root_span_id: run.root_span_id.to_string(),
            error: run.error.clone(),
            totals: run
                .totals
                .as_ref()
                .map(|totals| ExecutionTotals::new(totals, duration_us)),
            redaction: Redaction {
                values: run.redactions.values().sum(),
                by_detector: run.redactions.clone(),
            },
            notices: run.notices.clone(),
        }
    }
}

impl ExecutionTotals {
    fn new(totals: &Totals, duration_us: Option<u64>) -> Self {
        Self {
            spans: totals.spans,
            errors: totals.errors,
            model_calls: totals.model_calls,
            input_tokens: totals.input_tokens,
            output_tokens: totals.output_tokens,
            cached_tokens: totals.cached_tokens,
            reasoning_tokens: totals.reasoning_tokens,
            cost_usd: usd(totals.cost.pico_usd),
            cost_unknown: totals.cost_unknown,
            models: totals.models.iter().cloned().collect(),
            duration_us,
        }
    }
}

pub(crate) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// For reading: sums are made of whole pico-dollars, before they come here.
#[expect(
    clippy::cast_precision_loss,
    reason = "a double has more digits than a price"
)]
pub(crate) fn usd(pico_usd: i64) -> f64 {
    pico_usd as f64 / 1e12
}
