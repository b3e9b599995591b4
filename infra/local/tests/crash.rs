//! Killed in the middle of anything and started again: what was acknowledged is there.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_sfn::types::HistoryEvent;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use lambda_process::LocalService;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use support::{Dev, Folder, eventually, outline};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use trace_model::{ExecutionArn, SpanId};

const KILLS: u64 = 50;
/// In a soak, which `STEPSCOPE_SOAK` asks for: four local clouds side by side, killed so often each.
const KILLS_IN_A_SOAK: u64 = 250;
const CLOUDS_IN_A_SOAK: u64 = 4;
const RUNS_EACH_TIME: u64 = 4;
/// So many of the latest runs are looked at while the process lives.
const LOOKED_AT: usize = 8;
const TENANT: &str = "acme";
const MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:errands";

/// What a caller has been told so far.
#[derive(Default)]
struct Told {
    /// Executions whose start was answered.
    started: Vec<String>,
    /// Spans that the API has shown, by execution.
    shown: BTreeMap<String, BTreeSet<String>>,
    /// Events that Step Functions' own API has shown, by execution: the longest history.
    events: BTreeMap<String, Vec<HistoryEvent>>,
}

impl Told {
    /// An answer that comes late may be the shorter one.
    fn saw(&mut self, arn: String, events: Vec<HistoryEvent>) {
        let longest = self.events.entry(arn).or_default();
        if events.len() > longest.len() {
            *longest = events;
        }
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is no part of the product's configuration"
)]
fn hard_case_24_killed_at_random_moments_nothing_acknowledged_is_lost() {
    if std::env::var_os("STEPSCOPE_SOAK").is_none() {
        return kill_again_and_again(24, KILLS);
    }
    std::thread::scope(|scope| {
        for seed in 0..CLOUDS_IN_A_SOAK {
            scope.spawn(move || kill_again_and_again(seed, KILLS_IN_A_SOAK));
        }
    });
}

fn kill_again_and_again(seed: u64, kills: u64) {
    let runtime = Runtime::new().unwrap();
    let service = runtime.block_on(service());
    let folder = Folder::new();
    write_workflow(&folder, &service);
    let mut random = StdRng::seed_from_u64(seed);
    let mut told = Told::default();
    for round in 0..kills {
        if round % 5 == 4 {
            kill_while_it_starts(&folder, &service, random.random_range(5..250));
        }
        let dev = start(&folder, &service);
        let token = token(&folder);
        let life = Duration::from_millis(random.random_range(10..900));
        runtime.block_on(live(&dev, &token, round, life, &mut told));
        dev.kill();
    }
    // On a busy machine many are killed before they have answered anything.
    let counts = [
        told.started.len(),
        told.shown.values().map(BTreeSet::len).sum(),
        told.events.values().map(Vec::len).sum(),
    ];
    let fewest = usize::try_from(kills / 5).unwrap();
    assert!(counts.iter().all(|&count| count >= fewest), "{counts:?}");

    let dev = start(&folder, &service);
    let token = token(&folder);
    for arn in &told.started {
        let history = runtime.block_on(history_of_ended(&dev, arn));
        let trace = eventually("a whole trace", || {
            let trace = runtime.block_on(trace(&dev, &token, arn))?;
            is_whole(&trace).then_some(trace)
        });
        check(&history, &trace);
        let shown = told.events.get(arn).map_or(&[][..], Vec::as_slice);
        assert!(
            history.events.starts_with(shown),
            "{arn} has lost or changed events that were shown"
        );
        let ids: BTreeSet<String> = span_ids(&trace).into_iter().collect();
        if let Some(shown) = told.shown.get(arn) {
            let lost: Vec<_> = shown.difference(&ids).collect();
            assert!(lost.is_empty(), "{arn} has lost {lost:?}");
        }
    }
    assert!(dev.interrupt().success());
}

#[test]
fn hard_case_18_a_function_killed_at_work_leaves_a_span_that_says_so() {
    let runtime = Runtime::new().unwrap();
    let service = runtime.block_on(service());
    let folder = Folder::new();
    let call = call_state(&format!("http://{service}/never"), &json!({"End": true}));
    let definition =
        json!({"QueryLanguage": "JSONata", "StartAt": "Call", "States": {"Call": call}});
    folder.write("errands.asl.json", &definition.to_string());
    let dev = start(&folder, &service);
    let client = step_functions(&dev);
    let started = client.start_execution().state_machine_arn(MACHINE);
    let input = json!({"stepscope": {"tenant": TENANT}}).to_string();
    let started = runtime.block_on(started.input(input).send()).unwrap();
    let arn = started.execution_arn;
    let token = token(&folder);
    eventually("the node's open span", || {
        let trace = runtime.block_on(trace(&dev, &token, &arn))?;
        let kinds: Vec<_> = spans(&trace)
            .iter()
            .map(|span| span["kind"].clone())
            .collect();
        (kinds.contains(&json!("node")) && kinds.contains(&json!("http"))).then_some(())
    });
    dev.kill();

    let dev = start(&folder, &service);
    let token = crate::token(&folder);
    let history = runtime.block_on(history_of_ended(&dev, &arn));
    assert_eq!(history.status, "FAILED");
    let trace = eventually("a whole trace", || {
        let trace = runtime.block_on(trace(&dev, &token, &arn))?;
        is_whole(&trace).then_some(trace)
    });
    check(&history, &trace);
    for kind in ["node", "http"] {
        let span = spans(&trace)
            .iter()
            .find(|span| span["kind"] == kind)
            .unwrap();
        let message = span["status"]["message"].as_str().unwrap();
        assert!(message.starts_with("abandoned: "), "{message}");
        assert!(message.contains("Lambda.Unknown"), "{message}");
        assert_eq!(span["flags"], json!(["abandoned"]));
    }
    let notices = trace["execution"]["notices"].to_string();
    assert!(notices.contains("2 spans were abandoned"), "{notices}");
    let (_, name) = arn.rsplit_once(':').unwrap();
    let id = format!("errands:{name}");
    let tree = folder.succeeds(&["trace", &id, "--tenant", TENANT]);
    assert!(tree.contains("✗ abandoned"), "{tree}");
}

