use std::process::ExitCode;

use anyhow::bail;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use trace_model::{Clock, TenantId, Timestamp};

use super::answering::Answering;
use crate::api::{Approval, Approvals, Executions};
use crate::arguments::{ApprovalsArguments, DecideArguments};
use crate::connection::Connection;
use crate::terminal::{say, warn};
use crate::view::{duration, safe};

/// Runs looked at together.
const AT_ONCE: usize = 8;

/// Runs asked for at a time.
const PAGE: &str = "200";

/// What a person says to a task that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approve,
    Reject,
}

#[derive(Deserialize)]
struct Decided {
    output: Value,
}

/// Lists what waits, the oldest last: as the runs are listed.
pub(crate) async fn approvals(arguments: ApprovalsArguments) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(&arguments.target, &arguments.tenant).await?;
    let waiting = waiting(&connection).await;
    connection.close().await?;
    let waiting = waiting?;
    if arguments.json {
        say(&serde_json::to_string_pretty(
            &json!({ "approvals": waiting }),
        )?);
        return Ok(ExitCode::SUCCESS);
    }
    if waiting.is_empty() {
        let tenant = &arguments.tenant;
        warn(&format!(
            "nothing of the tenant {tenant} waits for a person"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    say(&table(&waiting, Clock::system().now()));
    let answering = Answering::new(&arguments.target, &arguments.tenant);
    warn(&format!(
        "\nanswer with {}, or reject",
        answering.command("approve", "SPAN")
    ));
    Ok(ExitCode::SUCCESS)
}

/// Sends the verdict to the one task whose span id begins so.
pub(crate) async fn decide(
    arguments: DecideArguments,
    verdict: Verdict,
) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(&arguments.target, &arguments.tenant).await?;
    let decided = send(&connection, &arguments, verdict).await;
    connection.close().await?;
    let (approval, decided) = decided?;
    let word = match verdict {
        Verdict::Approve => "approved",
        Verdict::Reject => "rejected",
    };
    let by = decided.output.get("by").and_then(Value::as_str);
    say(&format!(
        "{word} {} of {}{}",
        safe(&approval.state),
        safe(&approval.execution_id),
        by.map_or_else(String::new, |by| format!(" as {}", safe(by)))
    ));
    Ok(ExitCode::SUCCESS)
}

async fn send(
    connection: &Connection,
    arguments: &DecideArguments,
    verdict: Verdict,
) -> anyhow::Result<(Approval, Decided)> {
    let waiting = waiting(connection).await?;
    let approval = named(waiting, &arguments.span, &arguments.tenant)?;
    let mut body = json!({"approved": verdict == Verdict::Approve});
    if let Some(comment) = &arguments.comment {
        body["comment"] = json!(comment);
    }
    let path = [
        "executions",
        &approval.execution_id,
        "approvals",
        &approval.span_id,
    ];
    let decided = connection.post(&path, &body).await?;
    Ok((approval, decided))
}

fn named(waiting: Vec<Approval>, span: &str, tenant: &TenantId) -> anyhow::Result<Approval> {
    let prefix = span.to_ascii_lowercase();
    let mut matching: Vec<Approval> = waiting
        .into_iter()
        .filter(|approval| !prefix.is_empty() && approval.span_id.starts_with(&prefix))
        .collect();
    match (matching.pop(), matching.is_empty()) {
        (Some(approval), true) => Ok(approval),
        (None, _) => bail!(
            "nothing of the tenant {tenant} waits under a span {span:?}: `stepscope approvals \
             --tenant {tenant}` lists what does, --tenant looks at another's"
        ),
        (Some(last), false) => {
            matching.push(last);
            let lines: Vec<String> = matching
                .iter()
                .map(|found| format!("  {}  {}", found.span_id, safe(&found.execution_id)))
                .collect();
            bail!(
                "{} tasks wait under spans that begin with {span:?}: give more of the id\n{}",
                lines.len(),
                lines.join("\n")
            )
        }
    }
}

/// All of the tenant's tasks that wait, by the runs that go on.
async fn waiting(connection: &Connection) -> anyhow::Result<Vec<Approval>> {
    let mut query = vec![("status", "RUNNING".to_owned()), ("limit", PAGE.to_owned())];
    let mut waiting = Vec::new();
    loop {
        let page: Executions = connection.get(&["executions"], &query).await?;
        let asked = page.executions.into_iter().map(|execution| async move {
            let path = ["executions", execution.id.as_str(), "approvals"];
            let listed: Approvals = connection.get(&path, &[]).await?;
            anyhow::Ok(listed.approvals)
        });
        let listed: Vec<Vec<Approval>> =
            stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        waiting.extend(listed.into_iter().flatten());
        let (true, Some(cursor)) = (page.page_info.has_next_page, page.page_info.cursor) else {
            return Ok(waiting);
        };
        query.truncate(2);
        query.push(("cursor", cursor));
    }
}

/// One line a task: span, how long it waits, its run and state, and its question below.
fn table(waiting: &[Approval], now: Timestamp) -> String {
    let lines = waiting.iter().map(|approval| {
        let since = Timestamp::parse_rfc3339(&approval.since).unwrap_or(now);
        let deadline = approval.deadline.as_deref();
        let left = deadline
            .and_then(Timestamp::parse_rfc3339)
            .map_or_else(String::new, |deadline| {
                format!(", {} left", duration(deadline.since(now)))
            });
        let question = match approval.question.as_deref() {
            Some(question) => format!("\n                  {}", safe(question)),
            None => String::new(),
        };
        let unanswerable = if approval.can_be_answered {
            ""
        } else {
            "  (its payload has no task_token: only its receiver can answer)"
        };
        format!(
            "{}  {} in {}  waits {}{left}{unanswerable}{question}",
            safe(&approval.span_id),
            safe(&approval.state),
            safe(&approval.execution_id),
            duration(now.since(since)),
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(span_id: &str) -> Approval {
        Approval {
            execution_id: "triage:run-1".to_owned(),
            span_id: span_id.to_owned(),
            state: "Approve".to_owned(),
            question: Some("Refund\u{1b}[2J?".to_owned()),
            since: "2026-01-31T12:00:00Z".to_owned(),
            deadline: Some("2026-01-31T12:10:00Z".to_owned()),
            can_be_answered: true,
        }
    }

    fn check(span: &str, expected: Result<&str, &str>) {
        let waiting = ["aa01", "aa02", "ab03"].map(approval).to_vec();
        let found = named(waiting, span, &TenantId::default());
        let found = found.map(|approval| approval.span_id);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words), "{error}");
            }
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn a_unique_prefix_names_a_task() {
        check("aa01", Ok("aa01"));
        check("AB", Ok("ab03"));
        check("aa", Err("2 tasks wait"));
        check("ac", Err("nothing of the tenant"));
        check("", Err("nothing of the tenant"));
    }

    #[test]
    fn a_line_says_how_long_and_forges_nothing() {
        let now = Timestamp::parse_rfc3339("2026-01-31T12:03:05Z").unwrap();
        assert_eq!(
            table(&[approval("aa01")], now),
            "aa01  Approve in triage:run-1  waits 3 min 05 s, 6 min 55 s left\n                  \
             Refund\\u{1b}[2J?"
        );
    }
}
