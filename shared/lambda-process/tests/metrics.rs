//! What a line of metrics looks like, as `CloudWatch` takes it, and what no value can do to it
//! (hard case 27).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lambda_process::Config;
use lambda_process::metrics::{
    Captured, Detector, Metric, MetricBatch, Metrics, NAMESPACE, Route, StatusClass, reference_page,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use trace_model::{Clock, Timestamp};

const NOW: u64 = 1_700_000_000_123;

/// `CloudWatch`'s units, of which the specification of the embedded metric format takes any.
const UNITS: [&str; 4] = ["Count", "Bytes", "Milliseconds", "None"];

fn metrics(captured: &Captured, function_name: &str) -> Metrics {
    let clock = Clock::manual(Timestamp::from_unix_millis(NOW));
    Metrics::to_writer(function_name, "traces", clock, captured.clone())
}

/// The lines of a warm process's batch, each checked.
fn lines(fill: impl FnOnce(&mut MetricBatch)) -> Vec<Value> {
    let captured = Captured::default();
    let metrics = metrics(&captured, "api");
    metrics.batch().add(Metric::SpansLost, 1_u64);
    let before = captured.text().len();
    fill(&mut metrics.batch());
    let text = captured.text().split_off(before);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(text.is_empty() || text.ends_with('\n'));
    lines.iter().for_each(check_line);
    lines
}

/// What the specification asks of a document, and `CloudWatch` of names and values.
fn check_line(line: &Value) {
    let root = line.as_object().unwrap();
    let metadata = root["_aws"].as_object().unwrap();
    assert_eq!(metadata["Timestamp"], NOW);
    let directives = metadata["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    let mut named = BTreeSet::from(["_aws", "FunctionName", "TableName"]);
    for directive in directives {
        assert_eq!(directive["Namespace"], NAMESPACE);
        let sets = directive["Dimensions"].as_array().unwrap();
        assert_eq!(sets.len(), 1, "each set is a metric that is billed");
        let dimensions = sets[0].as_array().unwrap();
        assert!((1..=30).contains(&dimensions.len()));
        for dimension in dimensions {
            let dimension = dimension.as_str().unwrap();
            named.insert(dimension);
            let value = root[dimension].as_str().unwrap();
            assert!((1..=1024).contains(&value.len()), "{value:?}");
            assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            assert!(!value.trim().is_empty() && !value.starts_with(':'));
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!(named.insert(name), "{name} twice");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert!(UNITS.contains(&metric["Unit"].as_str().unwrap()));
            match &root[name] {
                Value::Number(_) => {}
                Value::Array(values) => {
                    assert!((2..=100).contains(&values.len()));
                    assert!(values.iter().all(Value::is_number));
                }
                other => panic!("{name} is {other}"),
            }
        }
    }
    let members: BTreeSet<_> = root.keys().map(String::as_str).collect();
    assert_eq!(members, named, "nothing else is told");
}

#[test]
fn a_batch_is_one_line() {
    let lines = lines(|batch| {
        batch.add(Metric::SpansExported, 12_u64);
        batch.add(Metric::SpansExported, 30_u64);
        batch.add(Metric::SpansLost, 2_u64);
        batch.add(Metric::ModelCost, 0.25);
        batch.add(Metric::ExportLag, Duration::from_micros(1_250));
        batch.add(Metric::ExportLag, Duration::from_secs(2));
        batch.add(Metric::SpansDropped, 0_u64);
        batch.add(
            Metric::RequestDuration(Route("/executions/{id}")),
            Duration::ZERO,
        );
        batch.add(Metric::Responses(StatusClass::of(204)), 1_u64);
    });
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(line["FunctionName"], "api");
    assert_eq!(line["TableName"], "traces");
    assert_eq!(line["SpansExported"], 42);
    assert_eq!(line["SpansLost"], 2);
    assert_eq!(line["ModelCost"], 0.25);
    assert_eq!(line["ExportLag"], json!([1.25, 2000]));
    assert_eq!(line["SpansDropped"], Value::Null, "zeros cost money");
    assert_eq!(line["RequestDuration"], 0);
    assert_eq!(line["Route"], "/executions/{id}");
    assert_eq!(line["StatusClass"], "2xx");
    let sets: BTreeSet<_> = line["_aws"]["CloudWatchMetrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|directive| directive["Dimensions"][0].to_string())
        .collect();
    let expected = [
        r#"["FunctionName"]"#,
        r#"["FunctionName","Route"]"#,
        r#"["FunctionName","StatusClass"]"#,
        r#"["TableName"]"#,
    ];
    assert_eq!(sets, expected.map(str::to_owned).into());
}

#[test]
fn values_of_one_label_share_out_over_lines() {
    let lines = lines(|batch| {
        batch.add(Metric::Redactions(Detector("email")), 3_u64);
        batch.add(Metric::SpansWritten, 5_u64);
        batch.add(Metric::Redactions(Detector("payment_card")), 1_u64);
        batch.add(Metric::Redactions(Detector("email")), 4_u64);
    });
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                &line["Detector"],
                &line["Redactions"],
                &line["SpansWritten"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (&json!("email"), &json!(7), &json!(5)),
            (&json!("payment_card"), &json!(1), &Value::Null),
        ]
    );
}

#[test]
fn the_hundred_and_first_value_goes_on_another_line() {
    let lines = lines(|batch| {
        for millis in 1..=101 {
            batch.add(Metric::RecordLag, Duration::from_millis(millis));
        }
    });
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["RecordLag"].as_array().unwrap().len(), 100);
    assert_eq!(lines[1]["RecordLag"], 101);
}

#[test]
fn a_cold_start_is_counted_once_and_never_alone() {
    let captured = Captured::default();
    let metrics = metrics(&captured, "api");
    drop(metrics.batch());
    metrics.batch().add(Metric::SpansExported, 0_u64);
    assert_eq!(captured.text(), "");
    metrics.batch().add(Metric::SpansExported, 1_u64);
    metrics.clone().batch().add(Metric::SpansExported, 1_u64);
    let text = captured.text();
    let starts: Vec<bool> = text
        .lines()
        .map(|line| line.contains("\"ColdStarts\":1"))
        .collect();
    assert_eq!(starts, [true, false]);
}

#[test]
fn what_was_added_before_a_panic_is_written() {
    let captured = Captured::default();
    let metrics = metrics(&captured, "api");
    let cut_off = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut batch = metrics.batch();
        batch.add(Metric::SpansExported, 1_u64);
        panic!("in the middle of an invocation");
    }));
    assert!(cut_off.is_err());
    assert!(captured.text().contains("\"SpansExported\":1"));
}

