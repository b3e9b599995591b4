//! What the store does when the services fail: the embedded storage behind a connector that
//! throttles, leaves items unprocessed, or breaks off.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use redaction::{Policy, RawSpan, RedactedSpan};
use tempfile::TempDir;
use trace_model::{Clock, Content, Span, SpanId, SpanKind, TenantId, TraceId};
use trace_store::{StoreConfig, StoreError, TraceStore};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// `ProvisionedThroughputExceededException`.
    Throttle,
    /// A batch write does its first item and leaves the others.
    Unprocessed,
    /// What S3 answers a role that may not list the bucket for an object that is not there.
    Forbid,
    /// The connection breaks before the service sees the request.
    BreakOff,
    /// The service does it, and its answer is lost.
    LoseTheAnswer,
}

/// An operation or an HTTP method, and how often it fails.
type Planned = (&'static str, Fault, usize);

/// Fails the next so many requests whose target or method matches.
#[derive(Clone, Debug)]
struct Faults(Arc<Mutex<Vec<Planned>>>);

impl Faults {
    fn take(&self, request: &HttpRequest) -> Option<Fault> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let operation = if operation.is_empty() {
            request.method()
        } else {
            operation
        };
        let mut faults = self.0.lock().unwrap();
        let found = faults
            .iter_mut()
            .find(|(name, _, left)| *name == operation && *left > 0);
        found.map(|(_, fault, left)| {
            *left -= 1;
            *fault
        })
    }
}

#[derive(Clone, Debug)]
struct Faulty {
    faults: Faults,
    inner: SharedHttpConnector,
}

#[derive(Debug)]
struct FaultyClient {
    faults: Faults,
    inner: SharedHttpClient,
}

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Faulty {
            faults: self.faults.clone(),
            inner: self.inner.http_connector(settings, components),
        })
    }
}

impl HttpConnector for Faulty {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let fault = self.faults.take(&request);
        let broken = || ConnectorError::io("the connection broke".into());
        let inner = self.inner.clone();
        match fault {
            None => inner.call(request),
            Some(Fault::BreakOff) => HttpConnectorFuture::ready(Err(broken())),
            Some(Fault::Throttle) => HttpConnectorFuture::ready(Ok(answer(
                400,
                r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}"#,
            ))),
            Some(Fault::Forbid) => HttpConnectorFuture::ready(Ok(answer(403, ""))),
            Some(Fault::LoseTheAnswer) => HttpConnectorFuture::new(async move {
                inner.call(request).await?;
                Err(broken())
            }),
            Some(Fault::Unprocessed) => {
                let body: serde_json::Value =
                    serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
                let requests = body["RequestItems"]["stepscope"].as_array().unwrap();
                let left = serde_json::json!({"stepscope": requests[1..]});
                let first = serde_json::json!({"RequestItems": {"stepscope": [requests[0]]}});
                let first = first.to_string();
                request
                    .headers_mut()
                    .insert("content-length", first.len().to_string());
                *request.body_mut() = SdkBody::from(first);
                HttpConnectorFuture::new(async move {
                    inner.call(request).await?;
                    let body = serde_json::json!({"UnprocessedItems": left});
                    Ok(answer(200, &body.to_string()))
                })
            }
        }
    }
}

fn answer(status: u16, body: &str) -> HttpResponse {
    let body = SdkBody::from(body.to_owned());
    HttpResponse::new(status.try_into().unwrap(), body)
}

struct Cloud {
    store: TraceStore,
    faults: Faults,
    _folder: TempDir,
}

async fn cloud() -> Cloud {
    let folder = tempfile::tempdir().unwrap();
    let config = LocalStorageConfig {
        durability: Durability::ProcessCrash,
        loopback_credentials: LoopbackCredentials {
            access_key_id: "local".to_owned(),
            secret_access_key: "local".to_owned(),
        },
    };
    let storage = LocalStorage::open(folder.path(), config).unwrap();
    let faults = Faults(Arc::default());
    let behind = |inner| {
        let faults = faults.clone();
        SharedHttpClient::new(FaultyClient { faults, inner })
    };
    let credentials = Credentials::from_keys("local", "local", None);
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
        .credentials_provider(credentials.clone())
        .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
        .http_client(behind(storage.dynamodb_http_client()));
    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(credentials)
        .force_path_style(true)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .http_client(behind(storage.s3_http_client()));
    let store = TraceStore::new(
        aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
        aws_sdk_s3::Client::from_conf(s3.build()),
        StoreConfig::new("stepscope", "stepscope"),
        Clock::system(),
    );
    store.create_table_if_missing().await.unwrap();
    Cloud {
        store,
        faults,
        _folder: folder,
    }
}

