use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::trace::{execution_id, unknown_run};
use crate::arguments::StopArguments;
use crate::connection::Connection;
use crate::terminal::say;
use crate::view::safe;

#[derive(Deserialize)]
struct Stopped {
    id: String,
    status: String,
}

pub(crate) async fn stop(arguments: StopArguments) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(&arguments.target, &arguments.tenant).await?;
    let execution = execution_id(&arguments.execution);
    let mut reason = Map::new();
    for (name, text) in [("error", &arguments.error), ("cause", &arguments.cause)] {
        reason.extend(
            text.clone()
                .map(|text| (name.to_owned(), Value::from(text))),
        );
    }
    let path = ["executions", &execution, "stop"];
    let stopped: anyhow::Result<Stopped> = connection.post(&path, &Value::Object(reason)).await;
    connection.close().await?;
    let stopped =
        stopped.map_err(|error| unknown_run(error, &arguments.execution, &arguments.tenant))?;
    say(&format!("{} {}", safe(&stopped.id), safe(&stopped.status)));
    Ok(ExitCode::SUCCESS)
}
