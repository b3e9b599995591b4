use std::process::ExitCode;

use aws_sdk_sfn::types::ExecutionStatus;
use serde::Deserialize;
use serde_json::json;

use super::answering::Answering;
use super::follow::{Beginning, Ended, Following, Showing};
use super::trace::{execution_id, folding, unknown_run};
use crate::arguments::RedriveArguments;
use crate::connection::Connection;

#[derive(Deserialize)]
struct Redriven {
    id: String,
    execution_arn: String,
    redrives: u32,
}

/// Takes the run up again and follows it; the exit status is the run's.
pub(crate) async fn redrive(arguments: RedriveArguments) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(&arguments.target, &arguments.tenant).await?;
    let done = redrive_and_follow(&connection, &arguments).await;
    connection.close().await?;
    let ended =
        done.map_err(|error| unknown_run(error, &arguments.execution, &arguments.tenant))?;
    Ok(match ended.status {
        ExecutionStatus::Succeeded => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

async fn redrive_and_follow(
    connection: &Connection,
    arguments: &RedriveArguments,
) -> anyhow::Result<Ended> {
    let execution = execution_id(&arguments.execution);
    let path = ["executions", &execution, "redrive"];
    let redriven: Redriven = connection.post(&path, &json!({})).await?;
    let following = Following {
        connection,
        execution: &redriven.id,
        arn: &redriven.execution_arn,
        beginning: Beginning::Redrive {
            redrives: redriven.redrives,
        },
        showing: if arguments.json {
            Showing::Json
        } else {
            Showing::Trace(folding(arguments.all))
        },
        answering: Answering::new(&arguments.target, &arguments.tenant),
    };
    following.until_it_ends().await
}
