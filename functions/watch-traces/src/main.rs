//! The Lambda function: a tick of the schedule in, a look at executions and traces.

use lambda_process::logging::{self, LogFormat};
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, Config};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use trace_model::{Clock, Timestamp};
use trace_store::TraceStore;
use watch_traces::{SqsStatusQueue, Watcher};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = Config::from_env()?;
    let clock = Clock::system();
    logging::init(LogFormat::Json, &config.log_filter, clock.clone())?;
    let clients = AwsClients::from_env().await;
    let queue = SqsStatusQueue::of_process(&config, &clients)?;
    let store = TraceStore::of_process(&config, &clients, clock.clone())?;
    let metrics = Metrics::of_process(&config, "watch-traces", clock.clone());
    let watcher = Watcher::new(clients.sfn().clone(), store, queue, clock)
        .of_state_machines(&config.state_machine_prefix)
        .with_metrics(metrics);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<IgnoredAny>| {
        let deadline = Timestamp::from_unix_millis(event.context.deadline);
        Ok::<_, lambda_runtime::Error>(watcher.visit(deadline).await?)
    }))
    .await
}
