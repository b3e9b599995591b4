//! An engine in a folder of its own, a client, and a few functions.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use local_step_functions::{
    Config, FunctionError, FunctionInvoker, InvocationRequest, LocalStepFunctions, Place,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use trace_model::{Clock, Timestamp};

pub(crate) struct Cloud {
    pub(crate) engine: LocalStepFunctions,
    pub(crate) client: Client,
    pub(crate) folder: TempDir,
}

/// How an execution ended.
pub(crate) struct Ended {
    pub(crate) arn: String,
    pub(crate) status: ExecutionStatus,
    pub(crate) output: Option<Value>,
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) events: Vec<HistoryEvent>,
}

impl Ended {
    /// Event types with the id each links to.
    pub(crate) fn links(&self) -> Vec<(&str, i64)> {
        let events = self.events.iter();
        events
            .map(|event| (event.r#type().as_str(), event.previous_event_id()))
            .collect()
    }

    pub(crate) fn types(&self) -> Vec<&str> {
        self.events
            .iter()
            .map(|event| event.r#type().as_str())
            .collect()
    }

    /// Seconds from the first event to the last.
    pub(crate) fn seconds(&self) -> i64 {
        let at = |event: Option<&HistoryEvent>| event.unwrap().timestamp().secs();
        at(self.events.last()) - at(self.events.first())
    }
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn open(folder: TempDir) -> Self {
        Self::open_with(folder, functions()).await
    }

    pub(crate) async fn open_with(folder: TempDir, functions: FunctionInvoker) -> Self {
        let engine = start_engine(folder.path(), functions).await;
        let client = client(&engine);
        Self {
            engine,
            client,
            folder,
        }
    }

    /// Makes the machine, runs it to its end and reads everything back.
    pub(crate) async fn run(&self, definition: &Value, input: &Value) -> Ended {
        let machine = self
            .create(&format!("m-{}", uuid::Uuid::new_v4()), definition)
            .await;
        let arn = self.begin(&machine, input).await;
        self.ended(&arn).await
    }

    pub(crate) async fn create(&self, name: &str, definition: &Value) -> String {
        let made = self
            .client
            .create_state_machine()
            .name(name)
            .role_arn("arn:aws:iam::1:role/r");
        let made = made.definition(definition.to_string()).send().await;
        made.unwrap_or_else(|error| panic!("{:?}", error.into_service_error()))
            .state_machine_arn
    }

    pub(crate) async fn begin(&self, machine: &str, input: &Value) -> String {
        let start = self.client.start_execution().state_machine_arn(machine);
        start
            .input(input.to_string())
            .send()
            .await
            .unwrap()
            .execution_arn
    }

    pub(crate) async fn ended(&self, arn: &str) -> Ended {
        let mut growth = self.engine.subscribe();
        loop {
            let described = self
                .client
                .describe_execution()
                .execution_arn(arn)
                .send()
                .await
                .unwrap();
            if described.status() != &ExecutionStatus::Running {
                return Ended {
                    arn: arn.to_owned(),
                    status: described.status().clone(),
                    output: described
                        .output()
                        .map(|text| serde_json::from_str(text).unwrap()),
                    error: described.error().map(str::to_owned),
                    cause: described.cause().map(str::to_owned),
                    events: self.events(arn).await,
                };
            }
            // Two years of paused time are a bound, not a wait: an execution has one at most.
            let grown = tokio::time::timeout(Duration::from_hours(17_520), growth.recv()).await;
            grown.expect("the execution does not end").unwrap();
        }
    }

    pub(crate) async fn events(&self, arn: &str) -> Vec<HistoryEvent> {
        let pages = self
            .client
            .get_execution_history()
            .execution_arn(arn)
            .into_paginator();
        let events: Result<Vec<HistoryEvent>, _> = pages.items().send().collect().await;
        let events = events.unwrap();
        for (index, event) in events.iter().enumerate() {
            assert_eq!(
                event.id(),
                i64::try_from(index).unwrap() + 1,
                "ids have no gaps"
            );
            assert!(event.previous_event_id() < event.id(), "links lead back");
        }
        events
    }

    /// Until the execution's history has an event of that type.
    pub(crate) async fn reached(&self, arn: &str, event_type: &str) {
        let mut growth = self.engine.subscribe();
        while !self
            .events(arn)
            .await
            .iter()
            .any(|event| event.r#type().as_str() == event_type)
        {
            growth.recv().await.unwrap();
        }
    }
}

/// Copies the folder of a running engine, as a kill would leave it, and starts on the copy.
pub(crate) async fn crashed(cloud: &Cloud, functions: FunctionInvoker) -> Cloud {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(cloud.folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    Cloud::open_with(folder, functions).await
}

pub(crate) async fn start_engine(data: &Path, functions: FunctionInvoker) -> LocalStepFunctions {
    let config = Config {
        data: data.to_owned(),
        place: Place::default(),
        clock: Clock::manual(Timestamp::from_unix_millis(1_700_000_000_000)),
        functions,
    };
    LocalStepFunctions::start(config).await.unwrap()
}

pub(crate) fn client(engine: &LocalStepFunctions) -> Client {
    let config = aws_sdk_sfn::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .http_client(engine.http_client())
        .build();
    Client::from_conf(config)
}

/// `echo` answers with its payload; `fail` fails as its payload says; `flaky` fails so often for
/// each `key` before it answers; `slow` takes its time; `panics` panics; `never` never answers.
pub(crate) fn functions() -> FunctionInvoker {
    let calls: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    FunctionInvoker::new()
        .with_function("echo", |request| async move { Ok(request.payload) })
        .with_function("fail", |request| async move { Err(error_of(&request)) })
        .with_function("flaky", move |request: InvocationRequest| {
            let key = request.payload["key"].to_string();
            let call = *calls
                .lock()
                .unwrap()
                .entry(key)
                .and_modify(|n| *n += 1)
                .or_insert(1);
            async move {
                if call <= request.payload["failures"].as_u64().unwrap() {
                    return Err(error_of(&request));
                }
                Ok(json!({"calls": call}))
            }
        })
        .with_function("slow", |request| async move {
            let seconds = request.payload["seconds"].as_u64().unwrap();
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(request.payload)
        })
        .with_function("panics", |_| async { panic!("no way out") })
        .with_function("never", |_| std::future::pending())
}

fn error_of(request: &InvocationRequest) -> FunctionError {
    let text = |field: &str, or: &str| request.payload[field].as_str().unwrap_or(or).to_owned();
    FunctionError {
        error_type: text("error", "Broken"),
        error_message: text("message", "it broke"),
        stack_trace: Vec::new(),
    }
}

/// A JSONata machine of these states, beginning with the first.
pub(crate) fn machine(states: &Value) -> Value {
    let start_at = states.as_object().unwrap().keys().next().unwrap();
    json!({"QueryLanguage": "JSONata", "StartAt": start_at, "States": states})
}

/// A Task that calls a function through the integration, with further fields.
pub(crate) fn invoke(function: &str, payload: &Value, fields: &Value) -> Value {
    let mut state = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": payload},
        "Output": "{% $states.result.Payload %}",
    });
    let fields = fields.as_object().unwrap().clone();
    if !fields.contains_key("Next") {
        state["End"] = json!(true);
    }
    state.as_object_mut().unwrap().extend(fields);
    state
}
