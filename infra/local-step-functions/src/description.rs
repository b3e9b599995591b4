//! An execution as `DescribeExecution` and `ListExecutions` show it, and
//! whether it can be redriven.

use std::time::Duration;

use serde_json::{Value, json};
use trace_model::Timestamp;

use crate::Place;
use crate::history::epoch_seconds;
use crate::interpreter::HISTORY_LIMIT;
use crate::store::{Execution, Frames, Standing};

/// How long after its end an execution can be redriven: Step Functions' quota, 14 days.
pub(crate) const REDRIVABLE_PERIOD: Duration = Duration::from_hours(14 * 24);

/// How long after its start an execution may run: Step Functions' quota, a year.
const LONGEST_RUN: Duration = Duration::from_hours(365 * 24);

/// How often an execution can be redriven: Step Functions' quota.
const REDRIVES_LIMIT: u32 = 1_000;

/// What `ListExecutions` says of each.
pub(crate) fn listed(execution: &Execution, place: &Place) -> Value {
    let mut listed = json!({
        "executionArn": execution.arn,
        "stateMachineArn": place.state_machine_arn(&execution.machine),
        "name": execution.name,
        "status": execution.status,
        "startDate": epoch_seconds(execution.started),
        "redriveCount": execution.redrive_count,
    });
    for (key, date) in [
        ("stopDate", execution.stopped),
        ("redriveDate", execution.redriven),
    ] {
        if let Some(date) = date {
            listed[key] = epoch_seconds(date);
        }
    }
    listed
}

/// What `DescribeExecution` answers.
pub(crate) fn described(execution: &Execution, place: &Place, now: Timestamp) -> Value {
    let mut described = listed(execution, place);
    described["input"] = json!(execution.input);
    described["inputDetails"] = json!({"included": true});
    if let Some(output) = &execution.output {
        described["output"] = json!(output);
        described["outputDetails"] = json!({"included": true});
    }
    for (key, value) in [("error", &execution.error), ("cause", &execution.cause)] {
        if let Some(value) = value {
            described[key] = json!(value);
        }
    }
    match why_not_redrivable(execution, now) {
        None => described["redriveStatus"] = json!("REDRIVABLE"),
        Some(reason) => {
            described["redriveStatus"] = json!("NOT_REDRIVABLE");
            described["redriveStatusReason"] = json!(reason);
        }
    }
    described
}

/// AWS's words, as `redriveStatusReason` has them; `None` for what can be redriven.
pub(crate) fn why_not_redrivable(execution: &Execution, now: Timestamp) -> Option<String> {
    let stopped = execution.stopped.unwrap_or(now);
    let reason = match execution.status.as_str() {
        status @ ("RUNNING" | "SUCCEEDED") => {
            return Some(format!("Execution is {status} and cannot be redriven"));
        }
        _ if execution.machine_is == Standing::Deleted => "State machine is in DELETING status",
        // Its last state was not kept.
        _ if execution.frames == Frames::Dropped => {
            "Execution was started before the launch of RedriveExecution"
        }
        // The redrive itself is an event, and another one follows it.
        _ if execution.last_event_id >= HISTORY_LIMIT - 1 => {
            "Execution history event limit exceeded"
        }
        _ if now.since(execution.started) > LONGEST_RUN => {
            "Execution has exceeded the max execution time"
        }
        _ if now.since(stopped) > REDRIVABLE_PERIOD => "Execution redrivable period exceeded",
        _ if execution.redrive_count >= REDRIVES_LIMIT => "Execution redrive limit exceeded",
        _ => return None,
    };
    Some(reason.to_owned())
}
