use std::process::ExitCode;

use serde_json::Value;

use super::trace::{run_length, status_style};
use crate::api::{Execution, Executions};
use crate::arguments::ExecutionsArguments;
use crate::connection::Connection;
use crate::terminal::{say, warn};
use crate::view::{cost, duration, safe, tokens};

pub(crate) async fn executions(arguments: ExecutionsArguments) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(&arguments.target, &arguments.tenant).await?;
    let listed = list(&connection, &arguments).await;
    connection.close().await?;
    listed.map(|()| ExitCode::SUCCESS)
}

async fn list(connection: &Connection, arguments: &ExecutionsArguments) -> anyhow::Result<()> {
    let mut query = vec![("limit", arguments.limit.to_string())];
    let filters = [
        ("workflow", &arguments.workflow),
        ("status", &arguments.status),
    ];
    for (name, value) in filters {
        query.extend(value.clone().map(|value| (name, value)));
    }
    let answer: Value = connection.get(&["executions"], &query).await?;
    if arguments.json {
        say(&serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let page: Executions = serde_json::from_value(answer)?;
    if page.executions.is_empty() {
        warn(&format!(
            "no runs of the tenant {} yet: start one with `stepscope run support-triage --tenant {}`",
            arguments.tenant, arguments.tenant
        ));
        return Ok(());
    }
    say(&table(&page.executions));
    if page.page_info.has_next_page {
        warn("there are more: ask for them with --limit");
    }
    Ok(())
}

/// One line a run: id, status, start, length, tokens and cost.
pub(crate) fn table(executions: &[Execution]) -> String {
    let ids: Vec<String> = executions
        .iter()
        .map(|execution| safe(&execution.id))
        .collect();
    let id_width = ids.iter().map(|id| id.chars().count()).max().unwrap_or(0);
    let lines = executions.iter().zip(&ids).map(|(execution, id)| {
        let style = status_style(&execution.status);
        let length = run_length(execution).map_or("running".to_owned(), duration);
        let started = execution
            .started_at
            .get(..19)
            .unwrap_or(&execution.started_at);
        let usage = execution.totals.as_ref().map(|totals| {
            let tokens = tokens(Some(totals.input_tokens), Some(totals.output_tokens));
            format!(
                "{:>18}  {}",
                tokens.unwrap_or_default(),
                cost(totals.cost_usd)
            )
        });
        let error = execution
            .error
            .as_deref()
            .map(|error| format!("  {}", safe(error)));
        format!(
            "{id:id_width$}  {style}{:<9}{style:#}  {}  {length:>9}  {}{}",
            safe(&execution.status),
            safe(&started.replace('T', " ")),
            usage.unwrap_or_default(),
            error.unwrap_or_default()
        )
        .trim_end()
        .to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