#[test]
fn metrics_are_on_where_lambda_names_the_function() {
    let check = |variables: &[(&str, &str)], expected: &str| {
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::from_map(variables).unwrap();
        let metrics = Metrics::of_process(&config, "run-node", Clock::system());
        let found = format!("{metrics:?}");
        assert!(found.contains(expected), "{found} lacks {expected}");
    };
    check(&[], "None");
    check(
        &[("STEPSCOPE_METRICS", "emf")],
        "name: \"run-node\", table: \"none\"",
    );
    let on_lambda = ("AWS_LAMBDA_FUNCTION_NAME", "prod-RunNode-1");
    check(
        &[on_lambda, ("STEPSCOPE_TABLE", "traces")],
        "name: \"prod-RunNode-1\", table: \"traces\"",
    );
    check(&[on_lambda, ("STEPSCOPE_METRICS", "none")], "None");
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let expected = reference_page();
    if option_env!("UPDATE_REFERENCE").is_some() {
        fs::write(&page, &expected).unwrap();
    }
    let found = fs::read_to_string(&page).unwrap_or_default();
    assert!(
        found == expected,
        "docs/reference/metrics.md is out of date: run \
         `UPDATE_REFERENCE=1 cargo test -p lambda-process --test metrics`"
    );
    let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    assert_eq!(names.len(), Metric::ALL.len());
}

#[test]
fn hard_case_27_a_label_forges_no_line() {
    let forged = "/x\r\n{\"_aws\":{}}\u{1b}[2J\u{202e}\u{2028}!";
    let lines = lines(|batch| {
        batch.add(Metric::RequestDuration(Route(forged)), Duration::ZERO);
    });
    assert_eq!(lines[0]["Route"], "/x??{\"_aws\":{}}?[2J??!");
}

proptest! {
    #[test]
    fn hard_case_27_no_value_forges_a_line(
        label in any::<String>(),
        name in any::<String>(),
        amount in any::<f64>(),
    ) {
        let captured = Captured::default();
        {
            let mut batch = metrics(&captured, &name).batch();
            batch.add(Metric::RequestDuration(Route(&label)), amount);
            batch.add(Metric::SpansWritten, 1_u64);
        }
        let text = captured.text();
        prop_assert_eq!(text.matches('\n').count(), 1);
        prop_assert!(text.bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)));
        check_line(&serde_json::from_str(&text).unwrap());
    }
}
