//! The Lambda function: a batch of the table's changes in, runs' totals stored.

use aws_lambda_events::dynamodb::Event;
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
    let clients = AwsClients::from_env().await;
    let metrics = Metrics::of_process(&config, "summarise-run", clock.clone());
    let store = TraceStore::of_process(&config, &clients, clock)?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        let mut batch = metrics.batch();
        let response = summarise_run::handle(&store, event.payload, &mut batch).await;
        Ok::<_, lambda_runtime::Error>(response)
    }))
    .await
}
