use serde_json::Value;
use trace_model::Timestamp;
use tracer::Invocation;

use crate::deadline::Deadline;
use crate::environment::NodeEnvironment;
use crate::error::NodeError;
use crate::nodes::{self, NodeCall};

/// Runs the node that `payload` names: `{"node", "parameters", "input"}` and the context that
/// the state machine adds. `deadline` is when the work is cut off.
pub async fn handle(
    environment: &NodeEnvironment,
    payload: Value,
    deadline: Option<Timestamp>,
) -> Result<Value, NodeError> {
    let invocation = Invocation {
        deadline,
        ..Invocation::default()
    };
    handle_invocation(environment, payload, invocation).await
}

/// [`handle`], with all that is known of the call. Name and kind are the node's.
pub async fn handle_invocation(
    environment: &NodeEnvironment,
    payload: Value,
    invocation: Invocation,
) -> Result<Value, NodeError> {
    let kind = nodes::find(&payload);
    let invocation = Invocation {
        name: kind.as_ref().map_or("node", |kind| kind.name).to_owned(),
        node_kind: kind.as_ref().ok().map(|kind| kind.name.to_owned()),
        ..invocation
    };
    let deadline = Deadline::at(invocation.deadline, environment.tracer().clock());
    let work = async {
        let call = NodeCall {
            environment,
            parameters: payload.get("parameters").unwrap_or(&Value::Null),
            input: payload.get("input").unwrap_or(&Value::Null),
            deadline,
        };
        (kind?.run)(call).await
    };
    environment
        .tracer()
        .trace_node(&payload, &invocation, work)
        .await
}
