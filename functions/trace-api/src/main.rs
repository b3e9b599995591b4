//! The Lambda function behind the HTTP API.

use lambda_process::logging::{self, LogFormat};
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, Config};
use trace_api::{ApiState, app};
use trace_model::Clock;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let config = Config::from_env()?;
    let clock = Clock::system();
    logging::init(LogFormat::Json, &config.log_filter, clock.clone())?;
    let clients = AwsClients::from_env().await;
    let metrics = Metrics::of_process(&config, "trace-api", clock.clone());
    let state = ApiState::of_process(&config, &clients, clock, metrics)?;
    lambda_http::run(app(state)).await
}
