use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::execution::PageInfo;

/// A Step Functions state machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Workflow {
    pub name: String,
    /// `STANDARD` or `EXPRESS`.
    #[serde(rename = "type")]
    pub machine_type: String,
    pub created_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowPage {
    pub workflows: Vec<Workflow>,
    pub page_info: PageInfo,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowDetail {
    pub name: String,
    #[serde(rename = "type")]
    pub machine_type: String,
    pub created_at: String,
    pub description: Option<String>,
    /// Step Functions' own id of this version; null for the first.
    pub revision_id: Option<String>,
    /// The Amazon States Language definition, as it is now.
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// What to start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartExecution {
    /// The workflow's input; an empty object when it is missing. `stepscope.tenant` in it is
    /// set to the caller's tenant.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub input: Option<Value>,
    /// The execution's name: 1 to 80 letters, digits, `-` and `_`. The same name with the same
    /// input starts nothing new.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StartedExecution {
    pub id: String,
    pub execution_arn: String,
    pub trace_id: String,
    pub root_span_id: String,
    pub started_at: String,
}

/// Who the token says is calling.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    pub tenant: String,
    pub subject: String,
    pub scopes: Vec<&'static str>,
    pub expires_at: String,
}
