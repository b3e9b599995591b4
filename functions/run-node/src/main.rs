use std::sync::Arc;

use lambda_process::Config;
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use run_node::{NodeEnvironment, NodeSettings, handle_invocation};
use serde_json::Value;
use tracer::{FlushLayer, Invocation, WorkflowTracer};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = Config::from_env()?;
    let (tracer, store) = WorkflowTracer::start(&config).await?;
    let flush = FlushLayer::new(tracer.clone());
    let environment = NodeEnvironment::new(tracer, store, NodeSettings::from(&config))?;
    let environment = Arc::new(environment);
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let environment = Arc::clone(&environment);
        async move {
            let invocation = Invocation::of(&event.context);
            handle_invocation(&environment, event.payload, invocation).await
        }
    });
    Runtime::new(handler).layer(flush).run().await
}
