//! The Lambda function: a batch of the span queue's messages in, spans stored.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_process::logging::{self, LogFormat};
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, Config};
use lambda_runtime::{LambdaEvent, service_fn};
use trace_model::Clock;
use trace_store::TraceStore;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = Config::from_env()?;
    let clock = Clock::system();
    logging::init(LogFormat::Json, &config.log_filter, clock.clone())?;
    let metrics = Metrics::of_process(&config, "restore-spans", clock.clone());
    let clients = AwsClients::from_env().await;
    let store = TraceStore::of_process(&config, &clients, clock)?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        Ok::<_, lambda_runtime::Error>(restore_spans::handle(&store, &metrics, event.payload).await)
    }))
    .await
}
