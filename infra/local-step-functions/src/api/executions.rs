//! Operations on executions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::state_machines::describe;
use super::{invalid_token, page_size, set_next_token};
use crate::arn::{check_execution_arn, check_name, machine_name};
use crate::engine::Request;
use crate::history::epoch_seconds;
use crate::interpreter::{DATA_LIMIT, ErrorAndCause};
use crate::store::{Execution, ExecutionFilter, Page};
use crate::{AwsError, LocalStepFunctions};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartExecution {
    state_machine_arn: String,
    name: Option<String>,
    input: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StopExecution {
    execution_arn: String,
    error: Option<String>,
    cause: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecutionArn {
    execution_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListExecutions {
    state_machine_arn: Option<String>,
    status_filter: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
    map_run_arn: Option<String>,
}

impl LocalStepFunctions {
    pub(super) async fn start_execution(&self, request: StartExecution) -> Result<Value, AwsError> {
        let machine = machine_name(&request.state_machine_arn)?.to_owned();
        if self.place.state_machine_arn(&machine) != request.state_machine_arn {
            return Err(AwsError::no_state_machine(&request.state_machine_arn));
        }
        if let Some(name) = &request.name {
            check_name(name)?;
        }
        let refused = |problem: String| {
            AwsError::new(
                "InvalidExecutionInput",
                format!("Invalid State Machine Execution Input: '{problem}'"),
            )
        };
        let input_text = request.input.unwrap_or_else(|| "{}".to_owned());
        if input_text.len() > DATA_LIMIT {
            let bytes = input_text.len();
            return Err(refused(format!(
                "it has {bytes} bytes, the limit is {DATA_LIMIT}"
            )));
        }
        let input =
            serde_json::from_str(&input_text).map_err(|error| refused(error.to_string()))?;
        self.request(Request::StartExecution {
            machine,
            name: request.name,
            input_text,
            input,
        })
        .await
    }

    pub(super) async fn stop_execution(&self, request: StopExecution) -> Result<Value, AwsError> {
        check_execution_arn(&request.execution_arn)?;
        let reason = ErrorAndCause {
            error: request.error,
            cause: request.cause,
        };
        let arn = request.execution_arn;
        self.request(Request::StopExecution { arn, reason }).await
    }

    pub(super) async fn describe_execution(
        &self,
        request: ExecutionArn,
    ) -> Result<Value, AwsError> {
        let execution = self.execution(request.execution_arn).await?;
        let mut answer = self.listed(&execution);
        answer["input"] = json!(execution.input);
        answer["inputDetails"] = json!({"included": true});
        if let Some(output) = &execution.output {
            answer["output"] = json!(output);
            answer["outputDetails"] = json!({"included": true});
        }
        for (key, value) in [("error", &execution.error), ("cause", &execution.cause)] {
            if let Some(value) = value {
                answer[key] = json!(value);
            }
        }
        answer["redriveStatus"] = json!("NOT_REDRIVABLE");
        let status = &execution.status;
        answer["redriveStatusReason"] = json!(match status.as_str() {
            "RUNNING" | "SUCCEEDED" => format!("Execution is {status} and cannot be redriven."),
            _ => "Executions cannot be redriven locally.".to_owned(),
        });
        Ok(answer)
    }

    pub(super) async fn describe_state_machine_for_execution(
        &self,
        request: ExecutionArn,
    ) -> Result<Value, AwsError> {
        let arn = request.execution_arn;
        let execution = self.execution(arn.clone()).await?;
        let revision = self
            .reader
            .run(move |reading| reading.revision(execution.revision))
            .await?;
        let revision = revision.ok_or_else(|| AwsError::no_execution(&arn))?;
        let machine_arn = self.place.state_machine_arn(&execution.machine);
        let mut answer = describe(&machine_arn, &revision);
        answer["updateDate"] = epoch_seconds(revision.created);
        Ok(answer)
    }

    pub(super) async fn list_executions(&self, request: ListExecutions) -> Result<Value, AwsError> {
        if request.map_run_arn.is_some() {
            return Err(AwsError::validation(
                "mapRunArn: there are no map runs here, the distributed Map is not run locally",
            ));
        }
        let arn = request
            .state_machine_arn
            .ok_or_else(|| AwsError::validation("stateMachineArn is missing"))?;
        let machine = machine_name(&arn)?.to_owned();
        let limit = page_size(request.max_results)?;
        let after = match &request.next_token {
            Some(token) => Some(token.parse().map_err(|_| invalid_token(token))?),
            None => None,
        };
        let filter = ExecutionFilter {
            machine: machine.clone(),
            status: request.status_filter,
        };
        let page = Page {
            limit: limit + 1,
            after,
        };
        let found = self.reader.run(move |reading| {
            let known = reading.machine(&machine)?.is_some();
            Ok((known, reading.executions(&filter, page)?))
        });
        let (known, mut executions) = found.await?;
        if !known {
            return Err(AwsError::no_state_machine(&arn));
        }
        let has_more = executions.len() > limit;
        executions.truncate(limit);
        let last = executions.last().map(|execution| execution.id.to_string());
        let listed: Vec<Value> = executions
            .iter()
            .map(|execution| self.listed(execution))
            .collect();
        let mut answer = json!({"executions": listed});
        set_next_token(&mut answer, last.filter(|_| has_more));
        Ok(answer)
    }

    pub(super) async fn execution(&self, arn: String) -> Result<Execution, AwsError> {
        check_execution_arn(&arn)?;
        let wanted = arn.clone();
        let found = self
            .reader
            .run(move |reading| reading.execution(&wanted))
            .await?;
        found.ok_or_else(|| AwsError::no_execution(&arn))
    }

    fn listed(&self, execution: &Execution) -> Value {
        let mut listed = json!({
            "executionArn": execution.arn,
            "stateMachineArn": self.place.state_machine_arn(&execution.machine),
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
}
