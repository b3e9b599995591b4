//! Follows an execution to its end, then shows what came of it.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent, HistoryEventType};
use serde_json::{Value, json};

use super::answering::Answering;
use super::trace;
use crate::api::{Approvals, Trace};
use crate::connection::Connection;
use crate::progress::Progress;
use crate::terminal::{say, warn};
use crate::view::{Folding, safe};

/// Between two looks at a running execution.
const POLL: Duration = Duration::from_millis(100);

/// How long the trace may take to be whole after the run has ended: a function whose state has
/// timed out may still be at work.
const SETTLING: Duration = Duration::from_secs(5);

/// What is followed, and how it is shown.
pub(crate) struct Following<'a> {
    pub connection: &'a Connection,
    pub execution: &'a str,
    pub arn: &'a str,
    pub beginning: Beginning,
    pub showing: Showing,
    /// What to type when somebody is waited for.
    pub answering: Answering,
}

/// Which part of the history is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    Start,
    /// The latest redrive; that many there were.
    Redrive {
        redrives: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Showing {
    /// Progress, the trace and the output.
    Trace(Folding),
    /// One JSON object at the end.
    Json,
}

/// How an execution ended, in the workflow's own words.
pub(crate) struct Ended {
    pub status: ExecutionStatus,
    output: Option<String>,
    error: Option<String>,
    cause: Option<String>,
}

/// Whether somebody has been told what a waiting task needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Told,
    /// The API may not know of the run yet.
    ToTell,
}

impl Following<'_> {
    pub(crate) async fn until_it_ends(self) -> anyhow::Result<Ended> {
        let mut progress = Progress::new(self.showing != Showing::Json);
        let ended = self.wait(&mut progress).await?;
        let trace = self.settled(&ended).await;
        match self.showing {
            Showing::Json => {
                let summary = ended.summary(self.execution);
                say(&serde_json::to_string_pretty(&summary)?);
            }
            Showing::Trace(folding) => {
                progress.finish();
                say(trace::render(trace?, folding, &self.answering).trim_end());
                say(&ended.outcome());
            }
        }
        Ok(ended)
    }

    /// Follows the history until the execution is over.
    async fn wait(&self, progress: &mut Progress) -> anyhow::Result<Ended> {
        let mut told = HashSet::new();
        let mut waiting = Waiting::Told;
        let mut begun = false;
        loop {
            let described = self
                .connection
                .step_functions
                .describe_execution()
                .execution_arn(self.arn)
                .send()
                .await
                .context("the local cloud no longer tells how the run goes")?;
            let mut fresh = self.events_after(progress.last_event()).await?;
            if !std::mem::replace(&mut begun, true) && self.beginning != Beginning::Start {
                let is_redrive =
                    |event: &HistoryEvent| event.r#type == HistoryEventType::ExecutionRedriven;
                let known = fresh.iter().rposition(is_redrive).unwrap_or(0);
                fresh.drain(..known);
            }
            if progress.show(&fresh) {
                waiting = Waiting::ToTell;
            }
            if *described.status() != ExecutionStatus::Running {
                return Ok(Ended {
                    status: described.status().clone(),
                    output: described.output().map(str::to_owned),
                    error: described.error().map(str::to_owned),
                    cause: described.cause().map(str::to_owned),
                });
            }
            if waiting == Waiting::ToTell {
                waiting = self.tell_what_waits(&mut told).await;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Who is waited for, and the commands that answer: once for each task.
    async fn tell_what_waits(&self, told: &mut HashSet<String>) -> Waiting {
        let path = ["executions", self.execution, "approvals"];
        let listed: anyhow::Result<Approvals> = self.connection.get(&path, &[]).await;
        let Ok(listed) = listed else {
            return Waiting::ToTell;
        };
        for approval in listed.approvals {
            if told.insert(approval.span_id.clone()) {
                warn(&self.answering.hint(&approval));
            }
        }
        Waiting::Told
    }

    /// The newest events down to the last one known, oldest first.
    async fn events_after(&self, last: i64) -> anyhow::Result<Vec<HistoryEvent>> {
        let mut events: Vec<HistoryEvent> = Vec::new();
        let mut token = None;
        loop {
            let page = self
                .connection
                .step_functions
                .get_execution_history()
                .execution_arn(self.arn)
                .reverse_order(true)
                .include_execution_data(false)
                .max_results(200)
                .set_next_token(token)
                .send()
                .await?;
            let known = page.events.iter().any(|event| event.id <= last);
            events.extend(page.events.into_iter().filter(|event| event.id > last));
            token = page.next_token;
            if known || token.is_none() {
                events.reverse();
                return Ok(events);
            }
        }
    }

    /// The trace once everything that was acknowledged is in it: the run closed, its spans
    /// finished, its totals counted.
    async fn settled(&self, ended: &Ended) -> anyhow::Result<Trace> {
        let deadline = tokio::time::Instant::now() + SETTLING;
        loop {
            let last_try = tokio::time::Instant::now() >= deadline;
            match trace::read(self.connection, self.execution).await {
                Ok(trace) if self.is_settled(&trace, ended) || last_try => return Ok(trace),
                Err(error) if last_try => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep(POLL / 2).await,
            }
        }
    }

    fn is_settled(&self, trace: &Trace, ended: &Ended) -> bool {
        let execution = &trace.execution;
        let redrives = match self.beginning {
            Beginning::Start => 0,
            Beginning::Redrive { redrives } => redrives,
        };
        let counted = execution.totals.as_ref();
        execution.finished_at.is_some()
            && execution.redrives >= redrives
            && execution.status == ended.status.as_str()
            && trace.spans.iter().all(|span| !span.is_open())
            && counted.is_some_and(|totals| totals.spans == trace.spans.len() as u64)
    }
}

impl Ended {
    fn summary(&self, execution: &str) -> Value {
        let output = self.output.as_deref();
        let output = output.map(|text| {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        });
        json!({
            "execution": execution,
            "status": self.status.as_str(),
            "output": output,
            "error": self.error,
            "cause": self.cause,
        })
    }

    /// The output, or why there is none.
    fn outcome(&self) -> String {
        if let Some(output) = &self.output {
            let pretty = serde_json::from_str::<Value>(output)
                .and_then(|value| serde_json::to_string_pretty(&value))
                .unwrap_or_else(|_| output.clone());
            return format!("output {}", shortened(&pretty));
        }
        let error = safe(self.error.as_deref().unwrap_or(self.status.as_str()));
        match &self.cause {
            Some(cause) => format!("{error}: {}", safe(&message_in(cause))),
            None => error,
        }
    }
}

/// What a terminal can show of a long output, and where the rest is.
fn shortened(pretty: &str) -> String {
    const MOST_LINES: usize = 24;
    const LONGEST_LINE: usize = 400;
    let mut shown: Vec<String> = Vec::new();
    let mut is_cut = false;
    for line in pretty.lines().take(MOST_LINES) {
        let line = safe(line);
        let end = line.char_indices().nth(LONGEST_LINE).map(|(end, _)| end);
        is_cut |= end.is_some();
        shown.push(end.map_or(line.clone(), |end| format!("{} …", &line[..end])));
    }
    if is_cut || pretty.lines().count() > MOST_LINES {
        shown.push("(cut here: --json prints all of it)".to_owned());
    }
    shown.join("\n")
}

/// A failed Lambda's cause is JSON with the message inside it.
fn message_in(cause: &str) -> String {
    let message = serde_json::from_str::<Value>(cause)
        .ok()
        .and_then(|cause| Some(cause.get("errorMessage")?.as_str()?.to_owned()));
    message.unwrap_or_else(|| cause.to_owned())
}
