//! Alarms and dashboard: each says what to do, names what is measured, and costs what the
//! documentation says.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use lambda_process::metrics::{Metric, NAMESPACE};
use regex::Regex;
use serde_json::{Value, json};

use crate::document::{Template, list, repository};

const ALARM: &str = "AWS::CloudWatch::Alarm";

/// AWS's own metrics that we look at, with the dimensions that AWS sends them by.
const METRICS_OF_AWS: &[(&str, &str, &[&str])] = &[
    ("AWS/ApiGateway", "5xx", &["ApiId"]),
    ("AWS/ApiGateway", "Latency", &["ApiId"]),
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits", &["TableName"]),
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", &["TableName"]),
    ("AWS/DynamoDB", "WriteThrottleEvents", &["TableName"]),
    ("AWS/Lambda", "Errors", &["FunctionName"]),
    ("AWS/Lambda", "Errors", &["FunctionName", "Resource"]),
    ("AWS/Lambda", "IteratorAge", &["FunctionName"]),
    ("AWS/Lambda", "IteratorAge", &["FunctionName", "Resource"]),
    ("AWS/Lambda", "Throttles", &[]),
    (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        &["QueueName"],
    ),
];

/// Of the free tier: a dashboard with more is billed.
const MOST_METRICS_OF_A_DASHBOARD: usize = 50;

fn alarms() -> BTreeMap<String, Value> {
    let mut alarms = BTreeMap::new();
    for template in Template::all() {
        for (name, alarm) in template.of_type(ALARM) {
            let alarm = alarm.clone();
            assert!(alarms.insert(name.to_owned(), alarm).is_none(), "{name}");
        }
    }
    alarms
}

fn page(file: &str) -> String {
    std::fs::read_to_string(repository().join(file)).unwrap()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    let anchor = |heading: &str| -> String {
        let letters = heading.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            other => other.is_alphanumeric().then(|| other.to_ascii_lowercase()),
        });
        letters.collect()
    };
    headings.map(anchor).collect()
}

fn check_metric(owner: &str, namespace: &str, name: &str, dimensions: &[&str]) {
    if namespace == NAMESPACE {
        let metric = Metric::ALL.iter().find(|metric| metric.name() == name);
        let metric = metric.unwrap_or_else(|| panic!("{owner}: nobody sends {name}"));
        let sent: Vec<_> = metric.dimensions();
        let sent: Vec<_> = sent.iter().map(|dimension| dimension.as_str()).collect();
        assert_eq!(dimensions, sent, "{owner}: {name}");
    } else {
        assert!(
            METRICS_OF_AWS.contains(&(namespace, name, dimensions)),
            "{owner}: does AWS send {namespace} {name} by {dimensions:?}?"
        );
    }
}

#[test]
fn every_alarm_says_what_to_do() {
    let runbook = anchors(&page("docs/runbook.md"));
    let mut linked = BTreeSet::from(["how-to-look".to_owned()]);
    for (name, alarm) in alarms() {
        let description = alarm["AlarmDescription"].as_str().unwrap();
        let (words, anchor) = description
            .split_once(": docs/runbook.md#")
            .unwrap_or_else(|| panic!("{name} links no section: {description}"));
        assert!(words.split(' ').count() > 3, "{name}: {words}");
        assert!(runbook.contains(anchor), "{name}: no section {anchor}");
        linked.insert(anchor.to_owned());
    }
    assert_eq!(linked, runbook, "a section that no alarm leads to");
}

