//! A trace without what differs from run to run: times, ids, addresses.

use regex::Regex;
use serde_json::{Map, Value, json};

/// The tree of the trace's spans: names, kinds, states, status, attributes, usage, cost, masked
/// places; children in their order.
pub(crate) fn tree(trace: &Value) -> Value {
    let spans = trace["spans"].as_array().unwrap();
    let root = spans.iter().find(|span| span["parent_span_id"].is_null());
    let (tree, seen) = subtree(root.expect("a root span"), spans);
    assert_eq!(seen, spans.len(), "every span hangs on the root: {trace:#}");
    tree
}

/// What functions wrote of their own work, without the states around it: one tree for each node,
/// in an order of their own, for emulators differ in when they run them.
pub(crate) fn function_spans(trace: &Value) -> Vec<Value> {
    let spans = trace["spans"].as_array().unwrap();
    let nodes = spans.iter().filter(|span| span["kind"] == "node");
    let mut trees: Vec<Value> = nodes.map(|node| subtree(node, spans).0).collect();
    trees.sort_by_key(Value::to_string);
    trees
}

fn subtree(span: &Value, spans: &[Value]) -> (Value, usize) {
    let mut children: Vec<&Value> = spans
        .iter()
        .filter(|child| child["parent_span_id"] == span["span_id"])
        .collect();
    children.sort_by_key(|child| {
        let start = child["start_offset_us"].as_i64();
        (start, child["event_id"].as_i64(), child["name"].to_string())
    });
    let mut seen = 1;
    let children: Vec<Value> = children
        .into_iter()
        .map(|child| {
            let (tree, below) = subtree(child, spans);
            seen += below;
            tree
        })
        .collect();
    (with_children(span, &children), seen)
}

fn with_children(span: &Value, children: &[Value]) -> Value {
    let mut usage = span["usage"].clone();
    if let Some(usage) = usage.as_object_mut() {
        usage.remove("time_to_first_token_us");
    }
    let events = span["events"].as_array().into_iter().flatten();
    json!({
        "name": span["name"],
        "kind": span["kind"],
        "state": span["state"],
        "attempt": span["attempt"],
        "iteration": span["iteration"],
        "status": without_ids(&span["status"]),
        "usage": usage,
        "cost_usd": span["cost_usd"],
        "model": span["model"],
        "flags": span["flags"],
        "content": content(span),
        "attributes": attributes(span),
        "events": events.map(|event| event["name"].clone()).collect::<Vec<_>>(),
        "children": children,
    })
}

/// Each field and how many places were masked in it. Its length differs with the ids in it.
fn content(span: &Value) -> Value {
    let fields = span["content"].as_object().into_iter().flatten();
    let masked = fields.map(|(field, summary)| (field.clone(), summary["redactions"].clone()));
    masked.collect::<Map<_, _>>().into()
}

fn attributes(span: &Value) -> Value {
    let attributes = span["attributes"].as_object().into_iter().flatten();
    let steady = attributes.filter(|(name, _)| !differs(name));
    let steady = steady.map(|(name, value)| (name.clone(), without_ids(value)));
    steady.collect::<Map<_, _>>().into()
}

/// Durations, times, and what is made from the trace's id.
fn differs(name: &str) -> bool {
    const DIFFERS: [&str; 4] = [
        "gen_ai.response.time_to_first_chunk",
        "http.response.header.date",
        "stepscope.artifact.id",
        "workflow.attempt.queue_ms",
    ];
    DIFFERS.contains(&name)
}

/// Names of executions and ids of requests.
fn without_ids(value: &Value) -> Value {
    let uuid = Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    let text = value.to_string();
    serde_json::from_str(&uuid.replace_all(&text, "UUID")).unwrap()
}
