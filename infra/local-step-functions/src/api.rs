//! AWS's JSON 1.0 API of Step Functions: what each operation takes and answers.

mod executions;
mod history;
mod state_machines;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::executions::{RedriveExecution, StartExecution, StopExecution};
use crate::engine::Request;
use crate::interpreter::{DATA_LIMIT, ErrorAndCause, TaskToken};
use crate::{AwsError, LocalStepFunctions, Place};

/// What `x-amz-target` begins with.
const TARGET_PREFIX: &str = "AWSStepFunctions.";

/// Results a page has when the request does not say, and at most: the API reference's numbers.
const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

impl LocalStepFunctions {
    /// Answers one request: `target` is the `x-amz-target` header, `body` the JSON.
    pub async fn dispatch(&self, target: &str, body: &[u8]) -> Result<Vec<u8>, AwsError> {
        let operation = target.strip_prefix(TARGET_PREFIX).unwrap_or(target);
        let answer = match operation {
            "CreateStateMachine" => self.create_state_machine(read(body)?).await?,
            "UpdateStateMachine" => self.update_state_machine(read(body)?).await?,
            "DeleteStateMachine" => self.delete_state_machine(read(body)?).await?,
            "DescribeStateMachine" => self.describe_state_machine(read(body)?).await?,
            "ListStateMachines" => self.list_state_machines(read(body)?).await?,
            "ValidateStateMachineDefinition" => {
                state_machines::validate_state_machine_definition(read(body)?).await?
            }
            "TagResource" => self.tag_resource(read(body)?).await?,
            "UntagResource" => self.untag_resource(read(body)?).await?,
            "ListTagsForResource" => self.list_tags_for_resource(read(body)?).await?,
            "StartExecution" => self.start_execution(read(body)?).await?,
            "StopExecution" => self.stop_execution(read(body)?).await?,
            "RedriveExecution" => {
                self.request(read::<RedriveExecution>(body)?.checked()?)
                    .await?
            }
            "DescribeExecution" => self.describe_execution(read(body)?).await?,
            "DescribeStateMachineForExecution" => {
                self.describe_state_machine_for_execution(read(body)?)
                    .await?
            }
            "ListExecutions" => self.list_executions(read(body)?).await?,
            "GetExecutionHistory" => self.get_execution_history(read(body)?).await?,
            "SendTaskSuccess" => {
                self.request(read::<SendTaskSuccess>(body)?.checked()?)
                    .await?
            }
            "SendTaskFailure" => {
                self.request(read::<SendTaskFailure>(body)?.checked()?)
                    .await?
            }
            "SendTaskHeartbeat" => {
                self.request(read::<SendTaskHeartbeat>(body)?.checked()?)
                    .await?
            }
            other => {
                return Err(AwsError::new(
                    "UnknownOperationException",
                    format!("the operation {other:?} is not served by the local Step Functions"),
                ));
            }
        };
        Ok(answer.to_string().into_bytes())
    }
}

/// The change that a task's call of the API asks for; `None` for an operation that no task may
/// call. `members` is the request as the API takes it.
pub(crate) fn requested(
    operation: &str,
    members: Value,
    place: &Place,
) -> Option<Result<Request, AwsError>> {
    Some(match operation {
        "startExecution" => {
            of_task(members).and_then(|request: StartExecution| request.checked(place))
        }
        "stopExecution" => of_task(members).and_then(StopExecution::checked),
        "sendTaskSuccess" => of_task(members).and_then(SendTaskSuccess::checked),
        "sendTaskFailure" => of_task(members).and_then(SendTaskFailure::checked),
        "sendTaskHeartbeat" => of_task(members).and_then(SendTaskHeartbeat::checked),
        _ => return None,
    })
}

impl SendTaskSuccess {
    fn checked(self) -> Result<Request, AwsError> {
        let output = serde_json::from_str(&self.output).map_err(|error| {
            AwsError::new("InvalidOutput", format!("Invalid Output: '{error}'"))
        })?;
        if self.output.len() > DATA_LIMIT {
            return Err(AwsError::new(
                "InvalidOutput",
                format!(
                    "Invalid Output: 'it has {} bytes, the limit is {DATA_LIMIT}'",
                    self.output.len()
                ),
            ));
        }
        Ok(Request::EndTask {
            token: task_token(&self.task_token)?,
            result: Ok(output),
        })
    }
}

impl SendTaskFailure {
    fn checked(self) -> Result<Request, AwsError> {
        Ok(Request::EndTask {
            token: task_token(&self.task_token)?,
            result: Err(ErrorAndCause {
                error: self.error,
                cause: self.cause,
            }),
        })
    }
}

impl SendTaskHeartbeat {
    fn checked(self) -> Result<Request, AwsError> {
        let token = task_token(&self.task_token)?;
        Ok(Request::Heartbeat { token })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendTaskSuccess {
    task_token: String,
    output: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendTaskFailure {
    task_token: String,
    error: Option<String>,
    cause: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendTaskHeartbeat {
    task_token: String,
}

fn task_token(text: &str) -> Result<TaskToken, AwsError> {
    TaskToken::parse(text)
        .ok_or_else(|| AwsError::new("InvalidToken", "Invalid Token: 'Invalid token'"))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    // An operation without members may come without a body.
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            AwsError::validation(format!("the request does not fit the operation: {error}"))
        } else {
            AwsError::new(
                "SerializationException",
                format!("the request is not JSON: {error}"),
            )
        }
    })
}

fn of_task<T: DeserializeOwned>(members: Value) -> Result<T, AwsError> {
    serde_json::from_value(members).map_err(|error| {
        AwsError::validation(format!("the Arguments do not fit the operation: {error}"))
    })
}

/// `maxResults`: 0 or nothing is the default.
fn page_size(max_results: Option<usize>) -> Result<usize, AwsError> {
    match max_results {
        None | Some(0) => Ok(DEFAULT_PAGE),
        Some(wanted) if wanted <= LARGEST_PAGE => Ok(wanted),
        Some(wanted) => Err(AwsError::validation(format!(
            "Value '{wanted}' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to {LARGEST_PAGE}"
        ))),
    }
}

fn invalid_token(token: &str) -> AwsError {
    AwsError::new(
        "InvalidToken",
        format!("Invalid Token: '{token}' did not come from this listing"),
    )
}

fn set_next_token(answer: &mut Value, token: Option<String>) {
    if let Some(token) = token {
        answer["nextToken"] = json!(token);
    }
}
