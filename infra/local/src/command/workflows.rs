use std::process::ExitCode;

use anstyle::Style;
use serde_json::Value;

use crate::api::Workflows;
use crate::arguments::WorkflowsArguments;
use crate::connection::Connection;
use crate::terminal::say;
use crate::view::safe;

pub(crate) async fn workflows(arguments: WorkflowsArguments) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(&arguments.target, &arguments.tenant).await?;
    let answer: anyhow::Result<Value> = connection.get(&["workflows"], &[]).await;
    connection.close().await?;
    let answer = answer?;
    if arguments.json {
        say(&serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    let workflows: Workflows = serde_json::from_value(answer)?;
    let bold = Style::new().bold();
    for workflow in workflows.workflows {
        say(&format!("{bold}{}{bold:#}", safe(&workflow.name)));
    }
    Ok(ExitCode::SUCCESS)
}
