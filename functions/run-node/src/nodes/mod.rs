//! The node kinds. A new one is a file here and a line in [`KINDS`]:
//! docs/how-to/add-a-node.md is the checklist.

pub(crate) mod approval;
pub(crate) mod artifact;
pub(crate) mod http;
pub(crate) mod llm;

use futures::future::BoxFuture;
use serde_json::Value;

use crate::deadline::Deadline;
use crate::environment::NodeEnvironment;
use crate::error::NodeError;
use crate::parameters::{kind_of, nearest};

static KINDS: [NodeKind; 4] = [
    NodeKind {
        name: "llm",
        run: |call| Box::pin(llm::run(call)),
    },
    NodeKind {
        name: "http",
        run: |call| Box::pin(http::run(call)),
    },
    NodeKind {
        name: "artifact",
        run: |call| Box::pin(artifact::run(call)),
    },
    NodeKind {
        name: "approval",
        run: |call| Box::pin(approval::run(call)),
    },
];

pub(crate) struct NodeKind {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(NodeCall<'a>) -> BoxFuture<'a, Result<Value, NodeError>>,
}

/// What a node works with.
pub(crate) struct NodeCall<'a> {
    pub(crate) environment: &'a NodeEnvironment,
    pub(crate) parameters: &'a Value,
    pub(crate) input: &'a Value,
    /// What the payload has at `task_token`: a credential, to be told to nobody.
    pub(crate) task_token: Option<&'a Value>,
    pub(crate) deadline: Deadline,
}

/// The names that a payload's `node` may have.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

pub(crate) fn find(payload: &Value) -> Result<&'static NodeKind, NodeError> {
    let found = match payload.get("node") {
        Some(Value::String(found)) => found,
        Some(other) => {
            let problem = format!(
                "the payload's \"node\" is {}: expected a node kind's name, one of {}",
                kind_of(other),
                kinds().collect::<Vec<_>>().join(", ")
            );
            return Err(NodeError::InvalidPayload { problem });
        }
        None => {
            let what = kind_of(payload);
            let problem = format!(
                "the payload has no field \"node\" (it is {what}): expected {{\"node\": …, \"parameters\": …, \"input\": …}}"
            );
            return Err(NodeError::InvalidPayload { problem });
        }
    };
    KINDS
        .iter()
        .find(|kind| kind.name == found)
        .ok_or_else(|| NodeError::UnknownKind {
            found: found.clone(),
            suggestion: nearest(&found.to_lowercase(), kinds()),
            kinds: kinds().collect(),
        })
}
