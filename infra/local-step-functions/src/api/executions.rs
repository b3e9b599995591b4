//! Operations on executions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::state_machines::describe;
use super::{invalid_token, page_size, set_next_token};
use crate::arn::{check_execution_arn, check_name, machine_name};
use crate::description::{described, listed};
use crate::engine::{Request, Start};
use crate::history::epoch_seconds;
use crate::interpreter::{DATA_LIMIT, ErrorAndCause};
use crate::store::{Execution, ExecutionFilter, Page, RedriveFilter};
use crate::{AwsError, LocalStepFunctions, Place};

/// Characters a client token may have: the API reference's number.
const CLIENT_TOKEN_LIMIT: usize = 64;

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
    redrive_filter: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RedriveExecution {
    execution_arn: String,
    client_token: Option<String>,
}

impl StartExecution {
    pub(super) fn checked(self, place: &Place) -> Result<Request, AwsError> {
        let machine = machine_name(&self.state_machine_arn)?.to_owned();
        if place.state_machine_arn(&machine) != self.state_machine_arn {
            return Err(AwsError::no_state_machine(&self.state_machine_arn));
        }
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        let refused = |problem: String| {
            AwsError::new(
                "InvalidExecutionInput",
                format!("Invalid State Machine Execution Input: '{problem}'"),
            )
        };
        let input_text = self.input.unwrap_or_else(|| "{}".to_owned());
        if input_text.len() > DATA_LIMIT {
            let bytes = input_text.len();
            return Err(refused(format!(
                "it has {bytes} bytes, the limit is {DATA_LIMIT}"
            )));
        }
        let input =
            serde_json::from_str(&input_text).map_err(|error| refused(error.to_string()))?;
        Ok(Request::StartExecution(Start {
            machine,
            name: self.name,
            input_text,
            input,
        }))
    }
}

impl StopExecution {
    pub(super) fn checked(self) -> Result<Request, AwsError> {
        check_execution_arn(&self.execution_arn)?;
        Ok(Request::StopExecution {
            arn: self.execution_arn,
            reason: ErrorAndCause {
                error: self.error,
                cause: self.cause,
            },
        })
    }
}

impl RedriveExecution {
    pub(super) fn checked(self) -> Result<Request, AwsError> {
        check_execution_arn(&self.execution_arn)?;
        let token_length = self.client_token.as_ref().map(String::len);
        if token_length.is_some_and(|length| !(1..=CLIENT_TOKEN_LIMIT).contains(&length)) {
            return Err(AwsError::validation(format!(
                "clientToken: it must have 1 to {CLIENT_TOKEN_LIMIT} characters"
            )));
        }
        Ok(Request::RedriveExecution {
            arn: self.execution_arn,
            token: self.client_token,
        })
    }
}

impl LocalStepFunctions {
    pub(super) async fn start_execution(&self, request: StartExecution) -> Result<Value, AwsError> {
        self.request(request.checked(&self.place)?).await
    }

    pub(super) async fn stop_execution(&self, request: StopExecution) -> Result<Value, AwsError> {
        self.request(request.checked()?).await
    }

    pub(super) async fn describe_execution(
        &self,
        request: ExecutionArn,
    ) -> Result<Value, AwsError> {
        let execution = self.execution(request.execution_arn).await?;
        Ok(described(&execution, &self.place, self.clock.now()))
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
        let redrive = match request.redrive_filter.as_deref() {
            None => None,
            Some("REDRIVEN") => Some(RedriveFilter::Redriven),
            Some("NOT_REDRIVEN") => Some(RedriveFilter::NotRedriven),
            Some(other) => {
                return Err(AwsError::validation(format!(
                    "Value '{other}' at 'redriveFilter' failed to satisfy constraint: Member must satisfy enum value set: [REDRIVEN, NOT_REDRIVEN]"
                )));
            }
        };
        let filter = ExecutionFilter {
            machine: machine.clone(),
            status: request.status_filter,
            redrive,
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
            .map(|execution| listed(execution, &self.place))
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
}
