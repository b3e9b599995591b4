//! What goes wrong, and what is told of it.

use serde_json::{Value, json};

use crate::account::{ACCOUNT, REGION};
use crate::alarms;
use crate::application::Application;
use crate::support::eventually;

/// The collector has every span of the trace.
pub(crate) fn exported(application: &Application, trace: &Value) {
    let trace_id = trace["execution"]["trace_id"].as_str().unwrap();
    eventually("the collector has every span", || {
        let got = application.collector.spans();
        let spans = trace["spans"].as_array().unwrap();
        let came = spans.iter().all(|span| {
            let id = span["span_id"].as_str().unwrap().to_owned();
            let name = got.get(&(trace_id.to_owned(), id));
            name.map(String::as_str) == span["name"].as_str()
        });
        came.then_some(())
    });
}

pub(crate) fn what_cannot_be_recorded_becomes_a_dead_letter(application: &mut Application) {
    const ALARM: &str = "StatusDeadLetterAlarm";
    alarms::is_silent(application, ALARM);
    let queue = application.resource("StatusQueue");
    let sqs = |operation: &str, request: &Value| {
        application
            .account
            .json("sqs", &format!("AmazonSQS.{operation}"), request)
    };
    // Its ten attempts come at once instead of every twelve minutes.
    let at_once = json!({"QueueUrl": queue, "Attributes": {"VisibilityTimeout": "0"}});
    sqs("SetQueueAttributes", &at_once);
    let arn = format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:support-triage:never-was");
    let status = json!({"executionArn": arn, "status": "SUCCEEDED", "startDate": 1, "stopDate": 2});
    sqs(
        "SendMessage",
        &json!({"QueueUrl": queue, "MessageBody": status.to_string()}),
    );
    alarms::rings(application, ALARM);
}
