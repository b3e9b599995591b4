//! A run's item: from a run to attributes, and back.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue as SdkValue;
use serde::Serialize;
use serde_dynamo::{from_attribute_value, to_attribute_value};
use trace_model::{
    ExecutionArn, ExecutionId, Run, RunOfSpans, RunStatus, TenantId, Timestamp, Totals, TraceId,
};

use crate::item::{SdkItem, StoredItem, number, text};
use crate::table::{RUNS_BY_START, RUNS_BY_WORKFLOW};
use crate::{StoreError, Summary, TABLE};

pub(crate) const STARTED_AT: &str = RUNS_BY_START.sort_key;
pub(crate) const FINISHED_AT: &str = "finished_at";
pub(crate) const REDRIVES: &str = "redrives";
pub(crate) const REVISION: &str = "revision";
pub(crate) const SUMMARY_REVISION: &str = "summary_revision";
pub(crate) const NAME_REUSED_AT: &str = "name_reused_at";
/// While no execution is recorded: the run is what its spans say.
pub(crate) const IS_OF_SPANS: &str = "is_of_spans";
const EXECUTION_ID: &str = "execution_id";
const EXECUTION_ARN: &str = "execution_arn";
const ROOT_SPAN_ID: &str = "root_span_id";
const WORKFLOW: &str = "workflow";
const STATUS: &str = "status";
pub(crate) const ERROR: &str = "error";
const NOTICES: &str = "notices";
const TOTALS: &str = "totals";
const REDACTIONS: &str = "redactions";
const SUMMARY_NOTICES: &str = "summary_notices";

const WHAT: &str = "run";

/// What its opening and its closing say of a run.
pub(crate) fn run_attributes(run: &Run) -> SdkItem {
    let mut attributes = SdkItem::new();
    let mut set = |name: &str, value: SdkValue| attributes.insert(name.to_owned(), value);
    set(RUNS_BY_START.partition_key, text(run.tenant.as_str()));
    set(
        RUNS_BY_WORKFLOW.partition_key,
        text(workflow_partition(&run.tenant, &run.workflow)),
    );
    set(STARTED_AT, number(run.started_at.as_unix_nanos()));
    set(EXECUTION_ID, text(run.execution_id.as_str()));
    set(ROOT_SPAN_ID, text(run.root_span_id.to_string()));
    set(WORKFLOW, text(run.workflow.as_str()));
    set(STATUS, text(run.status.as_str()));
    if let Some(arn) = &run.execution_arn {
        set(EXECUTION_ARN, text(arn.as_str()));
    }
    if let Some(finished_at) = run.finished_at {
        set(FINISHED_AT, number(finished_at.as_unix_nanos()));
    }
    if run.redrives > 0 {
        set(REDRIVES, number(u64::from(run.redrives)));
    }
    if let Some(error) = &run.error {
        set(ERROR, text(error.as_str()));
    }
    if !run.notices.is_empty() {
        set(NOTICES, texts(&run.notices));
    }
    attributes
}

/// The same of a run without an execution: its id is its trace's.
pub(crate) fn attributes_of_spans(
    tenant: &TenantId,
    trace_id: TraceId,
    run: &RunOfSpans,
) -> SdkItem {
    run_attributes(&Run {
        tenant: tenant.clone(),
        execution_id: ExecutionId::of_trace(trace_id),
        execution_arn: None,
        trace_id,
        root_span_id: run.root_span_id,
        workflow: run.workflow.clone(),
        status: run.status,
        started_at: run.started_at,
        finished_at: run.finished_at,
        redrives: 0,
        error: run.error.clone(),
        totals: None,
        redactions: BTreeMap::new(),
        notices: Vec::new(),
        revision: 0,
        expires_at: None,
    })
}

pub(crate) fn summary_attributes(summary: &Summary) -> Result<SdkItem, StoreError> {
    Ok(SdkItem::from([
        (TOTALS.to_owned(), value(&summary.totals)?),
        (REDACTIONS.to_owned(), value(&summary.redactions)?),
        (SUMMARY_NOTICES.to_owned(), texts(&summary.notices)),
        (
            SUMMARY_REVISION.to_owned(),
            number(summary.structure_revision),
        ),
    ]))
}

