//! One case on an engine of its own, in tokio's paused time.

use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_sfn::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::operation::create_state_machine::CreateStateMachineError;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::ExecutionStatus;
use local_step_functions::ExecutionData;
use serde_json::Value;

use crate::case::{Case, Event, Reached, Sent, Signal};
use crate::compare::{Members, difference};
use crate::support::Cloud;

/// What an execution may take of paused time: more than the year it has on AWS, and less than
/// tokio's longest timer.
const LONGEST_RUN: Duration = Duration::from_hours(17_520);

/// More events than a history may have.
const EVENTS: usize = 100_000;

/// What begins a task token of this engine.
const TOKEN: &str = "AQCE";

/// Runs the case; the error tells what a person needs to judge it.
pub(crate) fn run(case: &Case, source: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let cloud = Cloud::start().await;
        let mut table = Table {
            cloud: &cloud,
            case,
            differences: Vec::new(),
        };
        let events = table.check().await;
        let differences = table.differences;
        cloud.engine.shutdown().await;
        if differences.is_empty() {
            return Ok(());
        }
        Err(report(case, source, &differences, &events))
    })
}

struct Table<'case> {
    cloud: &'case Cloud,
    case: &'case Case,
    differences: Vec<String>,
}

impl Table<'_> {
    /// Notes what differs; answers with the history, if there is one.
    async fn check(&mut self) -> Vec<Value> {
        let Some(machine) = self.create_machines().await else {
            return Vec::new();
        };
        let start = self
            .cloud
            .client
            .start_execution()
            .state_machine_arn(machine);
        let start = start.set_name(self.case.execution_name.clone());
        let started = start.input(self.case.input()).send().await;
        let started = started.map(|started| started.execution_arn);
        let refused = self.case.expect.start_refused.as_deref();
        let Some(arn) = self.answer("StartExecution", refused, started) else {
            return Vec::new();
        };
        for signal in &self.case.signals {
            if let Err(difference) = self.signal(&arn, signal).await {
                self.differences.push(difference);
                break;
            }
        }
        let described = self.until(&arn, None).await;
        let events = self.events(&arn).await;
        self.compare_end(&described);
        self.compare_history(&events);
        events
    }

    async fn create_machines(&mut self) -> Option<String> {
        let mut arns: Vec<(String, String)> = Vec::new();
        let replaced = |text: String, arns: &[(String, String)]| {
            arns.iter().fold(text, |text, (name, arn)| {
                text.replace(&format!("${{machine:{name}}}"), arn)
            })
        };
        for (name, definition) in &self.case.machines {
            let definition = replaced(definition.to_string(), &arns);
            let made = self.create(name, definition).await;
            let arn = self.answer(&format!("CreateStateMachine {name}"), None, made)?;
            arns.push((name.clone(), arn));
        }
        let definition = replaced(self.case.definition(), &arns);
        let made = self.create(self.case.machine_name(), definition).await;
        let expect = &self.case.expect;
        let Some(words) = &expect.refused else {
            return self.answer("CreateStateMachine", expect.create_refused.as_deref(), made);
        };
        match made {
            Ok(_) => self.differs("CreateStateMachine", "a refusal", "a state machine"),
            Err(error) => {
                let message = error.message().unwrap_or_default();
                if error.code() != Some("InvalidDefinition") {
                    self.differs("CreateStateMachine", "InvalidDefinition", message);
                }
                let missing = words.iter().filter(|word| !message.contains(*word));
                for word in missing {
                    self.differs("the refusal", &format!("{word:?} in it"), message);
                }
            }
        }
        None
    }

    async fn create(
        &self,
        name: &str,
        definition: String,
    ) -> Result<String, SdkError<CreateStateMachineError>> {
        let create = self.cloud.client.create_state_machine().name(name);
        let create = create.role_arn("arn:aws:iam::1:role/r");
        let made = create.definition(definition).send().await;
        made.map(|made| made.state_machine_arn)
    }

    async fn signal(&mut self, arn: &str, signal: &Signal) -> Result<(), String> {
        self.until(arn, Some(&signal.after)).await;
        if !self.has_reached(arn, &signal.after).await {
            let name = signal.after.event_type();
            return Err(format!("the execution ended before it came to {name}"));
        }
        tokio::time::sleep(Duration::from_secs(signal.wait_seconds)).await;
        let client = &self.cloud.client;
        let token = || {
            let events = self.cloud.engine.events_after(arn, 0, EVENTS);
            async { last_token(&events.await.unwrap()) }
        };
        let (error, cause) = (signal.error.clone(), signal.cause.clone());
        let what = format!("{:?}", signal.send);
        let refused = signal.refused.as_deref();
        match signal.send {
            Sent::Success => {
                let output = signal.output.clone().unwrap_or_default().to_string();
                let request = client.send_task_success().task_token(token().await);
                let sent = request.output(output).send().await;
                self.answer(&what, refused, sent);
            }
            Sent::Failure => {
                let request = client.send_task_failure().task_token(token().await);
                let sent = request.set_error(error).set_cause(cause).send().await;
                self.answer(&what, refused, sent);
            }
            Sent::Heartbeat => {
                let request = client.send_task_heartbeat().task_token(token().await);
                let sent = request.send().await;
                self.answer(&what, refused, sent);
            }
            Sent::Stop => {
                let stop = client.stop_execution().execution_arn(arn);
                let sent = stop.set_error(error).set_cause(cause).send().await;
                self.answer(&what, refused, sent);
            }
            Sent::Redrive => {
                let sent = client.redrive_execution().execution_arn(arn).send().await;
                self.answer(&what, refused, sent);
            }
        }
        Ok(())
    }

    /// Waits until the execution has come to an event, or ended; in paused time the bound is no
    /// wait.
    async fn until(&self, arn: &str, awaited: Option<&Reached>) -> DescribeExecutionOutput {
        let mut growth = self.cloud.engine.subscribe();
        loop {
            let describe = self.cloud.client.describe_execution().execution_arn(arn);
            let described = describe.send().await.unwrap();
            if described.status() != &ExecutionStatus::Running {
                return described;
            }
            // A long history is read for those alone who wait for an event of it.
            if let Some(awaited) = awaited
                && self.has_reached(arn, awaited).await
            {
                return described;
            }
            let grown = tokio::time::timeout(LONGEST_RUN, growth.recv()).await;
            assert!(
                grown.is_ok(),
                "nothing happens any more; the last event: {:?}",
                self.events(arn).await.last()
            );
        }
    }

    async fn has_reached(&self, arn: &str, awaited: &Reached) -> bool {
        let events = self.events(arn).await;
        let is_it = |event: &&Value| event["type"] == awaited.event_type();
        events.iter().filter(is_it).count() >= awaited.count()
    }

    async fn events(&self, arn: &str) -> Vec<Value> {
        let events = self.cloud.engine.events_after(arn, 0, EVENTS).await;
        let events = events.unwrap();
        let events = events.iter();
        events
            .map(|event| event.to_json(ExecutionData::Include))
            .collect()
    }

    fn compare_end(&mut self, described: &DescribeExecutionOutput) {
        let expect = &self.case.expect;
        if let Some(status) = expect.status()
            && status != described.status().as_str()
        {
            self.differs("status", status, described.status().as_str());
        }
        let text = |value: Option<&str>| value.map(|text| Value::String(text.to_owned()));
        let output = described
            .output()
            .map(|it| serde_json::from_str(it).unwrap());
        for (what, expected, got) in [
            ("output", &expect.output, output),
            ("error", &expect.error, text(described.error())),
            ("cause", &expect.cause, text(described.cause())),
        ] {
            let Some(expected) = expected else { continue };
            let got = got.unwrap_or_default();
            if let Some(difference) = difference(expected, &got, Members::Exactly) {
                self.differences.push(format!("{what} {difference}"));
            }
        }
        let cause = described.cause().unwrap_or_default();
        for word in &expect.cause_contains {
            if !cause.contains(word) {
                self.differs("cause", &format!("{word:?} in it"), cause);
            }
        }
    }

    fn compare_history(&mut self, events: &[Value]) {
        if let Some(expected) = self.case.seconds {
            let at = |event: Option<&Value>| event.unwrap()["timestamp"].as_f64().unwrap();
            let seconds = at(events.last()) - at(events.first());
            // A timestamp in seconds has no exact milliseconds.
            if (seconds - expected).abs() > 0.000_5 {
                self.differs("seconds", &expected.to_string(), &seconds.to_string());
            }
        }
        let Some(expected) = &self.case.history else {
            return;
        };
        for (index, expected) in expected.iter().enumerate() {
            let id = index + 1;
            let Some(event) = events.get(index) else {
                self.differs(&format!("event {id}"), expected.event_type(), "no event");
                break;
            };
            self.compare_event(id, expected, event);
        }
        if events.len() > expected.len() {
            let more = events[expected.len()]["type"].to_string();
            self.differs("history", &format!("{} events", expected.len()), &more);
        }
    }

    fn compare_event(&mut self, id: usize, expected: &Event, event: &Value) {
        let what = format!("event {id}");
        if event["type"] != expected.event_type() {
            self.differs(&what, expected.event_type(), &event["type"].to_string());
            return;
        }
        let Event::Detailed(expected) = expected else {
            return;
        };
        if let Some(previous) = expected.previous
            && event["previousEventId"] != previous
        {
            let got = event["previousEventId"].to_string();
            self.differs(&what, &format!("previous {previous}"), &got);
        }
        if let Some(expected) = &expected.details {
            let details = event.as_object().unwrap().iter();
            let mut details = details
                .filter(|(name, _)| name.ends_with("EventDetails"))
                .map(|(_, details)| details);
            let details = details.next_back().unwrap_or(&Value::Null);
            if let Some(difference) = difference(expected, details, Members::AtLeast) {
                self.differences.push(format!("{what} {difference}"));
            }
        }
    }

    /// Holds an answer against the exception expected, if one is.
    fn answer<T, E>(
        &mut self,
        what: &str,
        refused: Option<&str>,
        answer: Result<T, SdkError<E>>,
    ) -> Option<T>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match (answer, refused) {
            (Ok(answer), None) => Some(answer),
            (Ok(_), Some(refused)) => {
                self.differs(what, refused, "no refusal");
                None
            }
            (Err(error), Some(refused)) if error.code() == Some(refused) => None,
            (Err(error), refused) => {
                let got = DisplayErrorContext(&error).to_string();
                self.differs(what, refused.unwrap_or("no refusal"), &got);
                None
            }
        }
    }

    fn differs(&mut self, what: &str, expected: &str, got: &str) {
        self.differences
            .push(format!("{what}: expected {expected}, got {got}"));
    }
}

/// The task token in what the last task that has one was called with.
fn last_token(events: &[local_step_functions::HistoryEvent]) -> String {
    let tokens = events.iter().rev().filter_map(|event| {
        let parameters = event.details.get("parameters")?.as_str()?;
        token_in(&serde_json::from_str(parameters).ok()?)
    });
    let mut tokens = tokens;
    tokens.next().expect("no task has been given a token")
}

fn token_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.starts_with(TOKEN).then(|| text.clone()),
        Value::Array(items) => items.iter().find_map(token_in),
        Value::Object(fields) => fields.values().find_map(token_in),
        _ => None,
    }
}

/// The rule, what differs, and everything that happened.
fn report(case: &Case, source: &str, differences: &[String], events: &[Value]) -> String {
    let source = case.source.as_deref().unwrap_or(source);
    let mut report = format!("the rule: {} ({source})\n", case.says);
    if let Some(elsewhere) = &case.elsewhere {
        let _ = writeln!(report, "elsewhere: {elsewhere}");
    }
    for difference in differences {
        let _ = writeln!(report, "{difference}");
    }
    for event in events {
        let _ = writeln!(report, "  {event}");
    }
    report
}
