use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why an execution is stopped; both may be left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopExecution {
    /// The error name that the run ends with: 256 characters at most.
    #[serde(default)]
    pub error: Option<String>,
    /// 32768 characters at most; who stopped it when it is missing.
    #[serde(default)]
    pub cause: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoppedExecution {
    pub id: String,
    /// `ABORTED`.
    pub status: &'static str,
    /// RFC 3339.
    pub stopped_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedrivenExecution {
    pub id: String,
    /// `RUNNING`, unless it has ended again already.
    pub status: &'static str,
    pub execution_arn: String,
    /// How often it has been redriven, this time included.
    pub redrives: u32,
    /// RFC 3339.
    pub redriven_at: String,
}
