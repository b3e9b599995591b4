//! A cloud whose clock a test moves, and in which no status event arrives by itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_sfn::types::ExecutionStatus;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lambda_process::metrics::Metrics;
use lambda_process::{AwsClients, LOCAL_KEY, LocalService};
use local_step_functions::{
    Config, FunctionError, FunctionInvoker, InvocationRequest, LocalStepFunctions, Place,
};
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use record_execution::Recorder;
use redaction::Policy;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use trace_model::{Clock, ExecutionArn, Run, SpanId, TenantId, TraceId};
use trace_store::{StoreConfig, TraceStore};
use watch_traces::{Report, StatusChange, StatusQueue, WatchError, Watcher};

pub(crate) const NAME: &str = "stepscope";
const MINUTE: Duration = Duration::from_mins(1);

pub(crate) struct Cloud {
    pub(crate) clients: AwsClients,
    pub(crate) store: TraceStore,
    pub(crate) storage: LocalStorage,
    pub(crate) clock: Clock,
    pub(crate) queue: Queue,
    /// The execution's functions: what they were called with, and leave to go on.
    pub(crate) functions: Functions,
    pub(crate) throttles: Throttle,
    slow: Slow,
    engine: LocalStepFunctions,
    _folder: TempDir,
}

/// Hands status changes to the real recorder, as the queue's event source does.
#[derive(Clone)]
pub(crate) struct Queue {
    recorder: Option<Recorder>,
    pub(crate) sent: Arc<Mutex<Vec<StatusChange>>>,
    pub(crate) waiting: Arc<AtomicU64>,
    /// How long each sending takes.
    pub(crate) takes: Duration,
    clock: Clock,
}

#[derive(Clone)]
pub(crate) struct Functions {
    pub(crate) go_on: Arc<Semaphore>,
    pub(crate) fails: Arc<AtomicBool>,
    pub(crate) called_with: Arc<Mutex<Vec<Value>>>,
}

impl StatusQueue for Queue {
    async fn send(&self, changes: &[StatusChange]) -> Result<(), WatchError> {
        self.clock.advance(self.takes);
        self.sent.lock().unwrap().extend_from_slice(changes);
        let Some(recorder) = &self.recorder else {
            return Ok(());
        };
        let mut event = SqsEvent::default();
        event.records = changes
            .iter()
            .map(|change| {
                let mut message = SqsMessage::default();
                message.message_id = Some(change.execution_arn.clone());
                message.body = Some(change.to_message());
                message
            })
            .collect();
        let failed = record_execution::handle(recorder, event, &mut Metrics::off().batch()).await;
        assert!(failed.batch_item_failures.is_empty(), "{failed:?}");
        Ok(())
    }