/// Key of the index by workflow.
pub(crate) fn workflow_partition(tenant: &TenantId, workflow: &str) -> String {
    format!("{tenant}#{workflow}")
}

pub(crate) fn started_at(item: &SdkItem) -> Option<Timestamp> {
    let nanos = item.get(STARTED_AT)?.as_n().ok()?;
    nanos.parse().ok().map(Timestamp::from_unix_nanos)
}

/// `None` for an item that only a summary has written so far.
pub(crate) fn decode_run(item: &StoredItem) -> Result<Option<Run>, StoreError> {
    let Some(started_at) = item.optional_number(STARTED_AT)? else {
        return Ok(None);
    };
    let (tenant, trace_id) = run_key(item)?;
    let mut notices = strings(item, NOTICES)?;
    for notice in strings(item, SUMMARY_NOTICES)? {
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    let execution_arn = item.optional_text(EXECUTION_ARN)?.map(ExecutionArn::parse);
    let expires_at = item.number(TABLE.ttl_attribute)?;
    Ok(Some(Run {
        tenant,
        trace_id,
        execution_id: parsed(item, EXECUTION_ID, ExecutionId::parse)?,
        execution_arn: execution_arn
            .transpose()
            .map_err(|_| item.damaged(EXECUTION_ARN))?,
        root_span_id: parsed(item, ROOT_SPAN_ID, str::parse)?,
        workflow: item.text(WORKFLOW)?.to_owned(),
        status: RunStatus::parse(item.text(STATUS)?).ok_or_else(|| item.damaged(STATUS))?,
        started_at: Timestamp::from_unix_nanos(started_at),
        finished_at: item
            .optional_number(FINISHED_AT)?
            .map(Timestamp::from_unix_nanos),
        redrives: match item.optional_number(REDRIVES)? {
            Some(count) => u32::try_from(count).map_err(|_| item.damaged(REDRIVES))?,
            None => 0,
        },
        error: item.optional_text(ERROR)?.map(str::to_owned),
        totals: item.get(TOTALS).map(totals).transpose()?,
        redactions: match item.get(REDACTIONS) {
            Some(counts) => from_attribute_value(counts.clone()).map_err(|error| {
                StoreError::damaged_by(WHAT, "its redactions are not as written", error)
            })?,
            None => BTreeMap::new(),
        },
        notices,
        revision: item.optional_number(REVISION)?.unwrap_or_default(),
        expires_at: Some(Timestamp::from_unix_millis(expires_at.saturating_mul(1000))),
    }))
}

fn run_key(item: &StoredItem) -> Result<(TenantId, TraceId), StoreError> {
    let partition = item.text(TABLE.partition_key)?;
    let parsed = partition.split_once('#').and_then(|(tenant, trace_id)| {
        Some((TenantId::parse(tenant).ok()?, trace_id.parse().ok()?))
    });
    parsed.ok_or_else(|| item.damaged(TABLE.partition_key))
}

fn parsed<T, E>(
    item: &StoredItem,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, StoreError> {
    parse(item.text(name)?).map_err(|_| item.damaged(name))
}

fn totals(value: &serde_dynamo::AttributeValue) -> Result<Totals, StoreError> {
    from_attribute_value(value.clone())
        .map_err(|error| StoreError::damaged_by(WHAT, "its totals are not as written", error))
}

fn value(value: &impl Serialize) -> Result<SdkValue, StoreError> {
    to_attribute_value(value)
        .map_err(|error| StoreError::damaged_by(WHAT, "its summary cannot be written", error))
}

fn texts(values: &[String]) -> SdkValue {
    SdkValue::L(values.iter().map(|value| text(value.as_str())).collect())
}

fn strings(item: &StoredItem, name: &'static str) -> Result<Vec<String>, StoreError> {
    match item.get(name) {
        Some(values) => from_attribute_value(values.clone()).map_err(|_| item.damaged(name)),
        None => Ok(Vec::new()),
    }
}
