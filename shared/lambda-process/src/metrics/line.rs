use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};
use trace_model::Timestamp;

use super::names::{Dimension, Metric, Unit};
use crate::logging::escape;

/// Of one metric, by the embedded metric format's specification.
const MOST_VALUES: usize = 100;

/// Of a metric directive, by the same.
const MOST_METRICS: usize = 100;

/// `CloudWatch` takes 1,024 characters; none of ours is longer than this.
const LONGEST_DIMENSION_VALUE: usize = 256;

/// One document of the embedded metric format: each metric once, each label with one value.
#[derive(Debug, Default)]
pub(super) struct Line {
    labels: BTreeMap<Dimension, String>,
    /// By name.
    metrics: BTreeMap<&'static str, Values>,
}

#[derive(Debug)]
struct Values {
    unit: Unit,
    dimensions: Vec<Dimension>,
    amounts: Vec<f64>,
}

impl Line {
    /// Whether it fits in here: not beside another value of its label, and not when full.
    pub(super) fn take(&mut self, metric: Metric<'_>, amount: f64) -> bool {
        let label = metric
            .label()
            .map(|(dimension, value)| (dimension, dimension_value(value)));
        if let Some((dimension, value)) = &label
            && self.labels.get(dimension).is_some_and(|own| own != value)
        {
            return false;
        }
        let unit = metric.unit();
        if let Some(values) = self.metrics.get_mut(metric.name()) {
            let room = values.amounts.len() < MOST_VALUES;
            match values.amounts.first_mut() {
                Some(sum) if unit.adds_up() => *sum += amount,
                _ if room => values.amounts.push(amount),
                _ => return false,
            }
        } else if self.metrics.len() < MOST_METRICS {
            let values = Values {
                unit,
                dimensions: metric.dimensions(),
                amounts: vec![amount],
            };
            self.metrics.insert(metric.name(), values);
        } else {
            return false;
        }
        self.labels.extend(label);
        true
    }

    /// JSON and a line feed.
    pub(super) fn to_emf(&self, function_name: &str, table_name: &str, now: Timestamp) -> String {
        let mut directives: BTreeMap<&[Dimension], Vec<Value>> = BTreeMap::new();
        for (name, values) in &self.metrics {
            let definitions = directives.entry(values.dimensions.as_slice()).or_default();
            definitions.push(json!({"Name": name, "Unit": values.unit.as_str()}));
        }
        let directives: Vec<_> = directives
            .into_iter()
            .map(|(dimensions, metrics)| {
                let names = dimensions.iter().map(|dimension| dimension.as_str());
                json!({
                    "Namespace": super::NAMESPACE,
                    "Dimensions": [names.collect::<Vec<_>>()],
                    "Metrics": metrics,
                })
            })
            .collect();
        let mut root = Map::new();
        root.insert(
            "_aws".to_owned(),
            json!({"Timestamp": now.as_unix_millis(), "CloudWatchMetrics": directives}),
        );
        // Both on every line, so that a log query finds which function it was.
        for (dimension, value) in [
            (Dimension::FunctionName, function_name),
            (Dimension::TableName, table_name),
        ] {
            root.insert(dimension.as_str().to_owned(), value.into());
        }
        for (dimension, value) in &self.labels {
            root.insert(dimension.as_str().to_owned(), value.as_str().into());
        }
        for (name, values) in &self.metrics {
            root.insert((*name).to_owned(), values.to_json());
        }
        escape::json_line(&Value::Object(root).to_string()) + "\n"
    }
}

impl Values {
    fn to_json(&self) -> Value {
        let numbers: Vec<Value> = self.amounts.iter().map(|amount| number(*amount)).collect();
        match <[Value; 1]>::try_from(numbers) {
            Ok([one]) => one,
            Err(several) => several.into(),
        }
    }
}

/// Whole ones without a fraction; others to six digits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "cast only where the round trip is exact"
)]
fn number(amount: f64) -> Value {
    let rounded = (amount * 1e6).round() / 1e6;
    let whole = rounded as i64;
    if (whole as f64 - rounded).abs() < f64::EPSILON {
        return whole.into();
    }
    Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}

/// What `CloudWatch` takes for a dimension's value: printable ASCII, at least one character, no
/// colon in front. What it does not take would lose the whole line.
pub(super) fn dimension_value(text: &str) -> String {
    let printable = |character: char| {
        if character == ' ' || character.is_ascii_graphic() {
            character
        } else {
            '?'
        }
    };
    let text = text.trim().trim_start_matches(':');
    let value: String = text
        .chars()
        .map(printable)
        .take(LONGEST_DIMENSION_VALUE)
        .collect();
    if value.trim().is_empty() {
        return "none".to_owned();
    }
    value
}