    async fn waiting(&self) -> Result<u64, WatchError> {
        Ok(self.waiting.load(Ordering::SeqCst))
    }
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Clock::system().now());
        let storage = LocalStorage::open(
            &folder.path().join("storage"),
            LocalStorageConfig {
                durability: Durability::ProcessCrash,
                loopback_credentials: LoopbackCredentials {
                    access_key_id: LOCAL_KEY.to_owned(),
                    secret_access_key: LOCAL_KEY.to_owned(),
                },
            },
        )
        .unwrap();
        let functions = Functions {
            go_on: Arc::new(Semaphore::new(0)),
            fails: Arc::default(),
            called_with: Arc::default(),
        };
        let engine = LocalStepFunctions::start(Config {
            data: folder.path().join("engine"),
            place: Place::default(),
            clock: clock.clone(),
            functions: functions.invoker(),
        })
        .await
        .unwrap();
        let throttles = Throttle {
            on: Arc::default(),
            inner: SharedHttpClient::new(engine.http_client()),
        };
        let slow = Slow {
            clock: clock.clone(),
            millis: Arc::default(),
            inner: storage.s3_http_client(),
        };
        let service = |http_client: SharedHttpClient, name: &str| LocalService {
            http_client,
            endpoint_url: format!("http://{name}.local"),
        };
        let clients = AwsClients::local(
            "us-east-1",
            service(storage.dynamodb_http_client(), "dynamodb"),
            service(SharedHttpClient::new(slow.clone()), "s3"),
            service(SharedHttpClient::new(throttles.clone()), "states"),
        );
        let store = TraceStore::new(
            clients.dynamodb().clone(),
            clients.s3().clone(),
            StoreConfig::new(NAME, NAME),
            clock.clone(),
        );
        store.create_table_if_missing().await.unwrap();
        let recorder = Recorder::new(
            clients.sfn().clone(),
            store.clone(),
            Policy::standard(),
            TenantId::default(),
        );
        Self {
            queue: Queue {
                recorder: Some(recorder),
                sent: Arc::default(),
                waiting: Arc::default(),
                takes: Duration::ZERO,
                clock: clock.clone(),
            },
            clients,
            store,
            storage,
            clock,
            functions,
            throttles,
            slow,
            engine,
            _folder: folder,
        }
    }

    /// From then on status changes stay in the queue.
    pub(crate) fn stop_recorder(&mut self) {
        self.queue.recorder = None;
    }

    /// By the cloud's clock each request to S3 takes so long.
    pub(crate) fn slow_down(&self, takes: Duration) {
        let millis = u64::try_from(takes.as_millis()).unwrap();
        self.slow.millis.store(millis, Ordering::SeqCst);
    }

    pub(crate) fn watcher(&self) -> Watcher<Queue> {
        Watcher::new(
            self.clients.sfn().clone(),
            self.store.clone(),
            self.queue.clone(),
            self.clock.clone(),
        )
    }

    pub(crate) async fn visit(&self) -> Report {
        self.visit_for(5 * MINUTE).await
    }

    pub(crate) async fn visit_for(&self, time: Duration) -> Report {
        let deadline = self.clock.now().plus(time);
        self.watcher().visit(deadline).await.unwrap()
    }

    /// A visit after so much time.
    pub(crate) async fn visit_after(&self, time: Duration) -> Report {
        self.clock.advance(time);
        self.visit().await
    }

    pub(crate) async fn create(&self, name: &str, definition: &Value) -> String {
        let made = self.clients.sfn().create_state_machine().name(name);
        let made = made
            .role_arn("arn:aws:iam::000000000000:role/local")
            .definition(definition.to_string())
            .send();
        made.await.unwrap().state_machine_arn
    }

    pub(crate) async fn begin(&self, machine: &str, tenant: &str) -> ExecutionArn {
        let start = self.clients.sfn().start_execution();
        let input = json!({"stepscope": {"tenant": tenant}}).to_string();
        let start = start.state_machine_arn(machine).input(input).send();
        ExecutionArn::parse(&start.await.unwrap().execution_arn).unwrap()
    }

    pub(crate) async fn ended(&self, arn: &ExecutionArn) {
        let mut growth = self.engine.subscribe();
        loop {
            let described = self.clients.sfn().describe_execution();
            let described = described.execution_arn(arn.as_str()).send().await.unwrap();
            if described.status != ExecutionStatus::Running {
                return;
            }
            growth.recv().await.unwrap();
        }
    }

    pub(crate) async fn run(&self, machine: &str, tenant: &str) -> ExecutionArn {
        let arn = self.begin(machine, tenant).await;
        self.ended(&arn).await;
        arn
    }

    /// As when its status event arrives.
    pub(crate) async fn record(&self, arn: &ExecutionArn) {
        let recorder = self.queue.recorder.as_ref().unwrap();
        recorder.record(arn).await.unwrap();
    }

    pub(crate) async fn summarise(&self, tenant: &str, trace_id: TraceId) {
        summarise_run::write_summary(&self.store, &tenant_id(tenant), trace_id)
            .await
            .unwrap();
    }

    pub(crate) async fn stored(&self, tenant: &str, arn: &ExecutionArn) -> Option<Run> {
        let trace_id = TraceId::of_execution(arn);
        self.store.run(&tenant_id(tenant), trace_id).await.unwrap()
    }

    pub(crate) fn asked_for(&self) -> Vec<String> {
        let sent = self.queue.sent.lock().unwrap();
        sent.iter()
            .map(|change| change.execution_arn.clone())
            .collect()
    }

    pub(crate) async fn items(&self) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
        let scan = self.clients.dynamodb().scan().table_name(NAME);
        scan.send().await.unwrap().items.unwrap_or_default()
    }
}

