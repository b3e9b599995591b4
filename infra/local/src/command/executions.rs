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
        let tenant = &arguments.tenant;
        warn(
            &if arguments.workflow.is_none() && arguments.status.is_none() {
                format!(
                    "no runs of the tenant {tenant} yet: start one with `stepscope run support-triage \
                 --tenant {tenant}`, or look at another tenant's with --tenant"
                )
            } else {
                format!("no such runs of the tenant {tenant}")
            },
        );
        return Ok(());
    }
    say(&table(&page.executions));
    if page.page_info.has_next_page {
        warn("there are more: ask for them with --limit");
    }
    Ok(())
}

/// One line a run: id, status, start (UTC), length, and tokens and cost where there were any.
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
            if totals.input_tokens + totals.output_tokens + totals.cost_unknown == 0 {
                return String::new();
            }
            let tokens = tokens(Some(totals.input_tokens), Some(totals.output_tokens));
            let cost = match totals.cost_unknown {
                0 => cost(totals.cost_usd),
                _ => format!("{} + ?", cost(totals.cost_usd)),
            };
            format!("{:>18}  {cost}", tokens.unwrap_or_default())
        });
        let error = execution
            .error
            .as_deref()
            .map(|error| format!("  {}", safe(error)));
        format!(
            "{id:id_width$}  {style}{:<9}{style:#}  {} UTC  {length:>9}  {:<28}{}",
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
