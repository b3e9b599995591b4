use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode};
use identity::{Authenticator, IdentityConfig, LocalIssuer, Scope, Scopes, TokenRequest};
use lambda_process::metrics::Captured;
use lambda_process::{AwsClients, LocalService, http_client};
use local_step_functions::{Config, FunctionInvoker, LocalStepFunctions, Place};
use local_storage::{LocalStorage, LocalStorageConfig, LoopbackCredentials};
use redaction::{Policy, RawSpan};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use trace_api::{ApiConfig, ApiState, CursorKey, TenantStores, app};
use trace_model::{
    Clock, Content, Cost, ExecutionArn, Run, RunStatus, Span, SpanId, SpanKind, Status, TenantId,
    Timestamp, Totals, TraceId, conventions,
};
use trace_store::{ArtifactWrite, NewArtifact, StoreConfig, Summary, TraceStore};

/// The whole local cloud in a folder of its own.
pub(crate) struct Cloud {
    pub(crate) router: Router,
    pub(crate) store: TraceStore,
    pub(crate) clients: AwsClients,
    pub(crate) metrics: Captured,
    table_calls: Arc<AtomicUsize>,
    issuer: LocalIssuer,
    clock: Clock,
    _engine: LocalStepFunctions,
    _folder: TempDir,
}

/// The table's client, which counts its calls.
#[derive(Debug)]
struct Counting {
    client: SharedHttpClient,
    calls: Arc<AtomicUsize>,
}

impl HttpClient for Counting {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.client.http_connector(settings, components)
    }
}

/// An answer, decompressed by nobody.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) const ARTIFACT: &[u8] = b"<b>Dear customer</b>";

pub(crate) const START: Timestamp = Timestamp::from_unix_millis(1_795_000_000_000);

/// Goes through each stage at once, so that it ends before anyone asks.
pub(crate) const PASS_MACHINE: &str = r#"{
  "QueryLanguage": "JSONata", "StartAt": "Only",
  "States": { "Only": { "Type": "Pass", "End": true } }
}"#;