/// Starts runs and looks at their traces for as long as the process lives.
async fn live(dev: &Dev, token: &str, round: u64, life: Duration, told: &mut Told) {
    let client = step_functions(dev);
    let mut starts = JoinSet::new();
    for number in 0..RUNS_EACH_TIME {
        let start = client
            .start_execution()
            .state_machine_arn(MACHINE)
            .name(format!("run-{round}-{number}"))
            .input(json!({"stepscope": {"tenant": TENANT}, "items": [1, 2, 3, 4]}).to_string());
        starts.spawn(async move { start.send().await.map(|started| started.execution_arn) });
    }
    let living = async {
        loop {
            while let Some(done) = starts.try_join_next() {
                told.started.extend(done.unwrap().ok());
            }
            let latest = told.started.iter().rev().take(LOOKED_AT);
            for arn in latest.cloned().collect::<Vec<_>>() {
                if let Some(trace) = trace(dev, token, &arn).await {
                    let shown = told.shown.entry(arn.clone()).or_default();
                    shown.extend(span_ids(&trace));
                }
                if let Ok(events) = events(&client, &arn).await {
                    told.saw(arn, events);
                }
                if starts.is_empty() {
                    continue;
                }
                while let Some(done) = starts.try_join_next() {
                    told.started.extend(done.unwrap().ok());
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = tokio::time::timeout(life, living).await;
    // Answers that were on their way when the time was over count as well.
    while let Some(done) = starts.try_join_next() {
        told.started.extend(done.unwrap().ok());
    }
}

fn kill_while_it_starts(folder: &Folder, service: &str, after: u64) {
    let mut child = folder
        .command(&["dev", "--port", "0", "--workflows", "."])
        .env("STEPSCOPE_HTTP_ALLOW", service)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(after));
    child.kill().unwrap();
    child.wait().unwrap();
}

fn start(folder: &Folder, service: &str) -> Dev {
    folder.dev_with(&["--workflows", "."], &[("STEPSCOPE_HTTP_ALLOW", service)])
}

fn token(folder: &Folder) -> String {
    folder
        .succeeds(&["token", "--tenant", TENANT])
        .trim()
        .to_owned()
}

fn step_functions(dev: &Dev) -> aws_sdk_sfn::Client {
    LocalService::at(&dev.aws_endpoint_url).sfn("us-east-1")
}

/// One execution as Step Functions' own API tells it once it is over.
struct History {
    arn: ExecutionArn,
    status: String,
    error: Option<String>,
    events: Vec<HistoryEvent>,
}

async fn history_of_ended(dev: &Dev, arn: &str) -> History {
    let client = step_functions(dev);
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    let described = loop {
        let described = client.describe_execution().execution_arn(arn).send().await;
        let described = described.unwrap_or_else(|error| panic!("{arn} is lost: {error:?}"));
        if described.status.as_str() != "RUNNING" {
            break described;
        }
        assert!(tokio::time::Instant::now() < deadline, "{arn} never ends");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    History {
        arn: ExecutionArn::parse(arn).unwrap(),
        status: described.status.as_str().to_owned(),
        error: described.error,
        events: events(&client, arn).await.unwrap(),
    }
}

async fn events(
    client: &aws_sdk_sfn::Client,
    arn: &str,
) -> Result<Vec<HistoryEvent>, impl std::fmt::Debug + use<>> {
    let history = client.get_execution_history().execution_arn(arn);
    let pages = history.into_paginator().items().send();
    pages.collect::<Result<Vec<_>, _>>().await
}

/// `None` while there is none, or while the process is not there to be asked.
async fn trace(dev: &Dev, token: &str, arn: &str) -> Option<Value> {
    let id = ExecutionArn::parse(arn).unwrap().execution_id();
    let url = format!("{}executions/{}/trace?limit=1000", dev.url, id.as_str());
    let http = lambda_process::http_client().unwrap();
    let answer = http.get(url).bearer_auth(token).send().await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    answer.json().await.ok()
}

fn spans(trace: &Value) -> &[Value] {
    trace["spans"].as_array().unwrap()
}

fn span_ids(trace: &Value) -> Vec<String> {
    let ids = spans(trace).iter();
    ids.map(|span| span["span_id"].as_str().unwrap().to_owned())
        .collect()
}

/// The run is closed, every span has ended, and the totals have counted them all.
fn is_whole(trace: &Value) -> bool {
    let execution = &trace["execution"];
    let spans = spans(trace);
    let errors = spans
        .iter()
        .filter(|span| span["status"]["code"] == "error");
    !execution["finished_at"].is_null()
        && spans.iter().all(|span| !span["duration_us"].is_null())
        && execution["totals"]["spans"] == spans.len()
        && execution["totals"]["errors"] == errors.count()
}

/// The trace tells what the history tells, each thing once.
fn check(history: &History, trace: &Value) {
    let arn = &history.arn;
    let execution = &trace["execution"];
    assert_eq!(execution["status"], history.status.as_str(), "{arn}");
    if history.status != "SUCCEEDED" {
        assert!(history.error.is_some(), "{arn} ended without a reason");
        assert_eq!(execution["error"].as_str(), history.error.as_deref());
    }
    let mut expected = vec![("run", SpanId::of_execution(arn).to_string())];
    for event in &history.events {
        let own = SpanId::of_history_event(arn, event.id).to_string();
        if event.r#type.as_str().ends_with("StateEntered") {
            expected.push(("state", own));
        } else if event.map_iteration_started_event_details.is_some() {
            expected.push(("iteration", own));
        } else if let Some(scheduled) = &event.task_scheduled_event_details {
            let sent: Value = serde_json::from_str(&scheduled.parameters).unwrap();
            let traceparent = sent["Payload"]["headers"]["traceparent"].as_str().unwrap();
            let span_id = traceparent.split('-').nth(2).unwrap();
            expected.push(("attempt", span_id.to_owned()));
        }
    }
    let mut found: Vec<(&str, String)> = spans(trace)
        .iter()
        .map(|span| {
            (
                span["kind"].as_str().unwrap(),
                span["span_id"].as_str().unwrap().to_owned(),
            )
        })
        .filter(|(kind, _)| ["run", "state", "iteration", "attempt"].contains(kind))
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "{arn}");
    let ids = span_ids(trace);
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "{arn}"
    );
    // Panics for a span whose parent is not there.
    outline(trace);
}

/// Items one by one, each with a call that may fail and a wait.
fn write_workflow(folder: &Folder, service: &str) {
    let retry = json!([{
        "ErrorEquals": ["Http.Status503", "Lambda.Unknown"],
        "IntervalSeconds": 1,
        "MaxAttempts": 20,
        "BackoffRate": 1,
    }]);
    let call = call_state(
        &format!("http://{service}/"),
        &json!({"Retry": retry, "Next": "Rest"}),
    );
    let definition = json!({
        "QueryLanguage": "JSONata",
        "StartAt": "Each",
        "States": {
            "Each": {
                "Type": "Map",
                "Items": "{% $states.input.items %}",
                "MaxConcurrency": 3,
                "ItemProcessor": {
                    "StartAt": "Call",
                    "States": {
                        "Call": call,
                        "Rest": {"Type": "Wait", "Seconds": 1, "End": true},
                    },
                },
                "Next": "Done",
            },
            "Done": {"Type": "Pass", "End": true},
        },
    });
    folder.write("errands.asl.json", &definition.to_string());
}

fn call_state(url: &str, and: &Value) -> Value {
    let mut state = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {
            "FunctionName": "${RunNodeFunctionArn}",
            "Payload": {
                "node": "http",
                "parameters": {"method": "GET", "url": url},
                "input": {},
                "headers": {"traceparent": "{% '00-' & $hash($states.context.Execution.Id, 'MD5') & '-' & $substring($replace($uuid(), '-', ''), 0, 16) & '-01' %}"},
                "stepscope": {
                    "execution": "{% $states.context.Execution.Id %}",
                    "tenant": TENANT,
                    "state": "{% $states.context.State.Name %}",
                    "attempt": "{% $states.context.State.RetryCount %}",
                    "entered": "{% $states.context.State.EnteredTime %}",
                },
            },
        },
    });
    state
        .as_object_mut()
        .unwrap()
        .extend(and.as_object().unwrap().clone());
    state
}

/// Answers after 0 to 1.4 s, each fifth time with 503; `/never` does not answer. Its address.
async fn service() -> String {
    async fn answer(State(calls): State<Arc<AtomicU64>>) -> (StatusCode, &'static str) {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(call % 8 * 200)).await;
        match call % 5 {
            4 => (StatusCode::SERVICE_UNAVAILABLE, "not now"),
            _ => (StatusCode::OK, "done"),
        }
    }
    let router = Router::new()
        .route("/", get(answer))
        .route("/never", get(std::future::pending::<&'static str>))
        .with_state(Arc::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}