impl Functions {
    /// `wait` answers when it is let; `flaky` fails while it is told to.
    fn invoker(&self) -> FunctionInvoker {
        let (waits, flaky) = (self.clone(), self.clone());
        FunctionInvoker::new()
            .with_function("wait", move |request: InvocationRequest| {
                let functions = waits.clone();
                async move {
                    functions.note(&request);
                    functions.go_on.acquire().await.unwrap().forget();
                    Ok(json!({}))
                }
            })
            .with_function("flaky", move |request: InvocationRequest| {
                let functions = flaky.clone();
                async move {
                    functions.note(&request);
                    if functions.fails.load(Ordering::SeqCst) {
                        return Err(FunctionError {
                            error_type: "Runtime.ExitError".to_owned(),
                            error_message: "signal: killed".to_owned(),
                            stack_trace: Vec::new(),
                        });
                    }
                    Ok(json!({}))
                }
            })
    }

    fn note(&self, request: &InvocationRequest) {
        self.called_with
            .lock()
            .unwrap()
            .push(request.payload.clone());
    }

    /// The span id that the machine gave the first attempt.
    pub(crate) fn first_attempt(&self) -> SpanId {
        let called_with = self.called_with.lock().unwrap();
        let traceparent = called_with[0]["headers"]["traceparent"].as_str().unwrap();
        traceparent.split('-').nth(2).unwrap().parse().unwrap()
    }
}

pub(crate) fn tenant_id(tenant: &str) -> TenantId {
    TenantId::parse(tenant).unwrap()
}

pub(crate) fn pass() -> Value {
    json!({"QueryLanguage": "JSONata", "StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": true}}})
}

/// One task, whose payload joins the trace.
pub(crate) fn calls(function: &str) -> Value {
    let traceparent = "{% '00-' & $hash($states.context.Execution.Id, 'MD5') & '-' & \
                       $substring($replace($uuid(), '-', ''), 0, 16) & '-01' %}";
    json!({
        "QueryLanguage": "JSONata",
        "StartAt": "Call",
        "States": {"Call": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": function, "Payload": {
                "headers": {"traceparent": traceparent},
                "stepscope": {"tenant": "{% $states.context.Execution.Input.stepscope.tenant %}"},
            }},
            "End": true,
        }},
    })
}

/// Step Functions, refusing calls while it is told to.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    pub(crate) on: Arc<AtomicBool>,
    inner: SharedHttpClient,
}

#[derive(Debug)]
struct Throttled {
    on: Arc<AtomicBool>,
    inner: SharedHttpConnector,
}

impl HttpClient for Throttle {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Throttled {
            on: Arc::clone(&self.on),
            inner: self.inner.http_connector(settings, components),
        })
    }
}

impl HttpConnector for Throttled {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        if target.ends_with("ListExecutions") && self.on.load(Ordering::SeqCst) {
            let body = r#"{"__type": "ThrottlingException", "message": "Rate exceeded"}"#;
            let answer = HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body));
            return HttpConnectorFuture::ready(Ok(answer));
        }
        self.inner.call(request)
    }
}

/// S3, at a pace.
#[derive(Clone, Debug)]
struct Slow {
    clock: Clock,
    millis: Arc<AtomicU64>,
    inner: SharedHttpClient,
}

#[derive(Debug)]
struct Slowed {
    slow: Slow,
    inner: SharedHttpConnector,
}

impl HttpClient for Slow {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Slowed {
            slow: self.clone(),
            inner: self.inner.http_connector(settings, components),
        })
    }
}

impl HttpConnector for Slowed {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let takes = self.slow.millis.load(Ordering::SeqCst);
        self.slow.clock.advance(Duration::from_millis(takes));
        self.inner.call(request)
    }
}

/// What a visit found and did, but for what is zero.
pub(crate) fn told(report: &Report) -> Vec<(&'static str, u64)> {
    let all = [
        ("executions", report.executions),
        ("missing", report.missing),
        ("repaired", report.repaired),
        ("abandoned", report.abandoned),
        ("announced", report.announced),
        ("orphans", report.orphans),
    ];
    assert_eq!(report.interrupted, None);
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}
