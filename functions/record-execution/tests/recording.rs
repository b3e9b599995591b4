//! Recording into the real store, from recorded histories and from the local engine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_sfn::types::HistoryEvent;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use lambda_process::metrics::Captured;
use lambda_process::{AwsClients, LocalService};
use local_step_functions::{
    Config, FunctionError, FunctionInvoker, InvocationRequest, LocalStepFunctions, Place,
};
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use record_execution::{LiveRecording, Progress, RecordError, Recorder, flags, handle};
use redaction::Policy;
use serde_json::{Value, json};
use support::{arn, client, history, stories, tree};
use tempfile::TempDir;
use trace_model::{Clock, ExecutionArn, RunStatus, Span, SpanKind, TenantId, TraceId, conventions};
use trace_store::{StoreConfig, TraceStore};

struct Cloud {
    folder: TempDir,
    storage: LocalStorage,
    store: TraceStore,
}

impl Cloud {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::open(
            &folder.path().join("storage"),
            LocalStorageConfig {
                durability: Durability::ProcessCrash,
                loopback_credentials: LoopbackCredentials {
                    access_key_id: "local".to_owned(),
                    secret_access_key: "local".to_owned(),
                },
            },
        )
        .unwrap();
        let clients = Self::clients(&storage, storage.s3_http_client());
        let store = TraceStore::new(
            clients.dynamodb().clone(),
            clients.s3().clone(),
            StoreConfig::new("stepscope", "stepscope"),
            Clock::system(),
        );
        store.create_table_if_missing().await.unwrap();
        Self {
            folder,
            storage,
            store,
        }
    }

    fn clients(storage: &LocalStorage, step_functions: SharedHttpClient) -> AwsClients {
        let service = |http_client: SharedHttpClient, name: &str| LocalService {
            http_client,
            endpoint_url: format!("http://{name}.local"),
        };
        AwsClients::local(
            "us-east-1",
            service(storage.dynamodb_http_client(), "dynamodb"),
            service(storage.s3_http_client(), "s3"),
            service(step_functions, "states"),
        )
    }

    fn recorder(&self, step_functions: aws_sdk_sfn::Client) -> Recorder {
        Recorder::new(
            step_functions,
            self.store.clone(),
            Policy::standard(),
            TenantId::default(),
        )
    }

    async fn items(&self) -> i32 {
        let clients = Self::clients(&self.storage, self.storage.s3_http_client());
        let scan = clients.dynamodb().scan().table_name("stepscope");
        scan.send().await.unwrap().count()
    }

    /// What the store has of a trace, as the tree of its spans.
    async fn stored(&self, arn: &ExecutionArn) -> (trace_model::Run, Vec<Span>) {
        let trace_id = TraceId::of_execution(arn);
        let mut found = None;
        // Nearly all stories are acme's; one whose machine knows no tenants is the default's.
        for tenant in [TenantId::parse("acme").unwrap(), TenantId::default()] {
            let run = self.store.run(&tenant, trace_id).await.unwrap();
            found = found.or(run.map(|run| (tenant, run)));
        }
        let (tenant, run) = found.unwrap();
        let structure = self.store.read_structure(&tenant, trace_id).await.unwrap();
        let spans = structure.spans.iter().map(|span| span.span().clone());
        (run, spans.collect())
    }
}

fn shape(spans: &[Span]) -> Vec<(String, Option<String>, bool)> {
    let name_of = |id| {
        spans
            .iter()
            .find(|span| span.span_id == id)
            .map(|span| span.name.clone())
    };
    let mut shape: Vec<_> = spans
        .iter()
        .map(|span| {
            let parent = span.parent_span_id.and_then(name_of);
            (span.name.clone(), parent, span.end.is_some())
        })
        .collect();
    shape.sort();
    shape
}

