//! An execution as `DescribeExecution` and `ListExecutions` show it.

use serde_json::{Value, json};

use crate::Place;
use crate::history::epoch_seconds;
use crate::store::Execution;

/// What `ListExecutions` says of each.
pub(crate) fn listed(execution: &Execution, place: &Place) -> Value {
    let mut listed = json!({
        "executionArn": execution.arn,
        "stateMachineArn": place.state_machine_arn(&execution.machine),
        "name": execution.name,
        "status": execution.status,
        "startDate": epoch_seconds(execution.started),
        "redriveCount": 0,
    });
    if let Some(stopped) = execution.stopped {
        listed["stopDate"] = epoch_seconds(stopped);
    }
    listed
}

/// What `DescribeExecution` answers.
pub(crate) fn described(execution: &Execution, place: &Place) -> Value {
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
    described["redriveStatus"] = json!("NOT_REDRIVABLE");
    let status = &execution.status;
    described["redriveStatusReason"] = json!(match status.as_str() {
        "RUNNING" | "SUCCEEDED" => format!("Execution is {status} and cannot be redriven."),
        _ => "Executions cannot be redriven locally.".to_owned(),
    });
    described
}
