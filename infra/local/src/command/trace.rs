use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::anyhow;
use reqwest::StatusCode;
use serde_json::Value;
use trace_model::{ExecutionArn, TenantId, Timestamp};

use super::answering::Answering;
use crate::api::{Execution, PageInfo, Trace};
use crate::arguments::TraceArguments;
use crate::connection::{Connection, Refused};
use crate::terminal::{say, width};
use crate::view::{Folding, TraceTree, TreeSpan, cost, duration, safe, tokens};

/// Spans asked for at a time.
const PAGE: &str = "1000";

pub(crate) async fn trace(arguments: TraceArguments) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(&arguments.target, &arguments.tenant).await?;
    let shown = show(&connection, &arguments).await;
    connection.close().await?;
    shown
        .map(|()| ExitCode::SUCCESS)
        .map_err(|error| unknown_run(error, &arguments.execution, &arguments.tenant))
}

/// Where to look for the run that the API does not know.
pub(crate) fn unknown_run(
    error: anyhow::Error,
    execution: &str,
    tenant: &TenantId,
) -> anyhow::Error {
    match error.downcast_ref::<Refused>() {
        Some(refused) if refused.status == StatusCode::NOT_FOUND => anyhow!(
            "the tenant {tenant} has no run {execution}: `stepscope executions --tenant {tenant}` \
             lists its runs, --tenant looks at another's"
        ),
        _ => error,
    }
}

async fn show(connection: &Connection, arguments: &TraceArguments) -> anyhow::Result<()> {
    let execution = execution_id(&arguments.execution);
    if arguments.json {
        say(&serde_json::to_string_pretty(
            &whole_answer(connection, &execution).await?,
        )?);
    } else {
        let trace = read(connection, &execution).await?;
        let answering = Answering::new(&arguments.target, &arguments.tenant);
        say(render(trace, folding(arguments.all), &answering).trim_end());
    }
    Ok(())
}

pub(crate) const fn folding(all: bool) -> Folding {
    if all {
        Folding::None
    } else {
        Folding::Iterations
    }
}

/// The public id, also from an ARN.
pub(crate) fn execution_id(text: &str) -> String {
    match ExecutionArn::parse(text) {
        Ok(arn) => arn.execution_id().as_str().to_owned(),
        Err(_) => text.to_owned(),
    }
}

/// All pages of a trace as one.
pub(crate) async fn read(connection: &Connection, execution: &str) -> anyhow::Result<Trace> {
    Ok(serde_json::from_value(
        whole_answer(connection, execution).await?,
    )?)
}

/// The API's own answer with the spans of all pages in it.
async fn whole_answer(connection: &Connection, execution: &str) -> anyhow::Result<Value> {
    let path = ["executions", execution, "trace"];
    let mut query = vec![("limit", PAGE.to_owned())];
    let mut answer: Value = connection.get(&path, &query).await?;
    loop {
        let page: PageInfo = serde_json::from_value(answer["page_info"].clone())?;
        let (true, Some(cursor)) = (page.has_next_page, page.cursor) else {
            return Ok(answer);
        };
        query.truncate(1);
        query.push(("cursor", cursor));
        let mut next: Value = connection.get(&path, &query).await?;
        let more = next["spans"].take();
        if let (Some(spans), Value::Array(more)) = (answer["spans"].as_array_mut(), more) {
            spans.extend(more);
        }
        answer["page_info"] = next["page_info"].take();
    }
}

/// A heading, the tree, and what the reader should know.
pub(crate) fn render(trace: Trace, folding: Folding, answering: &Answering) -> String {
    let execution = trace.execution;
    let waiting: Vec<String> = trace
        .spans
        .iter()
        .filter_map(|span| span.waits())
        .map(|(state, span_id)| {
            let approve = answering.command("approve", span_id);
            format!("{} waits for an answer: {approve}, or reject", safe(state))
        })
        .collect();
    let spans: Vec<TreeSpan> = trace.spans.into_iter().map(TreeSpan::from).collect();
    let total = spans
        .iter()
        .map(|span| span.start_offset + span.duration.unwrap_or_default())
        .max()
        .unwrap_or_default();
    let tree = TraceTree {
        spans: &spans,
        total,
        width: width(),
        folding,
    };
    let mut text = heading(&execution, total);
    text.push('\n');
    text.push_str(&tree.render());
    let yellow = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
    for line in waiting {
        let _ = writeln!(text, "{yellow}{line}{yellow:#}");
    }
    let dimmed = Style::new().dimmed();
    for line in redaction_line(&execution.redaction)
        .into_iter()
        .chain(execution.notices.iter().map(|notice| safe(notice)))
    {
        let _ = writeln!(text, "{dimmed}{line}{dimmed:#}");
    }
    text
}

fn heading(execution: &Execution, total: Duration) -> String {
    let bold = Style::new().bold();
    let status = status_style(&execution.status);
    let mut parts = vec![
        format!("{bold}{}{bold:#}", safe(&execution.id)),
        format!("{status}{}{status:#}", safe(&execution.status)),
        duration(run_length(execution).unwrap_or(total)),
    ];
    match execution.redrives {
        0 => {}
        1 => parts.push("redriven once".to_owned()),
        times => parts.push(format!("redriven {times} times")),
    }
    if let Some(totals) = &execution.totals {
        parts.push(format!("{} spans", totals.spans));
        if totals.errors > 0 {
            parts.push(format!("{} failed", totals.errors));
        }
        if totals.input_tokens + totals.output_tokens > 0 {
            parts.extend(tokens(
                Some(totals.input_tokens),
                Some(totals.output_tokens),
            ));
            let unknown = match totals.cost_unknown {
                0 => String::new(),
                calls => format!(" + {calls} calls of unknown price"),
            };
            parts.push(format!("{}{unknown}", cost(totals.cost_usd)));
        }
    }
    parts.join("  ")
}

pub(crate) fn status_style(status: &str) -> Style {
    let colour = match status {
        "SUCCEEDED" => AnsiColor::Green,
        "RUNNING" | "PENDING_REDRIVE" => AnsiColor::Blue,
        _ => AnsiColor::Red,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}

/// `None` while it runs.
pub(crate) fn run_length(execution: &Execution) -> Option<Duration> {
    let started = Timestamp::parse_rfc3339(&execution.started_at)?;
    let finished = Timestamp::parse_rfc3339(execution.finished_at.as_deref()?)?;
    Some(finished.since(started))
}

/// `masked: 3 email, 1 secret`.
fn redaction_line(redaction: &Value) -> Option<String> {
    let by_detector = redaction.get("by_detector")?.as_object()?;
    let counts: Vec<String> = by_detector
        .iter()
        .filter_map(|(detector, count)| Some(format!("{} {}", count.as_u64()?, safe(detector))))
        .collect();
    (!counts.is_empty()).then(|| format!("masked places: {}", counts.join(", ")))
}
