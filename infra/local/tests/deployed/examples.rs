//! The example workflows, deployed with the demo services of the local cloud.

use serde_json::{Value, json};

use crate::application::Application;
use crate::bootstraps::repository;

/// What every stack here is deployed with: the examples, and where their services are.
pub(crate) const EXAMPLES: [(&str, &str); 8] = [
    ("Architecture", "x86_64"),
    ("Canary", "false"),
    ("Examples", "true"),
    ("Model", "stepscope-demo::demo-model"),
    ("ModelBaseUrl", "http://DEMO/model/v1/"),
    ("DemoServiceUrl", "http://DEMO/service"),
    ("HttpAllow", "DEMO"),
    ("OtlpEndpoint", "COLLECTOR"),
];

pub(crate) fn input_of(workflow: &str) -> Value {
    let file = repository().join(format!("infra/workflows/{workflow}.input.json"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The traces of the same workflow with the same input, deployed and local.
pub(crate) fn both(application: &Application, workflow: &str) -> (Value, Value) {
    let input = input_of(workflow);
    let deployed = application.api("default");
    let local = application.local_api("default");
    let execution = deployed.start(workflow, &input);
    let here = local.start(workflow, &input);
    (deployed.ended(&execution), local.ended(&here))
}

/// How long it took apart, what was summed up.
pub(crate) fn totals(trace: &Value) -> Value {
    let mut totals = trace["execution"]["totals"].clone();
    totals["duration_us"] = json!(null);
    totals["redaction"] = trace["execution"]["redaction"].clone();
    totals
}

/// What functions alone make of the totals.
pub(crate) fn totals_of_functions(trace: &Value) -> Value {
    let mut totals = totals(trace);
    totals["spans"] = json!(null);
    totals["errors"] = json!(null);
    totals
}

#[track_caller]
pub(crate) fn assert_same(deployed: &Value, local: &Value) {
    let mut differences = Vec::new();
    compare(deployed, local, "", &mut differences);
    assert!(
        differences.is_empty(),
        "deployed and local differ:\n{}",
        differences.join("\n")
    );
}

/// Where they differ, and how.
fn compare(deployed: &Value, local: &Value, at: &str, differences: &mut Vec<String>) {
    match (deployed, local) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let missing = theirs.keys().filter(|name| !ours.contains_key(*name));
            for name in ours.keys().chain(missing) {
                let at = format!("{at}/{name}");
                compare(&deployed[name], &local[name], &at, differences);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                let name = ours["name"]
                    .as_str()
                    .map_or_else(|| index.to_string(), str::to_owned);
                compare(ours, theirs, &format!("{at}/{name}"), differences);
            }
        }
        _ if deployed == local => {}
        _ => differences.push(format!("{at}: deployed {deployed:#}, local {local:#}")),
    }
}
