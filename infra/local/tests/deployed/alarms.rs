//! Metrics and alarms. The emulator turns no embedded metric of a log into a metric, counts no
//! queue's messages, and looks at its alarms only when a metric is put. So this reads the logs'
//! lines and the queues' attributes, as CloudWatch does, and puts what they say.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::application::Application;
use crate::support::eventually;
use trace_model::Clock;

/// Waits until the alarm of the template is in ALARM, fed with what the logs and queues say.
pub(crate) fn rings(application: &Application, alarm: &str) {
    eventually(&format!("{alarm} is in ALARM"), || {
        feed(application);
        let (name, state) = state_of(application, alarm);
        assert!(!name.is_empty(), "there is no alarm {alarm}");
        (state == "ALARM").then_some(())
    });
}

pub(crate) fn is_silent(application: &Application, alarm: &str) {
    feed(application);
    let (name, state) = state_of(application, alarm);
    assert!(!name.is_empty(), "there is no alarm {alarm}");
    assert_ne!(state, "ALARM", "{alarm} rings before anything failed");
}

/// The deployed alarm whose name has the template's in it, and its state.
fn state_of(application: &Application, alarm: &str) -> (String, String) {
    let described = application.account.json(
        "monitoring",
        "GraniteServiceVersion20100801.DescribeAlarms",
        &json!({"MaxRecords": 100}),
    );
    let alarms = described["MetricAlarms"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = alarms
        .iter()
        .find(|found| text(&found["AlarmName"]).contains(alarm));
    found.map_or_else(Default::default, |found| {
        (text(&found["AlarmName"]), text(&found["StateValue"]))
    })
}

/// Puts what is measured now, of what an alarm is about in these very dimensions: the emulator itself
/// looks at a metric's name only.
fn feed(application: &Application) {
    let watched = watched(application);
    let mut data = queue_depths(application);
    data.extend(embedded_metrics(application));
    for (namespace, name, dimensions, value) in data {
        if !watched.contains(&(namespace.clone(), name.clone(), dimensions.to_string())) {
            continue;
        }
        let datum = json!({"MetricName": name, "Dimensions": dimensions, "Value": value,
            "Timestamp": Clock::system().now().as_unix_seconds()});
        application.account.json(
            "monitoring",
            "GraniteServiceVersion20100801.PutMetricData",
            &json!({"Namespace": namespace, "MetricData": [datum]}),
        );
    }
}

/// Namespace, name and dimensions of what the alarms are about.
fn watched(application: &Application) -> BTreeSet<(String, String, String)> {
    let described = application.account.json(
        "monitoring",
        "GraniteServiceVersion20100801.DescribeAlarms",
        &json!({"MaxRecords": 100}),
    );
    let alarms = described["MetricAlarms"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let watched = alarms.iter().map(|alarm| {
        let dimensions = alarm["Dimensions"].as_array().cloned().unwrap_or_default();
        let dimensions = dimensions
            .iter()
            .map(|dimension| json!({"Name": dimension["Name"], "Value": dimension["Value"]}));
        let dimensions: Value = dimensions.collect();
        (
            text(&alarm["Namespace"]),
            text(&alarm["MetricName"]),
            dimensions.to_string(),
        )
    });
    watched.collect()
}

type Datum = (String, String, Value, f64);

fn queue_depths(application: &Application) -> Vec<Datum> {
    let listed = application
        .account
        .json("sqs", "AmazonSQS.ListQueues", &json!({}));
    let queues = listed["QueueUrls"].as_array().cloned().unwrap_or_default();
    let depths = queues.into_iter().map(|queue| {
        let asked = json!({"QueueUrl": queue, "AttributeNames": ["ApproximateNumberOfMessages"]});
        let answer = application
            .account
            .json("sqs", "AmazonSQS.GetQueueAttributes", &asked);
        let depth = answer["Attributes"]["ApproximateNumberOfMessages"].as_str();
        let name = queue
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        (
            "AWS/SQS".to_owned(),
            "ApproximateNumberOfMessagesVisible".to_owned(),
            json!([{"Name": "QueueName", "Value": name}]),
            depth.unwrap().parse().unwrap(),
        )
    });
    depths.collect()
}

/// What the functions' logs say in CloudWatch's embedded metric format.
fn embedded_metrics(application: &Application) -> Vec<Datum> {
    let logs = |operation: &str, request: &Value| {
        application
            .account
            .json("logs", &format!("Logs_20140328.{operation}"), request)
    };
    let groups = logs("DescribeLogGroups", &json!({}));
    let mut data = Vec::new();
    for group in groups["logGroups"].as_array().unwrap() {
        let asked = json!({"logGroupName": group["logGroupName"], "filterPattern": ""});
        let events = logs("FilterLogEvents", &asked);
        for event in events["events"].as_array().unwrap() {
            let message = event["message"].as_str().unwrap_or_default();
            if let Ok(line) = serde_json::from_str::<Value>(message) {
                data.extend(metrics_of(&line));
            }
        }
    }
    data
}

fn metrics_of(line: &Value) -> Vec<Datum> {
    let mut data = Vec::new();
    let directives = line["_aws"]["CloudWatchMetrics"].as_array();
    for directive in directives.into_iter().flatten() {
        let namespace = directive["Namespace"].as_str().unwrap();
        for set in directive["Dimensions"].as_array().unwrap() {
            let names = set.as_array().unwrap().iter();
            let dimensions: Value = names
                .map(|name| json!({"Name": name, "Value": line[name.as_str().unwrap()]}))
                .collect();
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                let value = &line[name];
                let values = value
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![value.clone()]);
                for value in values.iter().filter_map(Value::as_f64) {
                    data.push((
                        namespace.to_owned(),
                        name.to_owned(),
                        dimensions.clone(),
                        value,
                    ));
                }
            }
        }
    }
    data
}