#[tokio::test]
async fn what_is_stored_is_what_the_history_told() {
    let cloud = Cloud::start().await;
    // Small pages: states end on a later page than they begin on.
    for page_size in [5, 1_000] {
        for story in stories() {
            let progress = cloud
                .recorder(client(page_size))
                .record(&arn(&story))
                .await
                .unwrap();
            let (run, stored) = cloud.stored(&arn(&story)).await;
            assert_eq!(progress, Progress::Recorded(run.status), "{story}");
            let options = record_execution::RecorderOptions::default();
            let mut core = record_execution::HistoryRecorder::new(arn(&story), options);
            let told = core.feed(&history(&story).await);
            assert_eq!(shape(&stored), shape(&told), "{story}");
            let outline = core.outline().unwrap();
            assert_eq!(run.started_at, outline.started_at, "{story}");
            assert_eq!(run.finished_at, outline.finished_at, "{story}");
            assert_eq!(run.error, outline.error, "{story}");
            assert_eq!(run.notices.len(), core.notices().len(), "{story}");
        }
    }
}

/// Hard case 19: a child of a distributed Map is a run of its own that names its parent.
#[tokio::test]
async fn a_child_of_a_map_is_linked_to_its_parent() {
    let cloud = Cloud::start().await;
    let child = arn("distributed-map/EachFile");
    let recorder = cloud.recorder(client(1_000));
    recorder.record(&child).await.unwrap();
    let (run, spans) = cloud.stored(&child).await;
    assert_eq!(run.workflow, "distributed-map");
    let root = spans.iter().find(|span| span.parent_span_id.is_none());
    let root = root.unwrap();
    assert_eq!(
        root.text(record_execution::MAP_RUN_ARN),
        Some(support::MAP_RUN)
    );
    let parent = arn("distributed-map");
    assert_eq!(
        root.text(conventions::PARENT_EXECUTION_ARN),
        Some(parent.as_str())
    );
    let linked: Vec<_> = root.links.iter().map(|link| link.trace_id).collect();
    assert_eq!(linked, [TraceId::of_execution(&parent)]);
}

/// Hard case 14: the same history again makes the same items.
#[tokio::test]
async fn recording_twice_writes_nothing_new() {
    let cloud = Cloud::start().await;
    let recorder = cloud.recorder(client(1_000));
    let tenant = TenantId::parse("acme").unwrap();
    let trace_id = TraceId::of_execution(&arn("nested"));
    recorder.record(&arn("nested")).await.unwrap();
    let first = cloud.store.read_structure(&tenant, trace_id).await.unwrap();
    recorder.record(&arn("nested")).await.unwrap();
    let second = cloud.store.read_structure(&tenant, trace_id).await.unwrap();
    assert_eq!(first, second);
}

/// Hard case 24: a recording that is begun anew in the middle ends up the same.
#[tokio::test]
async fn a_restarted_recording_goes_on() {
    for story in ["nested", "parallel-failure", "odd-parameters"] {
        let cloud = Cloud::start().await;
        let recorder = cloud.recorder(client(1_000));
        let events = history(story).await;
        let mut live: LiveRecording = recorder.live(arn(story), None);
        for (count, event) in events.iter().enumerate() {
            live.advance(std::slice::from_ref(event)).await.unwrap();
            if count % 7 == 6 {
                live = recorder.live(arn(story), None);
                live.advance(&events[..=count]).await.unwrap();
            }
        }
        let (run, stored) = cloud.stored(&arn(story)).await;
        assert!(run.status.is_over());
        let whole = Cloud::start().await;
        whole
            .recorder(client(1_000))
            .record(&arn(story))
            .await
            .unwrap();
        let (_, expected) = whole.stored(&arn(story)).await;
        assert_eq!(tree(&stored), tree(&expected), "{story}");
    }
}

