use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use aws_sdk_sfn::types::ExecutionStatus;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::answering::Answering;
use super::check;
use super::follow::{Beginning, Ended, Following, Showing};
use super::trace::folding;
use crate::api::{Started, Workflows};
use crate::arguments::RunArguments;
use crate::cloud::examples::{self, DEMO_SERVICE_URL, RUN_NODE_FUNCTION_ARN, Workflow};
use crate::cloud::machine_arn;
use crate::connection::{Connection, Refused};
use crate::terminal::warn;

/// What to run, with its input.
struct Order {
    workflow: String,
    input: Value,
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
    let following = Following {
        connection,
        execution: &started.id,
        arn: &started.execution_arn,
        beginning: Beginning::Start,
        showing: if arguments.json {
            Showing::Json
        } else {
            Showing::Trace(folding(arguments.all))
        },
        answering: Answering::new(&arguments.target, &arguments.tenant),
    };
    following.until_it_ends().await
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
