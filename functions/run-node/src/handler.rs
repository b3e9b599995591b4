use serde_json::Value;
use trace_model::Timestamp;
use tracer::Invocation;

use crate::deadline::Deadline;
use crate::environment::NodeEnvironment;
use crate::error::NodeError;
use crate::nodes::{self, NodeCall};
use crate::references;

/// Runs the node that `payload` names: `{"node", "parameters", "input"}` and the context that
/// the state machine adds. References to large values are resolved before, and what is too
/// large to be answered is left in the store. `deadline` is when the work is cut off.
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
        let kind = kind?;
        let most_bytes = references::most_output_bytes(&payload)?;
        let given = references::resolve(environment, deadline, &payload).await?;
        let call = NodeCall {
            environment,
            parameters: &given.parameters,
            input: &given.input,
            task_token: payload.get("task_token"),
            deadline,
        };
        let output = (kind.run)(call).await?;
        references::fit(environment, deadline, output, most_bytes).await
    };
    environment
        .tracer()
        .trace_node(&payload, &invocation, work)
        .await
}