/// Hard case 14: a recording that was put aside writes only what is new.
#[tokio::test]
async fn a_recording_taken_up_again_writes_only_what_came_since() {
    let cloud = Cloud::start().await;
    let recorder = cloud.recorder(client(1_000));
    let events = history("nested").await;
    let middle = events.len() / 2;
    let mut live = recorder.live(arn("nested"), None);
    for event in &events[..middle] {
        live.advance(std::slice::from_ref(event)).await.unwrap();
    }
    let written = cloud.items().await;
    assert!(written > 1);
    let mut live = recorder
        .live(arn("nested"), None)
        .after(live.last_event_id());
    let progress = live.advance(&events[..middle]).await.unwrap();
    assert_eq!(progress, Progress::Recorded(RunStatus::Running));
    assert_eq!(cloud.items().await, written);
    live.advance(&events).await.unwrap();
    let (run, stored) = cloud.stored(&arn("nested")).await;
    assert!(run.status.is_over());
    let whole = Cloud::start().await;
    let recorder = whole.recorder(client(1_000));
    recorder.record(&arn("nested")).await.unwrap();
    let (_, expected) = whole.stored(&arn("nested")).await;
    assert_eq!(tree(&stored), tree(&expected));
}

/// Hard case 14: of a run that is redriven and fails again between two looks, the last end is
/// stored.
#[tokio::test]
async fn a_redrive_that_fails_again_between_two_looks_is_told() {
    let cloud = Cloud::start().await;
    let mut events = history("redriven").await;
    let redriven = events
        .iter()
        .position(|event| event.r#type.as_str() == "ExecutionRedriven")
        .unwrap();
    let mut again = events[redriven - 1].clone();
    let last = events.last().unwrap();
    (again.id, again.timestamp) = (last.id, last.timestamp);
    again.previous_event_id = last.previous_event_id;
    *events.last_mut().unwrap() = again;

    let recorder = cloud.recorder(client(1_000));
    let mut live = recorder.live(arn("redriven"), None);
    live.advance(&events[..redriven]).await.unwrap();
    let (first, _) = cloud.stored(&arn("redriven")).await;
    live.advance(&events[redriven..]).await.unwrap();
    let (second, _) = cloud.stored(&arn("redriven")).await;
    assert_eq!(
        (first.status, second.status),
        (RunStatus::Failed, RunStatus::Failed)
    );
    assert!(second.finished_at > first.finished_at);
}

#[tokio::test]
async fn an_execution_that_is_not_there_is_an_error_in_words() {
    let cloud = Cloud::start().await;
    let error = cloud
        .recorder(client(10))
        .record(&arn("never"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, RecordError::NoSuchExecution { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn only_what_failed_comes_again() {
    let cloud = Cloud::start().await;
    let file = support::fixtures().join("invocations/status-changes.json");
    let event: SqsEvent = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let metrics = Captured::default();
    let mut batch = metrics.metrics(Clock::system()).batch();
    let response = handle(&cloud.recorder(client(1_000)), event, &mut batch).await;
    drop(batch);
    let mut failed: Vec<String> = response
        .batch_item_failures
        .into_iter()
        .map(|failure| failure.item_identifier)
        .collect();
    failed.sort();
    assert_eq!(failed, ["gone", "no-arn", "nonsense"]);
    assert_eq!(
        cloud.stored(&arn("nested")).await.0.status,
        RunStatus::Succeeded
    );
    assert_eq!(metrics.values("ExecutionsRecorded"), [1.0]);
    assert_eq!(metrics.values("HistoryPages"), [1.0]);
    let spans = cloud.stored(&arn("nested")).await.1.len();
    assert_eq!(metrics.lines()[0]["SpansWritten"], spans);
    assert!(metrics.values("BytesWritten")[0] > 100.0);
    assert!(metrics.values("RecordLag")[0] > 0.0);
}

const MACHINE: &str = r#"{
  "QueryLanguage": "JSONata",
  "StartAt": "Both",
  "States": {
    "Both": {
      "Type": "Parallel",
      "Branches": [
        {"StartAt": "Flaky", "States": {"Flaky": {
          "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
          "Arguments": {"FunctionName": "flaky", "Payload": {"key": "{% $states.context.State.RetryCount %}",
            "headers": {"traceparent": "{% '00-' & $hash($states.context.Execution.Id, 'MD5') & '-' & $substring($replace($uuid(), '-', ''), 0, 16) & '-01' %}"}}},
          "Retry": [{"ErrorEquals": ["Flaky.Error"], "IntervalSeconds": 1, "MaxAttempts": 2}],
          "End": true}}},
        {"StartAt": "Each", "States": {"Each": {
          "Type": "Map", "Items": "{% [1, 2] %}",
          "ItemProcessor": {"StartAt": "Is it one", "States": {
            "Is it one": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input = 1 %}", "Next": "One"}], "Default": "Other"},
            "One": {"Type": "Pass", "End": true},
            "Other": {"Type": "Pass", "End": true}}},
          "End": true}}}
      ],
      "Next": "Broken"
    },
    "Broken": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
      "Arguments": {"FunctionName": "broken", "Payload": {}},
      "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Sorry"}], "Next": "Sorry"},
    "Sorry": {"Type": "Pass", "End": true}
  }
}"#;

