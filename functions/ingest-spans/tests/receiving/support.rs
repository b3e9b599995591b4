use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode};
use identity::{
    ApiKeys, Authenticator, IdentityConfig, LocalIssuer, NewApiKey, Scope, Scopes, TokenRequest,
};
use ingest_spans::{IngestState, ROUTE, app};
use lambda_process::http_client;
use lambda_process::metrics::Metrics;
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use redaction::Policy;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;
use trace_model::{Clock, Run, TenantId, Timestamp, TraceId};
use trace_store::{StoreConfig, TraceStore, TraceStructure};

pub(crate) struct Cloud {
    pub(crate) router: Router,
    pub(crate) store: TraceStore,
    pub(crate) keys: ApiKeys,
    pub(crate) clock: Clock,
    pub(crate) throttle: Throttle,
    issuer: LocalIssuer,
    _folder: TempDir,
}

/// The table refuses this many writes of items.
#[derive(Clone, Debug, Default)]
pub(crate) struct Throttle(Arc<AtomicUsize>);

#[derive(Debug)]
struct Throttled<T> {
    throttle: Throttle,
    inner: T,
}

impl Throttle {
    pub(crate) fn writes(&self, count: usize) {
        self.0.store(count, Ordering::SeqCst);
    }

    fn takes(&self, request: &HttpRequest) -> bool {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let take = |left: usize| left.checked_sub(1);
        target.ends_with(".PutItem")
            && self
                .0
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_ok()
    }
}

impl HttpClient for Throttled<SharedHttpClient> {
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

impl HttpConnector for Throttled<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !self.throttle.takes(&request) {
            return self.inner.call(request);
        }
        let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}"#;
        let response = HttpResponse::new(400_u16.try_into().unwrap(), SdkBody::from(body));
        HttpConnectorFuture::ready(Ok(response))
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// OTLP's error, as a sender reads it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

const START: Timestamp = Timestamp::from_unix_millis(1_795_000_000_000);

impl Cloud {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = LocalStorageConfig {
            durability: Durability::ProcessCrash,
            loopback_credentials: LoopbackCredentials {
                access_key_id: "local".to_owned(),
                secret_access_key: "local".to_owned(),
            },
        };
        let storage = LocalStorage::open(&folder.path().join("storage"), config).unwrap();
        let clock = Clock::manual(START);
        let throttle = Throttle::default();
        let credentials = Credentials::from_keys("local", "local", None);
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
            .credentials_provider(credentials.clone())
            .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
            .http_client(SharedHttpClient::new(Throttled {
                throttle: throttle.clone(),
                inner: storage.dynamodb_http_client(),
            }))
            .build();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .credentials_provider(credentials)
            .force_path_style(true)
            .http_client(storage.s3_http_client())
            .build();
        let store = TraceStore::new(
            aws_sdk_dynamodb::Client::from_conf(dynamodb),
            aws_sdk_s3::Client::from_conf(s3),
            StoreConfig::new("stepscope", "stepscope"),
            clock.clone(),
        );
        store.create_table_if_missing().await.unwrap();
        let issuer =
            LocalIssuer::open(&folder.path().join("issuer.pem"), "http://127.0.0.1:1").unwrap();
        let identity = IdentityConfig::new(vec![issuer.trust()]);
        let keys = ApiKeys::new(store.clone());
        let authenticator = Authenticator::new(identity, &http_client().unwrap()).unwrap();
        let router = app(IngestState {
            store: store.clone(),
            authenticator: Arc::new(authenticator.with_api_keys(keys.clone())),
            policy: Policy::standard(),
            clock: clock.clone(),
            metrics: Metrics::off(),
        });
        Self {
            router,
            store,
            keys,
            clock,
            throttle,
            issuer,
            _folder: folder,
        }
    }

    pub(crate) fn token(&self, name: &str, scope: Scope) -> String {
        let request = TokenRequest {
            tenant: tenant(name),
            subject: "collector".to_owned(),
            scopes: [scope].into_iter().collect(),
            lifetime: Duration::from_mins(5),
        };
        let token = self.issuer.issue(&request, self.clock.now()).unwrap();
        format!("Bearer {}", token.reveal())
    }

    /// The key and its id.
    pub(crate) async fn api_key(&self, name: &str, scope: Scope) -> (String, String) {
        let new = NewApiKey {
            tenant: tenant(name),
            name: "a collector".to_owned(),
            scopes: [scope].into_iter().collect::<Scopes>(),
            lifetime: Duration::from_hours(1),
        };
        let (key, stored) = self.keys.create(&new, self.clock.now()).await.unwrap();
        (key.reveal().to_owned(), stored.id)
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

    /// As a sender of the tenant `acme`.
    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let token = self.token("acme", Scope::TracesWrite);
        let mut request = Request::post(ROUTE).header("authorization", token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn post_protobuf(&self, request: &ExportTraceServiceRequest) -> Answer {
        let protobuf = [("content-type", "application/x-protobuf")];
        self.post(&protobuf, request.encode_to_vec()).await
    }

    pub(crate) async fn post_json(&self, json: impl Into<Body>) -> Answer {
        self.post(&[("content-type", "application/json")], json)
            .await
    }

    pub(crate) async fn structure(&self, name: &str, id: TraceId) -> TraceStructure {
        self.store.read_structure(&tenant(name), id).await.unwrap()
    }

    /// The run, once what is stored is summed up, as the table's stream has it done.
    pub(crate) async fn summarised_run(&self, name: &str, id: TraceId) -> Option<Run> {
        let tenant = tenant(name);
        summarise_run::write_summary(&self.store, &tenant, id)
            .await
            .unwrap();
        self.store.run(&tenant, id).await.unwrap()
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn response(&self) -> ExportTraceServiceResponse {
        let status = self.rpc_status_text();
        assert_eq!(self.status, StatusCode::OK, "{status}");
        assert_eq!(self.header("content-type"), Some("application/x-protobuf"));
        ExportTraceServiceResponse::decode(self.body.as_slice()).unwrap()
    }

    pub(crate) fn rpc_status(&self) -> RpcStatus {
        assert_eq!(self.header("content-type"), Some("application/x-protobuf"));
        RpcStatus::decode(self.body.as_slice()).unwrap()
    }

    pub(crate) fn assert_all_stored(&self) {
        assert_eq!(self.response().partial_success, None);
    }

    fn rpc_status_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn trace_id() -> TraceId {
    "0af7651916cd43dd8448eb211c80319c".parse().unwrap()
}

/// A finished span of [`trace_id`]; parent 0 is none.
pub(crate) fn span(id: u64, parent: u64) -> Span {
    let start = START.as_unix_nanos() + id * 1_000;
    Span {
        trace_id: trace_id().as_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: match parent {
            0 => Vec::new(),
            parent => parent.to_be_bytes().to_vec(),
        },
        name: format!("step {id}"),
        kind: 1,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 500,
        ..Span::default()
    }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

pub(crate) fn int(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::IntValue(value)),
        }),
        ..KeyValue::default()
    }
}

pub(crate) fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", "shop")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}
