//! What the store has, as the API tells it, in the form that other sides are compared in.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use trace_model::Timestamp;

use super::{Dev, Folder, eventually};

/// Texts of at most so many bytes travel with their spans.
const LARGEST_ATTRIBUTE: usize = 64 << 10;

/// By trace and span id.
pub(crate) type Spans = BTreeMap<(String, String), Value>;

/// The execution's id.
pub(crate) fn run(folder: &Folder, workflow: &str, arguments: &[&str]) -> String {
    let arguments = [&["run", workflow, "--json"], arguments].concat();
    let run = folder.succeeds_with_json(&arguments);
    assert_eq!(run["status"], "SUCCEEDED", "{run}");
    run["execution"].as_str().unwrap().to_owned()
}

/// Every sending of every span is the stored span, and there is no other.
pub(crate) fn assert_all_the_same(
    exported: &HashMap<(String, String), Vec<Value>>,
    stored: &Spans,
) {
    for (id, sendings) in exported {
        let stored = &stored
            .get(id)
            .unwrap_or_else(|| panic!("the store has no span {id:?}: {sendings:?}"));
        for exported in sendings {
            pretty_assert_eq(exported, stored);
        }
    }
    assert_eq!(exported.len(), stored.len());
}

fn pretty_assert_eq(exported: &Value, stored: &Value) {
    let both = exported
        .as_object()
        .unwrap()
        .keys()
        .chain(stored.as_object().unwrap().keys());
    for field in both {
        assert_eq!(
            exported[field.as_str()],
            stored[field.as_str()],
            "{field} differs (exported, stored) in\n{exported:#}\n{stored:#}"
        );
    }
}

/// All spans of the runs as the API tells them, once each of them has ended.
pub(crate) fn stored_spans(dev: &Dev, folder: &Folder, runs: &[String]) -> Spans {
    let api = Api::new(dev, folder);
    let mut spans = Spans::new();
    for execution in runs {
        let trace = eventually("every span has ended", || {
            let trace = api.trace(execution);
            let open = trace.iter().any(|span| span["duration_us"].is_null());
            (!open && !trace.is_empty()).then_some(trace)
        });
        for summary in trace {
            let id = summary["span_id"].as_str().unwrap();
            let path = format!("executions/{execution}/trace/spans/{id}");
            let detail = api.get(&path);
            for field in [
                "attributes",
                "events",
                "links",
                "name",
                "parent_span_id",
                "status",
            ] {
                assert_eq!(summary[field], detail[field], "{field} of {id}");
            }
            let key = (text(&detail["trace_id"]), id.to_owned());
            spans.insert(key, as_stored(&detail));
        }
    }
    spans
}

/// The span's detail in the form both sides are compared in.
fn as_stored(detail: &Value) -> Value {
    let mut content = Map::new();
    for (field, body) in detail["content"].as_object().unwrap() {
        let mut kept = body.clone();
        let kept_fields = kept.as_object_mut().unwrap();
        let place = text(&kept_fields.remove("where").unwrap());
        let length = body["body"].as_str().map_or(usize::MAX, str::len);
        if place != "item" || length > LARGEST_ATTRIBUTE {
            kept_fields.remove("body");
        }
        kept_fields.remove("omitted");
        content.insert(field.clone(), kept);
    }
    let mut events = detail["events"].clone();
    for event in events.as_array_mut().unwrap() {
        event["time"] = nanoseconds(&event["time"]);
    }
    json!({
        "trace_id": detail["trace_id"],
        "span_id": detail["span_id"],
        "parent_span_id": detail["parent_span_id"],
        "name": detail["name"],
        "kind": detail["kind"],
        "otel_kind": detail["otel_kind"],
        "start": nanoseconds(&detail["started_at"]),
        "end": nanoseconds(&detail["finished_at"]),
        "status": detail["status"],
        "revision": detail["revision"],
        "attributes": detail["attributes"],
        "events": events,
        "links": detail["links"],
        "resource": detail["resource"],
        "scope": detail["scope"],
        "content": content,
    })
}

fn nanoseconds(rfc3339: &Value) -> Value {
    let time = Timestamp::parse_rfc3339(rfc3339.as_str().unwrap()).unwrap();
    json!(time.as_unix_nanos().to_string())
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The trace API, as a user of it with a token.
pub(crate) struct Api {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Api {
    pub(crate) fn new(dev: &Dev, folder: &Folder) -> Self {
        Self {
            runtime: tokio::runtime::Runtime::new().unwrap(),
            client: lambda_process::http_client().unwrap(),
            url: dev.url.clone(),
            token: folder.succeeds(&["token"]).trim().to_owned(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.url);
        let request = self.client.get(&url).bearer_auth(&self.token);
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status();
            let body = response.text().await.unwrap();
            assert!(status.is_success(), "{url}: {status}: {body}");
            serde_json::from_str(&body).unwrap()
        })
    }

    pub(crate) fn trace(&self, execution: &str) -> Vec<Value> {
        let mut spans = Vec::new();
        let mut query = String::new();
        loop {
            let page = self.get(&format!("executions/{execution}/trace?view=full{query}"));
            spans.extend(page["spans"].as_array().unwrap().iter().cloned());
            let Some(cursor) = page["page_info"]["cursor"].as_str() else {
                return spans;
            };
            query = format!("&cursor={cursor}");
        }
    }
}
