//! Step Functions as far as reading goes, answering with recorded histories: the real SDK
//! client parses them.

use std::fmt::Write as _;
use std::path::PathBuf;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sfn::types::HistoryEvent;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use trace_model::{ExecutionArn, Span, Status, conventions};

#[derive(Clone, Debug)]
pub(crate) struct RecordedStepFunctions {
    /// Events a page of `GetExecutionHistory` holds.
    pub(crate) page_size: usize,
}

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/record-execution")
}

/// The names of all recorded histories.
pub(crate) fn stories() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    assert!(
        names.len() >= 10,
        "the recorded histories are in {}",
        fixtures().display()
    );
    names
}

pub(crate) fn arn(story: &str) -> ExecutionArn {
    ExecutionArn::parse(&format!(
        "arn:aws:states:us-east-1:123456789012:execution:{story}:run-1"
    ))
    .unwrap()
}

pub(crate) fn client(page_size: usize) -> Client {
    let config = aws_sdk_sfn::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("a", "b", None, None, "tests"))
        .http_client(RecordedStepFunctions { page_size })
        .build();
    Client::from_conf(config)
}

pub(crate) async fn history(story: &str) -> Vec<HistoryEvent> {
    let answer = client(usize::MAX)
        .get_execution_history()
        .execution_arn(arn(story).as_str())
        .send()
        .await
        .unwrap();
    answer.events
}

/// The Map of the story `distributed-map`, and of the child below its folder.
pub(crate) const MAP_RUN: &str =
    "arn:aws:states:us-east-1:123456789012:mapRun:distributed-map/EachFile:8a6a";

fn map_run() -> Value {
    json!({
        "mapRunArn": MAP_RUN, "executionArn": arn("distributed-map").as_str(),
        "status": "FAILED", "startDate": 1_763_800_000.0, "maxConcurrency": 0,
        "toleratedFailurePercentage": 0.0, "toleratedFailureCount": 0,
        "itemCounts": {
            "pending": 0, "running": 0, "succeeded": 99, "failed": 1, "timedOut": 0,
            "aborted": 0, "total": 100, "resultsWritten": 0,
        },
        "executionCounts": {
            "pending": 0, "running": 0, "succeeded": 99, "failed": 1, "timedOut": 0,
            "aborted": 0, "total": 100, "resultsWritten": 0,
        },
    })
}

impl HttpClient for RecordedStepFunctions {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for RecordedStepFunctions {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap().to_owned();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let (status, answer) = self.answer(&target, &body);
        let response = HttpResponse::new(
            status.try_into().unwrap(),
            SdkBody::from(answer.to_string()),
        );
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl RecordedStepFunctions {
    fn answer(&self, target: &str, request: &Value) -> (u16, Value) {
        if target == "AWSStepFunctions.DescribeMapRun" {
            assert_eq!(request["mapRunArn"], MAP_RUN);
            return (200, map_run());
        }
        let arn = ExecutionArn::parse(request["executionArn"].as_str().unwrap()).unwrap();
        // Of a child of a Map it is MACHINE/LABEL: below the machine's folder.
        let (_, id) = arn.as_str().split_once(":execution:").unwrap();
        let story = id.strip_suffix(":run-1").unwrap();
        let file = fixtures().join(format!("{story}.json"));
        let Ok(text) = std::fs::read_to_string(file) else {
            return (
                400,
                json!({"__type": "ExecutionDoesNotExist", "message": "none"}),
            );
        };
        let history: Value = serde_json::from_str(&text).unwrap();
        let events = history["events"].as_array().unwrap();
        match target {
            "AWSStepFunctions.GetExecutionHistory" => {
                let begin: usize = request["nextToken"]
                    .as_str()
                    .unwrap_or("0")
                    .parse()
                    .unwrap();
                let end = begin.saturating_add(self.page_size).min(events.len());
                let next = (end < events.len()).then(|| end.to_string());
                let mut answer = json!({"events": events[begin..end]});
                if let Some(next) = next {
                    answer["nextToken"] = json!(next);
                }
                (200, answer)
            }
            "AWSStepFunctions.DescribeExecution" => {
                let last = events.last().unwrap();
                let status = match last["type"].as_str().unwrap() {
                    "ExecutionSucceeded" => "SUCCEEDED",
                    "ExecutionFailed" => "FAILED",
                    "ExecutionTimedOut" => "TIMED_OUT",
                    "ExecutionAborted" => "ABORTED",
                    _ => "RUNNING",
                };
                let mut answer = json!({
                    "executionArn": arn.as_str(),
                    "stateMachineArn": format!("arn:aws:states:us-east-1:123456789012:stateMachine:{}", arn.workflow()),
                    "name": "run-1",
                    "status": status,
                    "startDate": events[0]["timestamp"],
                });
                if story.contains('/') {
                    answer["mapRunArn"] = json!(MAP_RUN);
                }
                if status != "RUNNING" {
                    answer["stopDate"] = last["timestamp"].clone();
                }
                (200, answer)
            }
            other => panic!("the recorder called {other}"),
        }
    }
}

/// Spans as indented text: name, kind, how it ended, when, and what it says of itself.
pub(crate) fn tree(spans: &[Span]) -> String {
    let mut text = String::new();
    let root = spans
        .iter()
        .find(|span| span.parent_span_id.is_none())
        .unwrap();
    let orphans: Vec<&Span> = spans
        .iter()
        .filter(|span| {
            span.parent_span_id
                .is_some_and(|parent| !spans.iter().any(|other| other.span_id == parent))
        })
        .collect();
    assert!(orphans.is_empty(), "spans without a parent: {orphans:#?}");
    write_branch(&mut text, spans, root, root, 0);
    text
}

fn write_branch(text: &mut String, spans: &[Span], root: &Span, span: &Span, depth: usize) {
    let indent = "  ".repeat(depth);
    let from = span.start.since(root.start).as_millis();
    let until = span.end.map_or("open".to_owned(), |end| {
        end.since(root.start).as_millis().to_string()
    });
    let status = match &span.status {
        Status::Unset => "unset".to_owned(),
        Status::Ok => "ok".to_owned(),
        Status::Error { message } => format!("error {message:?}"),
    };
    let kind = span.kind.as_str();
    write!(
        text,
        "{indent}{} ({kind}) {from}..{until} ms {status}",
        span.name
    )
    .unwrap();
    let common = [
        conventions::WORKFLOW_NAME,
        conventions::WORKFLOW_STATE,
        conventions::EXECUTION_ARN,
        conventions::STATE_MACHINE_ARN,
    ];
    for (key, value) in &span.attributes {
        if !common.contains(&key.as_str()) {
            let key = key
                .trim_start_matches("workflow.")
                .trim_start_matches("stepscope.");
            write!(text, " {key}={}", shown(value)).unwrap();
        }
    }
    for link in &span.links {
        write!(text, " link={}:{}", link.trace_id, link.span_id).unwrap();
    }
    for field in span.content.keys() {
        write!(text, " +{}", field.trim_start_matches("workflow.")).unwrap();
    }
    text.push('\n');
    let mut children: Vec<&Span> = spans
        .iter()
        .filter(|child| child.parent_span_id == Some(span.span_id))
        .collect();
    children.sort_by_key(|child| (child.start, child.span_id));
    for child in children {
        write_branch(text, spans, root, child, depth + 1);
    }
}

fn shown(value: &trace_model::AttributeValue) -> String {
    use trace_model::AttributeValue as Value;
    match value {
        Value::String(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(","),
        other => format!("{other:?}"),
    }
}