#[test]
fn every_alarm_is_told_and_rests_while_nothing_happens() {
    for (name, alarm) in alarms() {
        assert_eq!(
            alarm["AlarmActions"],
            json!({"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}),
            "{name}"
        );
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{name}");
    }
}

#[test]
fn alarms_watch_what_is_sent() {
    for (name, alarm) in alarms() {
        let dimensions = list(&alarm["Dimensions"]).into_iter();
        let dimensions: Vec<_> = dimensions
            .map(|dimension| dimension["Name"].as_str().unwrap())
            .collect();
        let text = |key: &str| {
            alarm[key]
                .as_str()
                .unwrap_or_else(|| panic!("{name}: {key}"))
        };
        check_metric(&name, text("Namespace"), text("MetricName"), &dimensions);
    }
}

#[test]
fn the_dashboard_shows_what_is_sent_and_stays_in_the_free_tier() {
    let template = Template::monitoring();
    let body = "/Resources/MonitoringDashboard/Properties/DashboardBody/Fn::Sub";
    let body = template.at(body).as_str().unwrap();
    let parameters = template.at("/Parameters").as_object().unwrap();
    let reference = Regex::new(r"\$\{([^}]+)\}").unwrap();
    for found in reference.captures_iter(body) {
        let name = &found[1];
        assert!(
            parameters.contains_key(name) || name == "AWS::Region",
            "{name}"
        );
    }
    let body: Value = serde_json::from_str(&reference.replace_all(body, "x")).unwrap();
    let select =
        Regex::new(r"^SELECT \w+\((\w+)\) FROM SCHEMA\(Stepscope, (\w+), (\w+)\) .* LIMIT (\d+)$");
    let select = select.unwrap();
    // CloudWatch writes functions in capitals, and what they compute with in small letters.
    let variable = Regex::new(r"\b[a-z]\w*").unwrap();
    let mut shown = BTreeSet::new();
    let mut most_of_queries = 0;
    for widget in list(&body["widgets"]) {
        let title = widget["properties"]["title"].as_str().unwrap_or("a text");
        let place = |key: &str| widget[key].as_u64().unwrap();
        assert!(place("x") + place("width") <= 24, "{title}");
        let names = list(&widget["properties"]["metrics"]).into_iter();
        let names: BTreeSet<_> = names
            .filter_map(|row| list(row).last()?.get("id")?.as_str())
            .collect();
        for row in list(&widget["properties"]["metrics"]) {
            let mut row = list(row);
            row.retain(|item| !item.is_object() || item.get("expression").is_some());
            if let Some(expression) = row[0]["expression"].as_str() {
                if !expression.starts_with("SELECT") {
                    for used in variable.find_iter(expression) {
                        assert!(names.contains(used.as_str()), "{title}: {expression}");
                    }
                    continue;
                }
                let found = select.captures(expression);
                let found = found.unwrap_or_else(|| panic!("{title}: {expression}"));
                let mut dimensions = [&found[2], &found[3]];
                let metric = Metric::ALL.iter().find(|metric| *metric.name() == found[1]);
                let mut sent = metric.unwrap().dimensions();
                sent.sort_by_key(|dimension| dimension.as_str());
                dimensions.sort_unstable();
                assert!(
                    sent.iter().map(|one| one.as_str()).eq(dimensions),
                    "{title}"
                );
                most_of_queries += found[4].parse::<usize>().unwrap();
                continue;
            }
            let texts: Vec<_> = row.iter().map(|item| item.as_str().unwrap()).collect();
            let [namespace, name, dimensions @ ..] = &texts[..] else {
                panic!("{title}: {texts:?}")
            };
            let names: Vec<_> = dimensions.iter().step_by(2).copied().collect();
            check_metric(title, namespace, name, &names);
            shown.insert(row.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
    }
    assert!(shown.len() > 20, "{}", shown.len());
    let most = shown.len() + most_of_queries;
    assert!(most <= MOST_METRICS_OF_A_DASHBOARD, "{most} metrics");
}

#[test]
fn what_monitoring_asks_for_it_gets() {
    let (main, monitoring) = (Template::main(), Template::monitoring());
    let given = main.at("/Resources/Monitoring/Properties/Parameters");
    let asked = monitoring.at("/Parameters").as_object().unwrap();
    let given: BTreeSet<_> = given.as_object().unwrap().keys().collect();
    assert_eq!(given, asked.keys().collect());
}

#[test]
fn no_dead_letter_is_overlooked() {
    let template = Template::main();
    let alarms = alarms();
    let mut queues = 0;
    for (name, queue) in template.of_type("AWS::SQS::Queue") {
        let Some(dead_letters) = queue.pointer("/RedrivePolicy/deadLetterTargetArn/Fn::GetAtt")
        else {
            continue;
        };
        queues += 1;
        let dead_letters = dead_letters.as_str().unwrap().strip_suffix(".Arn").unwrap();
        let watched = json!([{
            "Name": "QueueName",
            "Value": {"Fn::GetAtt": format!("{dead_letters}.QueueName")},
        }]);
        let rings = alarms.values().any(|alarm| alarm["Dimensions"] == watched);
        assert!(rings, "nobody looks at {dead_letters}, of {name}");
    }
    assert!(queues > 0);
}

/// 0.10 dollars for each metric that an alarm looks at: all of ours look at one.
#[test]
fn the_bill_counts_the_alarms() {
    let mut always = 0;
    let mut with_export = 0;
    for template in Template::all() {
        for resource in template.resources().values() {
            if resource["Type"] != ALARM {
                continue;
            }
            match resource["Condition"].as_str() {
                None => always += 1,
                Some("Exports") => with_export += 1,
                Some(other) => panic!("an alarm of {other}: add it to the bill"),
            }
        }
    }
    let all = always + with_export;
    let line = format!(
        "| CloudWatch alarms, standard | 0.10 each | {always}, with export {all} | {}.{}0 to {}.{}0 |",
        always / 10,
        always % 10,
        all / 10,
        all % 10
    );
    let bill = page("docs/how-to/deploy.md");
    assert!(bill.contains(&line), "docs/how-to/deploy.md lacks: {line}");
    let total = Regex::new(r"\| \*\*in all\*\* \| \| \| \*\*[\d.]+ to ([\d.]+)\*\* \|").unwrap();
    let total = total.captures(&bill).expect("a total")[1].to_owned();
    assert!(total.parse::<f64>().unwrap() < 3.0, "{total} dollars");
}

#[test]
fn the_commands_of_the_runbook_name_what_there_is() {
    let template = Template::main();
    let resource = Regex::new(r#"(?:resource|problems) "?([A-Z]\w+)"#).unwrap();
    let metric = Regex::new(r"metric ([A-Z]\w+) (\w+)").unwrap();
    for file in ["docs/runbook.md", "docs/troubleshooting.md"] {
        let page = page(file);
        for found in resource.captures_iter(&page) {
            let name = &found[1];
            assert!(template.resources().contains_key(name), "{file}: {name}");
        }
        for found in metric.captures_iter(&page) {
            check_metric(file, NAMESPACE, &found[1], &[&found[2]]);
        }
        let blocks = page.split("```sh\n").skip(1);
        for block in blocks.map(|rest| rest.split("```").next().unwrap()) {
            let mut shell = Command::new("sh");
            let checked = shell.args(["-n", "-c", block]).status().unwrap();
            assert!(checked.success(), "{file}: {block}");
        }
    }
}
