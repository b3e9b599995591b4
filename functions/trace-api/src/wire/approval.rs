use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The tasks of one execution that wait for an answer, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalList {
    pub approvals: Vec<WaitingTask>,
}

/// A task that goes on when somebody answers it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub(crate) struct WaitingTask {
    pub execution_id: String,
    /// The attempt's: what the answer is sent to.
    pub span_id: String,
    pub state: String,
    /// Masked; null when the task asks none, or the token lacks `content:read`.
    pub question: Option<String>,
    /// RFC 3339: when the attempt began.
    pub since: String,
    /// RFC 3339: when it times out; null when it waits for as long as the execution may.
    pub deadline: Option<String>,
    /// It also times out when this long passes without a sign of life from whoever works on it.
    pub heartbeat_seconds: Option<i64>,
    /// Whether the answer is `approved`; otherwise the task takes any `output`.
    pub is_approval: bool,
    /// False when the payload names no `task_token`: then only its receiver can answer.
    pub can_be_answered: bool,
}

/// Either `approved`, or `output` for a task that is no approval.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    #[serde(default)]
    pub approved: Option<bool>,
    /// For whoever reads the trace and for the workflow: 4096 characters at most.
    #[serde(default)]
    pub comment: Option<String>,
    /// The task's result as it is, any JSON value.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    pub output: Option<Value>,
}

/// What the task was answered with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Decided {
    pub execution_id: String,
    /// The attempt's.
    pub span_id: String,
    /// The task's result: of an approval `approved`, `by`, `comment` and `at`.
    #[schema(value_type = Object)]
    pub output: Value,
}

/// A null that is written there is an output too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