async fn flaky(request: InvocationRequest) -> Result<Value, FunctionError> {
    if request.payload["key"] == json!(0) {
        return Err(error("Flaky.Error", "the first time fails"));
    }
    Ok(json!({"traceparent": request.payload["headers"]["traceparent"]}))
}

async fn broken(_: InvocationRequest) -> Result<Value, FunctionError> {
    Err(error("Broken.Error", "always"))
}

fn error(error_type: &str, error_message: &str) -> FunctionError {
    FunctionError {
        error_type: error_type.to_owned(),
        error_message: error_message.to_owned(),
        stack_trace: Vec::new(),
    }
}

/// Runs a workflow on the local engine, and records it as it goes until it is over.
async fn run_locally(cloud: &Cloud, definition: &str) -> (ExecutionArn, Vec<HistoryEvent>) {
    let engine = LocalStepFunctions::start(Config {
        data: cloud.folder.path().join("engine"),
        place: Place::default(),
        clock: Clock::system(),
        functions: FunctionInvoker::new()
            .with_function("flaky", flaky)
            .with_function("broken", broken),
    })
    .await
    .unwrap();
    let clients = Cloud::clients(&cloud.storage, SharedHttpClient::new(engine.http_client()));
    let machine = clients
        .sfn()
        .create_state_machine()
        .name("local")
        .definition(definition)
        .role_arn("arn:aws:iam::000000000000:role/local")
        .send()
        .await
        .unwrap()
        .state_machine_arn;
    let mut growth = engine.subscribe();
    let execution = clients
        .sfn()
        .start_execution()
        .state_machine_arn(&machine)
        .name("followed")
        .input(json!({"stepscope": {"tenant": "acme"}}).to_string())
        .send()
        .await
        .unwrap()
        .execution_arn;
    let execution = ExecutionArn::parse(&execution).unwrap();
    let recorder = cloud.recorder(clients.sfn().clone());
    let mut recording = recorder.live(execution.clone(), Some(machine));
    let followed = async {
        loop {
            match recorder.follow(&mut recording).await.unwrap() {
                Progress::Recorded(status) if status.is_over() => break,
                _ => {
                    growth.recv().await.unwrap();
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), followed)
        .await
        .unwrap();
    let history = clients
        .sfn()
        .get_execution_history()
        .execution_arn(execution.as_str())
        .send()
        .await
        .unwrap();
    engine.shutdown().await;
    (execution, history.events)
}

/// Hard case 19, with the engine that runs on a laptop.
#[tokio::test]
async fn a_run_of_the_local_engine_is_followed_as_it_goes() {
    let cloud = Cloud::start().await;
    let (execution, _) = run_locally(&cloud, MACHINE).await;
    let (run, stored) = cloud.stored(&execution).await;
    assert_eq!(run.status, RunStatus::Succeeded);
    let root = stored
        .iter()
        .find(|span| span.parent_span_id.is_none())
        .unwrap();
    insta::assert_snapshot!(outline(&stored, root, 0));
    let attempts: Vec<&Span> = stored
        .iter()
        .filter(|span| span.kind == SpanKind::Attempt)
        .collect();
    let sent: Vec<String> = attempts
        .iter()
        .map(|span| span.span_id.to_string())
        .collect();
    let second = attempts
        .iter()
        .find(|span| span.name == "Flaky attempt 2")
        .unwrap();
    let tenant = TenantId::parse("acme").unwrap();
    let read = cloud
        .store
        .read_span(&tenant, second.trace_id, second.span_id)
        .await
        .unwrap();
    let output = cloud
        .store
        .read_content(
            &tenant,
            second.trace_id,
            &read.unwrap(),
            conventions::OUTPUT,
        )
        .await
        .unwrap();
    assert!(
        output.contains(&second.span_id.to_string()),
        "{output} {sent:?}"
    );
}

#[tokio::test]
async fn a_state_whose_first_expression_fails_ends_with_its_error() {
    let cloud = Cloud::start().await;
    let (execution, events) = run_locally(&cloud, UNEVALUATED).await;
    let (run, stored) = cloud.stored(&execution).await;
    assert_eq!(run.status, RunStatus::Failed);
    let root = stored
        .iter()
        .find(|span| span.parent_span_id.is_none())
        .unwrap();
    insta::assert_snapshot!(outline(&stored, root, 0));
    let flagged = |flag: &str| {
        let flagged = stored
            .iter()
            .filter(|span| span.flags().any(|has| has == flag));
        let mut names: Vec<&str> = flagged.map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(
        flagged(flags::CAUGHT),
        ["Arguments", "Both", "Each", "Items"]
    );
    assert_eq!(flagged(flags::ABORTED), [""; 0]);

    // The recorded history is what this workflow's looks like.
    let links = |events: &[HistoryEvent]| -> Vec<(i64, i64, String)> {
        let links = events.iter();
        let links =
            links.map(|event| (event.id, event.previous_event_id, event.r#type.to_string()));
        links.collect()
    };
    assert_eq!(links(&events), links(&history("evaluation-failed").await));
}

/// What fails in each is the state's first expression, at the beginning of the workflow, of a
/// branch and of an iteration, and after another state; caught and not.
const UNEVALUATED: &str = r#"{
  "QueryLanguage": "JSONata",
  "StartAt": "Arguments",
  "States": {
    "Arguments": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
      "Arguments": {"FunctionName": "flaky", "Payload": "{% $number('x') %}"},
      "Retry": [{"ErrorEquals": ["States.QueryEvaluationError"], "IntervalSeconds": 1, "MaxAttempts": 1}],
      "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Pause"}], "Next": "Pause"},
    "Pause": {"Type": "Wait", "Seconds": 0, "Next": "Items"},
    "Items": {"Type": "Map", "Items": "{% $number('x') %}",
      "ItemProcessor": {"StartAt": "Never", "States": {"Never": {"Type": "Pass", "End": true}}},
      "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Both"}], "Next": "Both"},
    "Both": {"Type": "Parallel",
      "Branches": [{"StartAt": "In a branch", "States": {
        "In a branch": {"Type": "Pass", "Output": "{% $number('x') %}", "End": true}}}],
      "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Each"}], "Next": "Each"},
    "Each": {"Type": "Map", "Items": [1],
      "ItemProcessor": {"StartAt": "In an iteration", "States": {
        "In an iteration": {"Type": "Choice", "Choices": [{"Condition": "{% $number('x') = 1 %}", "Next": "Last"}], "Default": "Last"},
        "Last": {"Type": "Pass", "End": true}}},
      "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Seconds"}], "Next": "Seconds"},
    "Seconds": {"Type": "Wait", "Seconds": "{% $number('x') %}", "End": true}
  }
}"#;