fn trace_id() -> TraceId {
    "0af7651916cd43dd8448eb211c80319c".parse().unwrap()
}

/// One span with four bodies in items and one in the bucket.
fn spans() -> Vec<RedactedSpan> {
    let id = SpanId::from_bytes([1; 8]).unwrap();
    let start = Clock::system().now();
    let mut span = Span::open(trace_id(), id, None, "call", SpanKind::Model, start);
    for number in 0..4 {
        let text = format!("body {number} ").repeat(1000);
        let content = Content::text("text/plain", text);
        span.content.insert(format!("item.{number}"), content);
    }
    let object: String = (1..20_000_u32)
        .map(|n| char::from_u32(0x4E00 + (n.wrapping_mul(n).wrapping_mul(2_654_435_761) >> 20)))
        .map(Option::unwrap)
        .collect();
    span.content
        .insert("object".to_owned(), Content::text("text/plain", object));
    vec![Policy::standard().redact(RawSpan::from(span))]
}

impl Cloud {
    fn fail(&self, operation: &'static str, fault: Fault, times: usize) {
        self.faults
            .0
            .lock()
            .unwrap()
            .push((operation, fault, times));
    }

    async fn write(&self) -> Result<trace_store::WriteReceipt, StoreError> {
        let tenant = TenantId::default();
        self.store.write_spans(&tenant, trace_id(), spans()).await
    }

    /// Every body that the structure points to can be read; says how many spans there are.
    async fn check_nothing_points_to_nothing(&self) -> usize {
        let tenant = TenantId::default();
        let structure = self
            .store
            .read_structure(&tenant, trace_id())
            .await
            .unwrap();
        for span in &structure.spans {
            for field in span.span().content.keys() {
                let read = self
                    .store
                    .read_content(&tenant, trace_id(), span, field)
                    .await;
                read.unwrap();
            }
        }
        structure.spans.len()
    }
}

async fn check_mended(faults: &[Planned]) {
    let cloud = cloud().await;
    for (operation, fault, times) in faults {
        cloud.fail(operation, *fault, *times);
    }
    cloud.write().await.unwrap();
    assert_eq!(cloud.check_nothing_points_to_nothing().await, 1);
    let left = cloud
        .faults
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(_, _, left)| left)
        .sum::<usize>();
    assert_eq!(left, 0, "every fault was met");
}

#[tokio::test]
async fn hard_case_20_throttled_writes_are_tried_again() {
    check_mended(&[
        ("PutItem", Fault::Throttle, 2),
        ("BatchWriteItem", Fault::Throttle, 2),
    ])
    .await;
}

#[tokio::test]
async fn hard_case_20_unprocessed_items_are_written_after_all() {
    check_mended(&[("BatchWriteItem", Fault::Unprocessed, 3)]).await;
}

#[tokio::test]
async fn hard_case_24_a_lost_answer_is_no_second_chunk() {
    check_mended(&[("PutItem", Fault::LoseTheAnswer, 2)]).await;
}

/// A role for one tenant may not list the bucket, and still writes.
#[tokio::test]
async fn hard_case_6_an_object_that_may_not_be_looked_for_is_written() {
    check_mended(&[("HEAD", Fault::Forbid, 1)]).await;
}

/// The service is down for longer than the store tries.
async fn check_broken_off(operation: &'static str, fault: Fault) {
    let cloud = cloud().await;
    cloud.fail(operation, fault, 100);
    let error = cloud.write().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        !format!("{error:?} {error}").contains("body 1"),
        "no contents in errors"
    );
    assert_eq!(cloud.check_nothing_points_to_nothing().await, 0);
    cloud.faults.0.lock().unwrap().clear();
    cloud.write().await.unwrap();
    assert_eq!(cloud.check_nothing_points_to_nothing().await, 1);
}

#[tokio::test]
async fn hard_case_20_s3_fails() {
    check_broken_off("PUT", Fault::BreakOff).await;
}

#[tokio::test]
async fn hard_case_20_dynamodb_fails_after_s3() {
    check_broken_off("PutItem", Fault::BreakOff).await;
}

#[tokio::test]
async fn hard_case_20_bodies_fail() {
    check_broken_off("BatchWriteItem", Fault::Throttle).await;
}
