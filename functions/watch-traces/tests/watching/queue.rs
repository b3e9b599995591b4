//! The queue's client: what goes over the wire, and what a refusal comes to.

use std::sync::{Arc, Mutex};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use watch_traces::{SqsStatusQueue, StatusChange, StatusQueue as _, WatchError};

const URL: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/status";

/// Answers as SQS does, by its JSON protocol, and refuses the bodies that name `refused`.
#[derive(Clone, Debug, Default)]
struct Sqs(Arc<Mutex<Vec<Value>>>);

impl HttpClient for Sqs {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Sqs {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap().to_owned();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        assert_eq!(body["QueueUrl"], URL);
        let answer = match target.as_str() {
            "AmazonSQS.SendMessageBatch" => self.take(&body),
            "AmazonSQS.GetQueueAttributes" => json!({"Attributes": {
                "ApproximateNumberOfMessages": "3",
                "ApproximateNumberOfMessagesNotVisible": "2",
            }}),
            other => panic!("{other} was called"),
        };
        let body = SdkBody::from(answer.to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
    }
}

impl Sqs {
    fn take(&self, body: &Value) -> Value {
        let (mut taken, mut failed) = (Vec::new(), Vec::new());
        for entry in body["Entries"].as_array().unwrap() {
            let text = entry["MessageBody"].as_str().unwrap();
            if text.contains("refused") {
                failed.push(json!({
                    "Id": entry["Id"], "SenderFault": false, "Code": "InternalError",
                }));
            } else {
                taken.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "m"}));
            }
        }
        self.0.lock().unwrap().push(body["Entries"].clone());
        json!({"Successful": taken, "Failed": failed})
    }
}

fn queue(sqs: &Sqs) -> SqsStatusQueue {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("a", "b", None, None, "tests"))
        .http_client(sqs.clone())
        .build();
    SqsStatusQueue::new(Client::from_conf(config), URL)
}

fn change(name: &str) -> StatusChange {
    StatusChange {
        execution_arn: format!("arn:aws:states:us-east-1:123456789012:execution:triage:{name}"),
        status: "FAILED".to_owned(),
        start_date: 1_700_000_000_000,
        stop_date: Some(1_700_000_000_050),
    }
}

#[tokio::test]
async fn changes_go_ten_at_a_time_and_say_what_the_rule_s_events_say() {
    let sqs = Sqs::default();
    let changes: Vec<_> = (0..23).map(|number| change(&number.to_string())).collect();
    queue(&sqs).send(&changes).await.unwrap();
    let batches = sqs.0.lock().unwrap().clone();
    let sizes: Vec<_> = batches
        .iter()
        .map(|batch| batch.as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [10, 10, 3]);
    let message: Value =
        serde_json::from_str(batches[0][0]["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(
        message,
        json!({
            "executionArn": "arn:aws:states:us-east-1:123456789012:execution:triage:0",
            "status": "FAILED",
            "startDate": 1_700_000_000_000_u64,
            "stopDate": 1_700_000_000_050_u64,
        })
    );
    let mut going = change("0");
    going.stop_date = None;
    assert!(!going.to_message().contains("stopDate"));
}

#[tokio::test]
async fn one_that_the_queue_refuses_is_an_error() {
    let sqs = Sqs::default();
    let sent = queue(&sqs).send(&[change("0"), change("refused")]).await;
    assert!(matches!(sent, Err(WatchError::Queue(_))), "{sent:?}");
}

#[tokio::test]
async fn what_is_being_recorded_waits_too() {
    assert_eq!(queue(&Sqs::default()).waiting().await.unwrap(), 5);
}
