//! Clients over connectors that run in this process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lambda_process::{AwsClients, LocalService};

/// Answers each request with the next of `answers`, and keeps what was asked.
#[derive(Clone, Debug)]
struct Service {
    asked: Arc<Mutex<Vec<(String, String)>>>,
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
}

impl Service {
    fn new(answers: &[(u16, &'static str)]) -> Self {
        Self {
            asked: Arc::default(),
            answers: Arc::new(Mutex::new(answers.iter().rev().copied().collect())),
        }
    }

    fn at(&self, endpoint_url: &str) -> LocalService {
        LocalService {
            http_client: SharedHttpClient::new(self.clone()),
            endpoint_url: endpoint_url.to_owned(),
        }
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

impl HttpClient for Service {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Service {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let authorization = request.headers().get("authorization").unwrap_or_default();
        let asked = (request.uri().to_owned(), authorization.to_owned());
        self.asked.lock().unwrap().push(asked);
        let (status, body) = self.answers.lock().unwrap().pop().unwrap();
        let response = http::Response::builder()
            .status(status)
            .header("content-type", "application/x-amz-json-1.0")
            .body(SdkBody::from(body))
            .unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::try_from(response).unwrap()))
    }
}

fn clients(dynamodb: &Service, s3: &Service, sfn: &Service) -> AwsClients {
    AwsClients::local(
        "us-east-1",
        dynamodb.at("http://dynamodb.local"),
        s3.at("http://s3.local"),
        sfn.at("http://states.local"),
    )
}

#[tokio::test]
async fn each_client_speaks_to_its_own_service_with_local_credentials() {
    let dynamodb = Service::new(&[(200, r#"{"TableNames":["stepscope"]}"#)]);
    let s3 = Service::new(&[(200, "body")]);
    let sfn = Service::new(&[(200, r#"{"stateMachines":[]}"#)]);
    let clients = clients(&dynamodb, &s3, &sfn);

    let tables = clients.dynamodb().list_tables().send().await.unwrap();
    assert_eq!(tables.table_names(), ["stepscope"]);
    let object = clients.s3().get_object().bucket("content").key("a/b");
    let object = object.send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), b"body");
    clients.sfn().list_state_machines().send().await.unwrap();

    assert!(dynamodb.asked()[0].0.starts_with("http://dynamodb.local"));
    assert!(s3.asked()[0].0.starts_with("http://s3.local/content/a/b"));
    assert!(sfn.asked()[0].0.starts_with("http://states.local"));
    for service in [&dynamodb, &s3, &sfn] {
        let authorization = &service.asked()[0].1;
        assert!(
            authorization.contains("Credential=local/"),
            "{authorization}"
        );
        assert!(authorization.contains("/us-east-1/"), "{authorization}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_is_tried_five_times_and_no_more() {
    let throttled = (
        400,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}"#,
    );
    let recovers = Service::new(&[throttled, throttled, (200, r#"{"TableNames":[]}"#)]);
    let idle = Service::new(&[]);
    let outcome = clients(&recovers, &idle, &idle)
        .dynamodb()
        .list_tables()
        .send()
        .await;
    assert!(outcome.is_ok());
    assert_eq!(recovers.asked().len(), 3);

    let stays = Service::new(&[throttled; 6]);
    let outcome = clients(&stays, &idle, &idle)
        .dynamodb()
        .list_tables()
        .send()
        .await;
    assert!(outcome.is_err());
    assert_eq!(stays.asked().len(), 5);
}
