//! Past executions, from the local engine and its lists.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lambda_process::{AwsClients, LocalService};
use local_step_functions::{Config, FunctionInvoker, LocalStepFunctions, Place};
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use record_execution::{Import, PastExecutions, RecordError, Recorder};
use redaction::Policy;
use serde_json::json;
use tempfile::TempDir;
use trace_model::{Clock, ExecutionArn, RunStatus, TenantId, Timestamp, TraceId};
use trace_store::{StoreConfig, TraceStore};

struct Cloud {
    recorder: Recorder,
    store: TraceStore,
    sfn: aws_sdk_sfn::Client,
    throttle: Throttle,
    _folder: TempDir,
}

/// Refuses the next so many calls of `GetExecutionHistory`.
#[derive(Clone, Debug, Default)]
struct Throttle(Arc<Mutex<usize>>);

#[derive(Clone, Debug)]
struct Throttled {
    throttle: Throttle,
    inner: SharedHttpConnector,
}

#[derive(Debug)]
struct ThrottledClient {
    throttle: Throttle,
    inner: SharedHttpClient,
}

impl HttpClient for ThrottledClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Throttled {
            throttle: self.throttle.clone(),
            inner: self.inner.http_connector(settings, components),
        })
    }
}

impl HttpConnector for Throttled {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap();
        let mut left = self.throttle.0.lock().unwrap();
        if *left > 0 && target.ends_with("GetExecutionHistory") {
            *left -= 1;
            let refusal = json!({"__type": "ThrottlingException", "message": "Rate exceeded"});
            let answer =
                HttpResponse::new(400.try_into().unwrap(), SdkBody::from(refusal.to_string()));
            return HttpConnectorFuture::ready(Ok(answer));
        }
        self.inner.call(request)
    }
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
        let engine = LocalStepFunctions::start(Config {
            data: folder.path().join("engine"),
            place: Place::default(),
            clock: Clock::system(),
            functions: FunctionInvoker::new(),
        })
        .await
        .unwrap();
        let throttle = Throttle::default();
        let step_functions = SharedHttpClient::new(ThrottledClient {
            throttle: throttle.clone(),
            inner: SharedHttpClient::new(engine.http_client()),
        });
        let service = |http_client: SharedHttpClient, name: &str| LocalService {
            http_client,
            endpoint_url: format!("http://{name}.local"),
        };
        let clients = AwsClients::local(
            "us-east-1",
            service(storage.dynamodb_http_client(), "dynamodb"),
            service(storage.s3_http_client(), "s3"),
            service(step_functions, "states"),
        );
        let store = TraceStore::new(
            clients.dynamodb().clone(),
            clients.s3().clone(),
            StoreConfig::new("stepscope", "stepscope"),
            Clock::system(),
        );
        store.create_table_if_missing().await.unwrap();
        let sfn = clients.sfn().clone();
        let recorder = Recorder::new(
            sfn.clone(),
            store.clone(),
            Policy::standard(),
            TenantId::default(),
        );
        Self {
            recorder,
            store,
            sfn,
            throttle,
            _folder: folder,
        }
    }

    async fn create(&self, name: &str, state: serde_json::Value) -> String {
        let definition = json!({
            "QueryLanguage": "JSONata", "StartAt": "Only", "States": {"Only": state},
        });
        self.sfn
            .create_state_machine()
            .name(name)
            .definition(definition.to_string())
            .role_arn("arn:aws:iam::000000000000:role/local")
            .send()
            .await
            .unwrap()
            .state_machine_arn
    }

    /// Starts so many, and waits until none runs.
    async fn run(&self, machine: &str, count: usize) {
        for number in 0..count {
            self.sfn
                .start_execution()
                .state_machine_arn(machine)
                .name(format!("run-{number}"))
                .input(json!({"mail": "jane.doe@example.com"}).to_string())
                .send()
                .await
                .unwrap();
        }
        for _ in 0..1_000 {
            let running = self.list(machine, Some(ExecutionStatus::Running)).await;
            if running.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain");
    }

    async fn list(&self, machine: &str, status: Option<ExecutionStatus>) -> Vec<ExecutionListItem> {
        let past = PastExecutions {
            state_machine_arn: machine.to_owned(),
            since: Timestamp::from_unix_millis(0),
            until: Clock::system().now().plus(Duration::from_mins(1)),
            status,
        };
        self.recorder.past_executions(&past).await.unwrap()
    }

    /// How many were recorded, were there already, and failed.
    async fn import(&self, executions: &[ExecutionListItem]) -> (usize, usize, Vec<String>) {
        let (mut recorded, mut there, mut failed) = (0, 0, Vec::new());
        let tell = |_: &ExecutionListItem, import| match import {
            Import::Recorded { .. } => recorded += 1,
            Import::AlreadyThere => there += 1,
            Import::StillRuns => panic!("nothing runs any more"),
            Import::Failed(error) => failed.push(error.to_string()),
        };
        let pace = NonZeroU32::new(1_000).unwrap();
        self.recorder
            .import(executions, &[TenantId::default()], pace, tell)
            .await;
        (recorded, there, failed)
    }
}

fn pass() -> serde_json::Value {
    json!({"Type": "Pass", "End": true})
}