impl Cloud {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::open(
            &folder.path().join("storage"),
            LocalStorageConfig {
                durability: local_storage::Durability::ProcessCrash,
                loopback_credentials: LoopbackCredentials {
                    access_key_id: "local".to_owned(),
                    secret_access_key: "local".to_owned(),
                },
            },
        )
        .unwrap();
        let clock = Clock::system();
        let engine = LocalStepFunctions::start(Config {
            data: folder.path().join("engine"),
            place: Place::default(),
            clock: clock.clone(),
            functions: FunctionInvoker::new().with_function("ask", async |_| Ok(json!({}))),
        })
        .await
        .unwrap();
        let service = |http_client: SharedHttpClient, name: &str| LocalService {
            http_client,
            endpoint_url: format!("http://{name}.local"),
        };
        let table_calls = Arc::default();
        let dynamodb = SharedHttpClient::new(Counting {
            client: storage.dynamodb_http_client(),
            calls: Arc::clone(&table_calls),
        });
        let clients = AwsClients::local(
            "us-east-1",
            service(dynamodb, "dynamodb"),
            service(storage.s3_http_client(), "s3"),
            service(SharedHttpClient::new(engine.http_client()), "states"),
        );
        let store = TraceStore::new(
            clients.dynamodb().clone(),
            clients.s3().clone(),
            StoreConfig::new("stepscope", "stepscope"),
            clock.clone(),
        );
        store.create_table_if_missing().await.unwrap();
        let issuer =
            LocalIssuer::open(&folder.path().join("issuer.pem"), "http://127.0.0.1:1").unwrap();
        let identity = IdentityConfig::new(vec![issuer.trust()]);
        let metrics = Captured::default();
        let router = app(ApiState {
            metrics: metrics.metrics(Clock::system()),
            stores: TenantStores::shared(store.clone()),
            authenticator: Arc::new(Authenticator::new(identity, &http_client().unwrap()).unwrap()),
            step_functions: clients.sfn().clone(),
            recorder: None,
            clock: clock.clone(),
            config: Arc::new(ApiConfig {
                region: "us-east-1".to_owned(),
                account_id: "000000000000".to_owned(),
                cursor_key: CursorKey::new(b"a key for tests"),
                allowed_origins: vec!["https://canvas.example".parse().unwrap()],
            }),
        });
        Self {
            router,
            store,
            clients,
            metrics,
            table_calls,
            issuer,
            clock,
            _engine: engine,
            _folder: folder,
        }
    }

    pub(crate) fn token(&self, name: &str, scopes: impl IntoIterator<Item = Scope>) -> String {
        let request = TokenRequest {
            tenant: tenant(name),
            subject: format!("person@{name}"),
            scopes: scopes.into_iter().collect(),
            lifetime: Duration::from_mins(5),
        };
        let token = self.issuer.issue(&request, self.clock.now()).unwrap();
        format!("Bearer {}", token.reveal())
    }

    pub(crate) fn full_token(&self, name: &str) -> String {
        self.token(name, Scopes::all().iter())
    }

    /// Calls of the table so far.
    pub(crate) fn table_calls(&self) -> usize {
        self.table_calls.load(Ordering::Relaxed)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: to_bytes(body, usize::MAX).await.unwrap().to_vec(),
        }
    }

    /// As the tenant's most privileged caller.
    pub(crate) async fn get(&self, name: &str, path: &str) -> Answer {
        let request = Request::get(path)
            .header("authorization", self.full_token(name))
            .header("x-request-id", "test")
            .body(Body::empty());
        self.send(request.unwrap()).await
    }

    pub(crate) async fn post(&self, name: &str, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path)
            .header("authorization", self.full_token(name))
            .header("content-type", "application/json")
            .header("x-request-id", "test")
            .body(body.into());
        self.send(request.unwrap()).await
    }

    pub(crate) async fn create_machine(&self, name: &str) {
        self.clients
            .sfn()
            .create_state_machine()
            .name(name)
            .definition(PASS_MACHINE)
            .role_arn("arn:aws:iam::000000000000:role/local")
            .send()
            .await
            .unwrap();
    }

    /// Waits for an answer in the state Approve, under the span id `aa00000000000001`.
    pub(crate) async fn create_asking_machine(&self, fields: &[(&str, Value)]) {
        let mut approve = json!({
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Arguments": {"FunctionName": "ask", "Payload": {
                "node": "approval",
                "parameters": {"question": "Refund jane.doe@example.com?"},
                "task_token": "{% $states.context.Task.Token %}",
                "headers": {"traceparent": "{% '00-' & $hash($states.context.Execution.Id, 'MD5') & '-aa00000000000001-01' %}"},
            }},
            "End": true,
        });
        for (name, value) in fields {
            *approve.pointer_mut(name).unwrap() = value.clone();
        }
        let machine = json!({
            "QueryLanguage": "JSONata", "StartAt": "Approve", "States": {"Approve": approve},
        });
        self.clients
            .sfn()
            .create_state_machine()
            .name("ask")
            .definition(machine.to_string())
            .role_arn("arn:aws:iam::000000000000:role/local")
            .send()
            .await
            .unwrap();
    }

    /// An execution of the asking machine that waits, and whose run is recorded.
    pub(crate) async fn ask(&self, tenant_name: &str, name: &str) -> Run {
        let body = json!({"name": name}).to_string();
        let started = self
            .post(tenant_name, "/workflows/ask/executions", body)
            .await;
        assert_eq!(started.status, 201);
        let mut opened = run(tenant_name, &format!("ask:{name}"), self.clock.now());
        opened.status = RunStatus::Running;
        opened.finished_at = None;
        opened.error = None;
        self.store.open_run(&opened).await.unwrap();
        self.reached(&opened, "TaskSubmitted").await;
        opened
    }

    /// Waits until the execution's history has such an event.
    pub(crate) async fn reached(&self, run: &Run, event_type: &str) {
        for _ in 0..1_000 {
            let history = self
                .clients
                .sfn()
                .get_execution_history()
                .execution_arn(run.execution_arn.as_ref().unwrap().as_str())
                .send()
                .await
                .unwrap();
            let mut events = history.events.iter();
            if events.any(|event| event.r#type.as_str() == event_type) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for {event_type}");
    }

    /// A finished run with a state, an attempt and a model call.
    pub(crate) async fn seed(&self, tenant_name: &str, id: &str) -> Run {
        let (run, spans) = example(tenant_name, id, START);
        self.store_run(&run, spans).await;
        run
    }

    /// A page that a node of the run made.
    pub(crate) async fn make_artifact(&self, run: &Run) -> ArtifactWrite {
        let artifact = NewArtifact {
            name: Policy::standard().redact_text("reply.html"),
            content_type: "text/html".to_owned(),
            body: ARTIFACT.to_vec(),
            attempt: Some(span_id(3)),
            span_id: span_id(4),
        };
        let written = self
            .store
            .write_artifact(&run.tenant, run.trace_id, artifact);
        written.await.unwrap()
    }

    pub(crate) async fn store_run(&self, run: &Run, spans: Vec<Span>) {
        let mut opened = run.clone();
        opened.status = RunStatus::Running;
        opened.finished_at = None;
        self.store.open_run(&opened).await.unwrap();
        let policy = Policy::standard();
        let spans = spans
            .into_iter()
            .map(|span| policy.redact(RawSpan::from(span)));
        self.store
            .write_spans(&run.tenant, run.trace_id, spans.collect())
            .await
            .unwrap();
        self.store.close_run(run).await.unwrap();
        let totals = Totals {
            spans: 4,
            errors: 1,
            model_calls: 1,
            input_tokens: 120,
            output_tokens: 30,
            cost: Cost {
                pico_usd: 1_500_000_000,
            },
            models: ["demo-model".to_owned()].into_iter().collect(),
            ..Totals::default()
        };
        let summary = Summary {
            totals,
            redactions: BTreeMap::from([("email".to_owned(), 2)]),
            notices: Vec::new(),
            run_of_spans: None,
            structure_revision: 1,
        };
        self.store
            .write_summary(&run.tenant, run.trace_id, &summary)
            .await
            .unwrap();
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(json) => json,
            Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// That it is problem+json of this status and kind, and its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> String {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let body = self.json();
        assert_eq!(
            body["type"],
            json!(format!("/docs/problems/{kind}")),
            "{text}"
        );
        assert_eq!(body["status"], json!(status));
        assert!(
            body["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty())
        );
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        body["detail"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn arn(id: &str) -> ExecutionArn {
    ExecutionArn::parse(&format!(
        "arn:aws:states:us-east-1:000000000000:execution:{id}"
    ))
    .unwrap()
}

pub(crate) fn span_id(number: u64) -> SpanId {
    SpanId::from_bytes(number.to_be_bytes()).unwrap()
}

pub(crate) fn run(tenant_name: &str, id: &str, started_at: Timestamp) -> Run {
    let arn = arn(id);
    Run {
        tenant: tenant(tenant_name),
        execution_id: arn.execution_id(),
        trace_id: TraceId::of_execution(&arn),
        root_span_id: SpanId::of_execution(&arn),
        workflow: arn.workflow().to_owned(),
        execution_arn: Some(arn),
        status: RunStatus::Failed,
        started_at,
        redrives: 0,
        finished_at: Some(started_at.plus(Duration::from_millis(2_500))),
        error: Some("ModelRefused".to_owned()),
        totals: None,
        redactions: BTreeMap::new(),
        notices: Vec::new(),
        revision: 0,
        expires_at: None,
    }
}

/// A run and the spans that a recorder and a tracer would have written.
fn example(tenant_name: &str, id: &str, started_at: Timestamp) -> (Run, Vec<Span>) {
    let run = run(tenant_name, id, started_at);
    let at = |millis| started_at.plus(Duration::from_millis(millis));
    let open = |number, parent, name: &str, kind, start| {
        Span::open(run.trace_id, number, parent, name, kind, start)
    };
    let failed = || Status::Error {
        message: "ModelRefused: not today".to_owned(),
    };
    let mut root = open(run.root_span_id, None, &run.workflow, SpanKind::Run, at(0));
    root.finish(at(2_500), failed());
    let mut state = open(
        span_id(2),
        Some(run.root_span_id),
        "Classify",
        SpanKind::State,
        at(5),
    );
    state.set(conventions::WORKFLOW_STATE, "Classify");
    state.content.insert(
        conventions::INPUT.to_owned(),
        Content::json(&json!({"ticket": "T-1", "contact": "jane.doe@example.com"})),
    );
    state.finish(at(2_490), failed());
    let mut attempt = open(
        span_id(3),
        Some(span_id(2)),
        "Classify attempt 1",
        SpanKind::Attempt,
        at(6),
    );
    attempt.set(conventions::WORKFLOW_STATE, "Classify");
    attempt.set(conventions::WORKFLOW_ATTEMPT, 1);
    attempt.flag("reused_traceparent");
    attempt.finish(at(2_480), failed());
    let mut model = open(
        span_id(4),
        Some(span_id(3)),
        "chat demo-model",
        SpanKind::Model,
        at(20),
    );
    model.set(conventions::REQUEST_MODEL, "demo-model");
    model.set(conventions::USAGE_INPUT_TOKENS, 120);
    model.set(conventions::USAGE_OUTPUT_TOKENS, 30);
    model.set(conventions::COST_PICO_USD, 1_500_000_000_i64);
    model.finish(at(2_400), Status::Unset);
    (run, vec![root, state, attempt, model])
}
