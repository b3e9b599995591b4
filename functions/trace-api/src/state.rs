use std::sync::Arc;

use http::HeaderValue;
use identity::Authenticator;
use lambda_process::metrics::Metrics;
use trace_model::{Clock, ExecutionArn, ExecutionId, TraceId};

use crate::problem::Problem;
use crate::{CursorKey, RecorderQueue, TenantStores};

/// What the routes work with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiState {
    pub stores: TenantStores,
    pub authenticator: Arc<Authenticator>,
    pub step_functions: aws_sdk_sfn::Client,
    /// `None` in the local cloud.
    pub recorder: Option<RecorderQueue>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub config: Arc<ApiConfig>,
}

#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Of the state machines; with the account they turn an execution's id into its ARN.
    pub region: String,
    /// Twelve digits.
    pub account_id: String,
    pub cursor_key: CursorKey,
    /// Who else's pages may read answers: exact origins, never `*` or `null`. Empty: nobody's.
    pub allowed_origins: Vec<HeaderValue>,
}

/// An execution as a path names it.
#[derive(Clone, Debug)]
pub(crate) struct NamedExecution {
    pub trace_id: TraceId,
    /// `None` for the id of a trace.
    pub arn: Option<ExecutionArn>,
}

impl ApiState {
    /// `MACHINE:NAME`, or a trace id of 32 hex digits. What is neither names nothing.
    pub(crate) fn execution(&self, id: &str) -> Result<NamedExecution, Problem> {
        let not_found = || Problem::not_found("execution");
        if let Ok(trace_id) = id.parse::<TraceId>() {
            return Ok(NamedExecution {
                trace_id,
                arn: None,
            });
        }
        let ApiConfig {
            region, account_id, ..
        } = &*self.config;
        let arn = ExecutionId::parse(id)
            .ok()
            .and_then(|id| id.to_arn(region, account_id))
            .ok_or_else(not_found)?;
        Ok(NamedExecution {
            trace_id: TraceId::of_execution(&arn),
            arn: Some(arn),
        })
    }

    /// The state machine of that name; `None` for what cannot be a name.
    pub(crate) fn state_machine_arn(&self, name: &str) -> Option<String> {
        let fits = !name.is_empty()
            && name.chars().count() <= 80
            && name.chars().all(|letter| {
                letter.is_alphanumeric()
                    || matches!(
                        letter,
                        '-' | '_' | '.' | '@' | '+' | '!' | '(' | ')' | '=' | '\''
                    )
            });
        let ApiConfig {
            region, account_id, ..
        } = &*self.config;
        fits.then(|| format!("arn:aws:states:{region}:{account_id}:stateMachine:{name}"))
    }
}
