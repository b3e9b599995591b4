//! Sessions of tenants, over a connector that plays STS and DynamoDB.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use futures::future::join_all;
use lambda_process::TenantSessions;
use trace_model::{Clock, TenantId};

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

/// Gives each tenant an access key of its own, and writes down whose key read whose items.
#[derive(Clone, Debug)]
struct Aws {
    session: Duration,
    assumed: Arc<Mutex<BTreeMap<String, usize>>>,
    reads: Arc<Mutex<Vec<(String, String)>>>,
}

impl Aws {
    fn with_sessions_of(session: Duration) -> Self {
        Self {
            session,
            assumed: Arc::default(),
            reads: Arc::default(),
        }
    }

    fn sessions(&self) -> TenantSessions {
        let own = Credentials::from_keys("of-the-process", "secret", None);
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(own))
            .http_client(SharedHttpClient::new(self.clone()))
            .build();
        TenantSessions::new(config, ROLE)
    }

    fn answer(&self, request: &HttpRequest) -> String {
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        let authorization = request.headers().get("authorization").unwrap();
        if request.headers().get("x-amz-target").is_some() {
            let (_, key) = authorization.split_once("Credential=").unwrap();
            let key = key.split('/').next().unwrap().to_owned();
            let token = request.headers().get("x-amz-security-token").unwrap();
            assert_eq!(token, format!("token-of-{key}"));
            let keys: serde_json::Value = serde_json::from_str(&body).unwrap();
            let partition = keys["Key"]["pk"]["S"].as_str().unwrap().to_owned();
            self.reads.lock().unwrap().push((key, partition));
            return "{}".to_owned();
        }
        assert!(authorization.contains("Credential=of-the-process/"));
        let form: BTreeMap<_, _> = url::form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        assert_eq!(form["Action"], "AssumeRole");
        assert_eq!(form["RoleArn"], ROLE);
        assert_eq!(form["Tags.member.1.Key"], "tenant");
        assert!((2..=64).contains(&form["RoleSessionName"].len()));
        let tenant = &form["Tags.member.1.Value"];
        *self
            .assumed
            .lock()
            .unwrap()
            .entry(tenant.clone())
            .or_default() += 1;
        let ends = Clock::system().now().plus(self.session);
        let ends = DateTime::from_secs(i64::try_from(ends.as_unix_seconds()).unwrap());
        let ends = ends.fmt(Format::DateTime).unwrap();
        format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
             <AccessKeyId>key-{tenant}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
             <SessionToken>token-of-key-{tenant}</SessionToken><Expiration>{ends}</Expiration>\
             </Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )
    }
}

impl HttpClient for Aws {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let response = http::Response::builder()
            .status(200)
            .body(SdkBody::from(self.answer(&request)))
            .unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::try_from(response).unwrap()))
    }
}

async fn read(dynamodb: &aws_sdk_dynamodb::Client, tenant: &TenantId) {
    dynamodb
        .get_item()
        .table_name("stepscope")
        .key("pk", AttributeValue::S(format!("{tenant}#trace")))
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn hard_case_7_a_hundred_tenants_side_by_side_use_their_own_keys() {
    let aws = Aws::with_sessions_of(Duration::from_hours(1));
    let sessions = aws.sessions();
    let tenants: Vec<_> = (0..100)
        .map(|number| TenantId::parse(&format!("tenant-{number}")).unwrap())
        .collect();
    let clients: Vec<_> = tenants.iter().map(|tenant| sessions.of(tenant).0).collect();
    for _ in 0..5 {
        let reads = clients.iter().zip(&tenants);
        join_all(reads.map(|(dynamodb, tenant)| read(dynamodb, tenant))).await;
    }

    let reads = aws.reads.lock().unwrap();
    assert_eq!(reads.len(), 500);
    for (key, partition) in reads.iter() {
        let tenant = key.strip_prefix("key-").unwrap();
        assert_eq!(*partition, format!("{tenant}#trace"));
    }
    let assumed = aws.assumed.lock().unwrap();
    assert_eq!(assumed.len(), 100);
    assert!(assumed.values().all(|times| *times == 1), "{assumed:?}");
}

#[tokio::test]
async fn a_session_is_renewed_before_it_ends() {
    let tenant = TenantId::parse("acme").unwrap();
    for (minutes, times) in [(60, 1), (2, 3)] {
        let aws = Aws::with_sessions_of(Duration::from_mins(minutes));
        let (dynamodb, _) = aws.sessions().of(&tenant);
        for _ in 0..3 {
            read(&dynamodb, &tenant).await;
        }
        assert_eq!(aws.assumed.lock().unwrap()["acme"], times, "{minutes}");
    }
}

#[tokio::test]
async fn the_longest_tenant_s_name_fits() {
    let aws = Aws::with_sessions_of(Duration::from_hours(1));
    for name in ["a".to_owned(), "a".repeat(63)] {
        let tenant = TenantId::parse(&name).unwrap();
        read(&aws.sessions().of(&tenant).0, &tenant).await;
    }
    assert_eq!(aws.reads.lock().unwrap().len(), 2);
}