/// Without times, which differ from run to run; siblings by name, then start.
fn outline(spans: &[Span], span: &Span, depth: usize) -> String {
    let status = match &span.status {
        trace_model::Status::Error { message } => message.as_str(),
        trace_model::Status::Ok => "ok",
        trace_model::Status::Unset => "unset",
    };
    let next = span
        .text(conventions::WORKFLOW_NEXT)
        .map_or(String::new(), |next| format!(" → {next}"));
    let mut text = format!(
        "{}{} ({}) {status}{next}\n",
        "  ".repeat(depth),
        span.name,
        span.kind.as_str()
    );
    let mut children: Vec<&Span> = spans
        .iter()
        .filter(|child| child.parent_span_id == Some(span.span_id))
        .collect();
    let branch = |span: &Span| span.int(conventions::WORKFLOW_BRANCH);
    children.sort_by_key(|child| (branch(child), child.start, child.name.clone()));
    for child in children {
        text.push_str(&outline(spans, child, depth + 1));
    }
    text
}

/// Hard case 18: one run, one trace, however often it is redriven, whoever records it again.
#[tokio::test]
async fn a_redriven_run_goes_on_as_one_run() {
    let cloud = Cloud::start().await;
    let recorder = cloud.recorder(client(1_000));
    let (arn, events) = (arn("redriven-twice"), history("redriven-twice").await);
    let mut live = recorder.live(arn.clone(), None);
    let mut standings = Vec::new();
    for (at, event) in events.iter().enumerate() {
        live.advance(std::slice::from_ref(event)).await.unwrap();
        if at % 7 == 0 {
            // After a restart.
            let mut again = recorder.live(arn.clone(), None);
            again.advance(&events[..=at]).await.unwrap();
        }
        let (run, _) = cloud.stored(&arn).await;
        let standing = (run.status, run.redrives, run.finished_at.is_some());
        if standings.last() != Some(&standing) {
            standings.push(standing);
        }
    }
    assert_eq!(
        standings,
        [
            (RunStatus::Running, 0, false),
            (RunStatus::Failed, 0, true),
            (RunStatus::Running, 1, false),
            (RunStatus::Aborted, 1, true),
            (RunStatus::Running, 2, false),
            (RunStatus::Succeeded, 2, true),
        ]
    );
    // One that is slow, and knows of the first end only.
    let first_end = events
        .iter()
        .position(|event| event.r#type.as_str() == "ExecutionFailed");
    let mut slow = recorder.live(arn.clone(), None);
    slow.advance(&events[..=first_end.unwrap()]).await.unwrap();
    let (run, stored) = cloud.stored(&arn).await;
    assert_eq!((run.status, run.error), (RunStatus::Succeeded, None));
    let options = record_execution::RecorderOptions::default();
    let told = record_execution::HistoryRecorder::new(arn, options).feed(&events);
    assert_eq!(shape(&stored), shape(&told));
    assert_eq!(
        trace_model::Totals::of(&stored),
        trace_model::Totals::of(&told)
    );
}

/// While somebody looks at a run, it is recorded on from where it was.
#[tokio::test]
async fn a_look_writes_only_what_came_since() {
    let cloud = Cloud::start().await;
    let recorder = cloud.recorder(client(1_000));
    let (tenant, trace_id) = (
        TenantId::parse("acme").unwrap(),
        TraceId::of_execution(&arn("still-running")),
    );
    let look = || cloud.store.claim_look(&tenant, trace_id, Duration::ZERO);
    let message = |after: u64| -> SqsEvent {
        let body = json!({
            "executionArn": arn("still-running").as_str(), "status": "RUNNING",
            "startDate": 1_763_800_000_000_u64, "afterEvent": after,
        });
        let record = json!({"messageId": "m-1", "body": body.to_string()});
        serde_json::from_value(json!({"Records": [record]})).unwrap()
    };
    assert_eq!(look().await.unwrap(), None, "nobody has recorded it");
    let mut metrics = lambda_process::metrics::Metrics::off().batch();
    let done = handle(&recorder, message(0), &mut metrics).await;
    assert!(done.batch_item_failures.is_empty());
    let events = history("still-running").await;
    let last = u64::try_from(events.last().unwrap().id).unwrap();
    assert_eq!(look().await.unwrap(), Some(last));

    let before = cloud.items().await;
    let done = handle(&recorder, message(last), &mut metrics).await;
    assert!(done.batch_item_failures.is_empty());
    assert_eq!(cloud.items().await, before, "there was nothing new");
    let (run, spans) = cloud.stored(&arn("still-running")).await;
    assert_eq!(run.status, RunStatus::Running);
    let mut core = record_execution::HistoryRecorder::new(
        arn("still-running"),
        record_execution::RecorderOptions::default(),
    );
    assert_eq!(shape(&spans), shape(&core.feed(&events)));
}
