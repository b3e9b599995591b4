//! Our own functions, run in this process when the engine invokes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambda_process::{AllowedAddress, Config};
use local_step_functions::{FunctionError, FunctionInvoker, InvocationRequest};
use run_node::{NodeEnvironment, NodeSettings};
use serde_json::Value;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use trace_model::Attributes;
use trace_store::TraceStore;
use tracer::{Invocation, WorkflowTracer};
use url::Url;

use super::examples::{DEMO_SERVICE_URL, RUN_NODE_FUNCTION_ARN};
use super::{LOCAL_REGION, engines};

const RUN_NODE: &str = "run-node";

/// What `${Name}` in a definition stands for here.
pub(super) fn substitutions(demo_url: &Url) -> BTreeMap<String, String> {
    let service = demo_url.as_str().to_owned() + "service";
    BTreeMap::from([
        (
            RUN_NODE_FUNCTION_ARN.to_owned(),
            engines::place().function_arn(RUN_NODE),
        ),
        (DEMO_SERVICE_URL.to_owned(), service),
    ])
}

/// Whose spans the nodes' are.
pub(crate) fn resource() -> Attributes {
    [
        ("service.name", RUN_NODE),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("cloud.provider", "local"),
        ("cloud.region", LOCAL_REGION),
        ("faas.name", RUN_NODE),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect()
}

/// `run-node` in this process; every other function behind the endpoint, if there is one.
/// `invocations` holds a token for each call until its spans are written.
pub(super) fn functions(
    environment: Arc<NodeEnvironment>,
    lambda_endpoint: Option<Url>,
    tasks: &TaskTracker,
    invocations: &TaskTracker,
) -> anyhow::Result<FunctionInvoker> {
    let (tasks, invocations) = (tasks.clone(), invocations.clone());
    let invoker = FunctionInvoker::new().with_function(RUN_NODE, move |request| {
        invoke(
            Arc::clone(&environment),
            request,
            tasks.clone(),
            invocations.token(),
        )
    });
    Ok(match lambda_endpoint {
        Some(endpoint) => invoker.with_lambda_endpoint(endpoint, lambda_process::http_client()?),
        None => invoker,
    })
}

/// One call, and behind it the writing of its spans: as on Lambda after the response is posted.
async fn invoke(
    environment: Arc<NodeEnvironment>,
    request: InvocationRequest,
    tasks: TaskTracker,
    under_way: TaskTrackerToken,
) -> Result<Value, FunctionError> {
    let invocation = Invocation {
        deadline: Some(request.deadline),
        request_id: Some(request.request_id),
        ..Invocation::default()
    };
    let answer = run_node::handle_invocation(&environment, request.payload, invocation).await;
    tasks.spawn(async move {
        environment.tracer().flush().await;
        drop(under_way);
    });
    answer.map_err(|error| FunctionError {
        error_type: error.name(),
        error_message: error.to_string(),
        stack_trace: Vec::new(),
    })
}

/// Nodes that may reach the demo services, and no other private address unless the
/// environment names it.
pub(crate) fn environment(
    config: &Config,
    tracer: WorkflowTracer,
    store: TraceStore,
    demo_url: &Url,
) -> anyhow::Result<Arc<NodeEnvironment>> {
    let mut settings = NodeSettings::from(config);
    settings.models.demo_url = Some(demo_url.join("model/v1/")?);
    settings.http_allow.push(AllowedAddress {
        host: demo_url.host_str().unwrap_or_default().to_owned(),
        port: demo_url.port_or_known_default().unwrap_or_default(),
    });
    Ok(Arc::new(NodeEnvironment::new(tracer, store, settings)?))
}