#[tokio::test]
async fn what_nobody_recorded_is_recorded_masked_and_once() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("old", pass()).await;
    cloud.run(&machine, 30).await;
    let executions = cloud.list(&machine, None).await;
    assert_eq!(executions.len(), 30);
    // As if the first import had been interrupted.
    assert_eq!(cloud.import(&executions[..10]).await, (10, 0, vec![]));
    assert_eq!(cloud.import(&executions).await, (20, 10, vec![]));
    assert_eq!(cloud.import(&executions).await, (0, 30, vec![]));

    for execution in &executions {
        let arn = ExecutionArn::parse(&execution.execution_arn).unwrap();
        let (tenant, trace_id) = (TenantId::default(), TraceId::of_execution(&arn));
        let run = cloud.store.run(&tenant, trace_id).await.unwrap().unwrap();
        assert_eq!(run.status, RunStatus::Succeeded);
        let structure = cloud.store.read_structure(&tenant, trace_id).await.unwrap();
        assert_eq!(structure.spans.len(), 2, "the run and its state");
        let input = structure.spans.iter().find(|span| {
            let content = &span.span().content;
            content.contains_key(trace_model::conventions::INPUT)
        });
        let input = cloud
            .store
            .read_content(
                &tenant,
                trace_id,
                input.unwrap(),
                trace_model::conventions::INPUT,
            )
            .await
            .unwrap();
        assert!(!input.contains("jane.doe"), "{input}");
    }
}

#[tokio::test]
async fn only_what_began_in_time_is_listed() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("old", pass()).await;
    cloud.run(&machine, 3).await;
    let all = cloud.list(&machine, None).await;
    let started = |execution: &ExecutionListItem| {
        Timestamp::from_unix_millis(
            u64::try_from(execution.start_date.to_millis().unwrap()).unwrap(),
        )
    };
    let between = |since, until| PastExecutions {
        state_machine_arn: machine.clone(),
        since,
        until,
        status: None,
    };
    let first = all.iter().map(started).min().unwrap();
    let last = all.iter().map(started).max().unwrap();
    let hour = Duration::from_hours(1);
    for (since, until, expected) in [
        (first.minus(hour), last.plus(hour), 3),
        (first.minus(hour), first, 0),
        (last.plus(hour), last.plus(2 * hour), 0),
    ] {
        let found = cloud.recorder.past_executions(&between(since, until)).await;
        assert_eq!(found.unwrap().len(), expected);
    }
    assert!(
        cloud
            .list(&machine, Some(ExecutionStatus::Failed))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn what_still_runs_is_recorded_so_far_and_again_later() {
    let cloud = Cloud::start().await;
    let wait = json!({"Type": "Wait", "Seconds": 3_600, "End": true});
    let machine = cloud.create("slow", wait).await;
    cloud
        .sfn
        .start_execution()
        .state_machine_arn(&machine)
        .input(json!({"stepscope": {"tenant": "default"}}).to_string())
        .send()
        .await
        .unwrap();
    let executions = cloud.list(&machine, None).await;
    for _ in 0..2 {
        let pace = NonZeroU32::new(1_000).unwrap();
        let tenants = [TenantId::default()];
        let mut told = Vec::new();
        let tell = |_: &ExecutionListItem, import| told.push(import);
        let import = cloud.recorder.import(&executions, &tenants, pace, tell);
        import.await;
        assert!(matches!(told[..], [Import::StillRuns]), "{told:?}");
    }
    let arn = ExecutionArn::parse(&executions[0].execution_arn).unwrap();
    let trace_id = TraceId::of_execution(&arn);
    let run = cloud
        .store
        .run(&TenantId::default(), trace_id)
        .await
        .unwrap();
    assert_eq!(run.unwrap().status, RunStatus::Running);
}

/// The SDK gives up after five attempts: the import does not.
#[tokio::test]
async fn throttling_is_waited_out() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("old", pass()).await;
    cloud.run(&machine, 2).await;
    let executions = cloud.list(&machine, None).await;
    *cloud.throttle.0.lock().unwrap() = 11;
    assert_eq!(cloud.import(&executions).await, (2, 0, vec![]));
    assert_eq!(*cloud.throttle.0.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_lost_history_is_told_and_the_others_go_on() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("old", pass()).await;
    cloud.run(&machine, 2).await;
    let mut executions = cloud.list(&machine, None).await;
    executions[0].execution_arn = executions[0].execution_arn.replace("run-", "gone-");
    let (recorded, _, failed) = cloud.import(&executions).await;
    assert_eq!(recorded, 1);
    assert!(failed[0].contains("its history has expired"), "{failed:?}");
}

#[tokio::test]
async fn machines_are_found_by_name_and_arn() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("old", pass()).await;
    for named in ["old", machine.as_str()] {
        let found = cloud.recorder.find_state_machine(named).await.unwrap();
        assert_eq!(found, machine);
    }
    for unknown in ["other", &machine.replace(":old", ":other")] {
        let error = cloud
            .recorder
            .find_state_machine(unknown)
            .await
            .unwrap_err();
        assert!(
            matches!(error, RecordError::NoSuchStateMachine { .. }),
            "{error}"
        );
    }
}
