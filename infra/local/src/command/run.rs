use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{check, trace};
use crate::api::{Started, Trace, Workflows};
use crate::arguments::RunArguments;
use crate::cloud::examples::{self, DEMO_SERVICE_URL, RUN_NODE_FUNCTION_ARN, Workflow};
use crate::cloud::machine_arn;
use crate::connection::{Connection, Refused};
use crate::progress::Progress;
use crate::terminal::{say, warn};
use crate::view::safe;

/// Between two looks at a running execution.
const POLL: Duration = Duration::from_millis(100);

/// How long the trace may take to be whole after the run has ended: a function whose state has
/// timed out may still be at work.
const SETTLING: Duration = Duration::from_secs(5);

/// What to run, with its input.
struct Order {
    workflow: String,
    input: Value,
}

/// How an execution ended, in the workflow's own words.
pub(crate) struct Ended {
    pub status: ExecutionStatus,
    output: Option<String>,
    error: Option<String>,
    cause: Option<String>,
}

pub(crate) async fn run(arguments: RunArguments) -> anyhow::Result<ExitCode> {
    let input = arguments.input.as_deref().map(read_input).transpose()?;
    let file = file(&arguments.workflow);
    let workflow = file.as_deref().map(examples::read).transpose()?;
    if let (Some(workflow), Some(file)) = (&workflow, &file) {
        check(workflow, file)?;
    }
    let connection = Connection::open(&arguments.target, &arguments.tenant).await?;
    let done = follow(&connection, &arguments, workflow, input).await;
    connection.close().await?;
    let ended = done?;
    Ok(match ended.status {
        ExecutionStatus::Succeeded => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

async fn follow(
    connection: &Connection,
    arguments: &RunArguments,
    workflow: Option<Workflow>,
    input: Option<Value>,
) -> anyhow::Result<Ended> {
    let order = match workflow {
        Some(workflow) => {
            publish(connection, workflow.clone()).await?;
            Order {
                input: input.or(workflow.example_input).unwrap_or(json!({})),
                workflow: workflow.name,
            }
        }
        None => named(connection, &arguments.workflow, input),
    };
    let started = start(connection, &order, arguments.name.as_deref()).await?;
    let mut progress = Progress::new(!arguments.json);
    let ended = wait(connection, &started.execution_arn, &mut progress).await?;
    let trace = settled(connection, &started.id).await;
    if arguments.json {
        say(&serde_json::to_string_pretty(&summary(
            &started.id,
            &ended,
        ))?);
    } else {
        progress.finish();
        say(trace::render(trace?, trace::folding(arguments.all)).trim_end());
        say(&outcome(&ended));
    }
    Ok(ended)
}

/// The path, when the argument names a file and not a workflow.
fn file(workflow: &str) -> Option<PathBuf> {
    let is_path = workflow.contains('/')
        || Path::new(workflow)
            .extension()
            .is_some_and(|extension| extension == "json");
    is_path.then(|| PathBuf::from(workflow))
}

/// All there is to say against a definition, before anything is started for it. Its names are looked
/// for among those that every local cloud has.
fn check(workflow: &Workflow, file: &Path) -> anyhow::Result<()> {
    let name = file.display().to_string();
    let checked = check::checked(&workflow.definition);
    for problem in &checked.problems {
        warn(&check::line(&name, problem));
    }
    let errors = checked.problems.iter().filter(|problem| problem.is_error());
    match errors.count() {
        0 => {}
        1 => bail!("the workflow cannot run: it has an error"),
        count => bail!("the workflow cannot run: it has {count} errors"),
    }
    let placeholders = BTreeMap::from([
        (RUN_NODE_FUNCTION_ARN.to_owned(), "run-node".to_owned()),
        (DEMO_SERVICE_URL.to_owned(), "http://127.0.0.1".to_owned()),
    ]);
    workflow.clone().substituted(&placeholders).map(|_| ())
}

fn read_input(text: &str) -> anyhow::Result<Value> {
    let (text, source) = match text.strip_prefix('@') {
        Some(path) => {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read the input file {path}"))?;
            (text, path)
        }
        None => (text.to_owned(), "--input"),
    };
    serde_json::from_str(&text).with_context(|| {
        format!("{source} is not valid JSON; give a JSON value, or @FILE with one in it")
    })
}

/// A workflow that the cloud has already; without input it takes its example's.
fn named(connection: &Connection, name: &str, input: Option<Value>) -> Order {
    let example = connection.example_input(name);
    Order {
        workflow: name.to_owned(),
        input: input
            .or_else(|| example.cloned())
            .unwrap_or_else(|| json!({})),
    }
}

/// Creates the state machine, or updates it when its definition has changed.
async fn publish(connection: &Connection, workflow: Workflow) -> anyhow::Result<()> {
    let workflow = workflow.substituted(connection.substitutions())?;
    let arn = machine_arn(&workflow.name);
    workflow.publish(&connection.step_functions, &arn).await
}

async fn start(
    connection: &Connection,
    order: &Order,
    name: Option<&str>,
) -> anyhow::Result<Started> {
    let mut body = json!({"input": order.input});
    if let Some(name) = name {
        body["name"] = json!(name);
    }
    let path = ["workflows", &order.workflow, "executions"];
    match connection.post(&path, &body).await {
        Err(error) if is_not_found(&error) => Err(unknown_workflow(connection, &order.workflow)
            .await
            .unwrap_or(error)),
        started => started,
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(|refused| refused.status == StatusCode::NOT_FOUND)
}

/// `None` when the workflows cannot be listed, or when it is there after all.
async fn unknown_workflow(connection: &Connection, name: &str) -> Option<anyhow::Error> {
    let known: Workflows = connection.get(&["workflows"], &[]).await.ok()?;
    let known: Vec<String> = known
        .workflows
        .into_iter()
        .map(|known| known.name)
        .collect();
    if known.iter().any(|known| known == name) {
        return None;
    }
    let nearest = known
        .iter()
        .max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)))
        .filter(|known| strsim::jaro(known, name) > 0.8);
    Some(match nearest {
        Some(nearest) => anyhow!("there is no workflow {name:?}; did you mean {nearest:?}?"),
        None => anyhow!(
            "there is no workflow {name:?}; there are {}, and files that end in .asl.json",
            known.join(", ")
        ),
    })
}

/// Follows the history until the execution is over.
async fn wait(
    connection: &Connection,
    arn: &str,
    progress: &mut Progress,
) -> anyhow::Result<Ended> {
    loop {
        let described = connection
            .step_functions
            .describe_execution()
            .execution_arn(arn)
            .send()
            .await
            .context("the local cloud no longer tells how the run goes")?;
        progress.show(&events_after(connection, arn, progress.last_event()).await?);
        if *described.status() != ExecutionStatus::Running {
            return Ok(Ended {
                status: described.status().clone(),
                output: described.output().map(str::to_owned),
                error: described.error().map(str::to_owned),
                cause: described.cause().map(str::to_owned),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The newest events down to the last one known, oldest first.
async fn events_after(
    connection: &Connection,
    arn: &str,
    last: i64,
) -> anyhow::Result<Vec<HistoryEvent>> {
    let mut events: Vec<HistoryEvent> = Vec::new();
    let mut token = None;
    loop {
        let page = connection
            .step_functions
            .get_execution_history()
            .execution_arn(arn)
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
async fn settled(connection: &Connection, execution: &str) -> anyhow::Result<Trace> {
    let deadline = tokio::time::Instant::now() + SETTLING;
    loop {
        let last_try = tokio::time::Instant::now() >= deadline;
        match trace::read(connection, execution).await {
            Ok(trace) if is_settled(&trace) || last_try => return Ok(trace),
            Err(error) if last_try => return Err(error),
            Ok(_) | Err(_) => tokio::time::sleep(POLL / 2).await,
        }
    }
}

fn is_settled(trace: &Trace) -> bool {
    let counted = trace.execution.totals.as_ref();
    trace.execution.finished_at.is_some()
        && trace.spans.iter().all(|span| !span.is_open())
        && counted.is_some_and(|totals| totals.spans == trace.spans.len() as u64)
}

fn summary(execution: &str, ended: &Ended) -> Value {
    let output = ended.output.as_deref();
    let output = output
        .map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())));
    json!({
        "execution": execution,
        "status": ended.status.as_str(),
        "output": output,
        "error": ended.error,
        "cause": ended.cause,
    })
}

/// The output, or why there is none.
fn outcome(ended: &Ended) -> String {
    if let Some(output) = &ended.output {
        let pretty = serde_json::from_str::<Value>(output)
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_else(|_| output.clone());
        return format!("output {}", shortened(&pretty));
    }
    let error = safe(ended.error.as_deref().unwrap_or(ended.status.as_str()));
    match &ended.cause {
        Some(cause) => format!("{error}: {}", safe(&message_in(cause))),
        None => error,
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
