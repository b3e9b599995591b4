//! The Lambda function: a batch of the table's changes in, finished spans sent to a collector.

use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use export_spans::{Exporter, handle};
use lambda_process::logging::{self, LogFormat};
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, Config};
use lambda_runtime::{LambdaEvent, service_fn};
use trace_model::{Clock, Timestamp};
use trace_store::TraceStore;

/// Kept for the answer, without which Lambda takes the whole batch for failed.
const TO_ANSWER: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = Config::from_env()?;
    let clock = Clock::system();
    logging::init(LogFormat::Json, &config.log_filter, clock.clone())?;
    let otlp = config.otlp.clone();
    let otlp = otlp.ok_or("no collector to export to: set OTEL_EXPORTER_OTLP_ENDPOINT")?;
    let exporter = Exporter::new(otlp, config.export_content, clock.clone())?;
    let clients = AwsClients::from_env().await;
    let metrics = Metrics::of_process(&config, "export-spans", clock.clone());
    let store = TraceStore::of_process(&config, &clients, clock)?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        let deadline = Timestamp::from_unix_millis(event.context.deadline);
        let until = Some(deadline.minus(TO_ANSWER));
        let mut batch = metrics.batch();
        let handled = handle(&store, &exporter, event.payload, until, &mut batch);
        let (response, outcome) = handled.await;
        tracing::info!(spans = outcome.spans, dropped = outcome.dropped, "exported");
        Ok::<_, lambda_runtime::Error>(response)
    }))
    .await
}
