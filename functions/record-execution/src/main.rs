//! The Lambda function: a batch of execution status changes in, traces stored.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_process::logging::{self, LogFormat};
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, Config};
use lambda_runtime::{LambdaEvent, service_fn};
use record_execution::{Recorder, handle};
use redaction::Policy;
use trace_model::Clock;
use trace_store::TraceStore;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = Config::from_env()?;
    let clock = Clock::system();
    logging::init(LogFormat::Json, &config.log_filter, clock.clone())?;
    let clients = AwsClients::from_env().await;
    let metrics = Metrics::of_process(&config, "record-execution", clock.clone());
    let store = TraceStore::of_process(&config, &clients, clock)?;
    let recorder = Recorder::new(
        clients.sfn().clone(),
        store,
        Policy::standard(),
        config.tenant.clone(),
    );
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let mut batch = metrics.batch();
        Ok::<_, lambda_runtime::Error>(handle(&recorder, event.payload, &mut batch).await)
    }))
    .await
}
