//! The golden `OpenAPI` document.

use serde_json::Value;

#[test]
fn the_document_is_the_golden_one() {
    let golden = include_str!("../../openapi.json");
    let document = trace_api::openapi().to_pretty_json().unwrap() + "\n";
    assert!(
        golden == document,
        "openapi.json is not what the routes say; when the change is meant, run \
         `cargo build --workspace --example write-openapi` and `target/debug/examples/write-openapi` and commit the file"
    );
}

#[test]
fn the_document_says_what_it_must() {
    let document = serde_json::to_value(trace_api::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["operationId"].is_string(), "{place}");
            assert!(operation["summary"].is_string(), "{place}");
            assert!(operation["security"].is_array(), "{place}");
            assert!(
                operation["responses"]["default"]["$ref"].is_string(),
                "{place}"
            );
        }
    }
    for name in references(&document) {
        let known = name.strip_prefix("#/components/schemas/").map_or(
            document["components"]["responses"].get("Problem").is_some(),
            |name| schemas.contains_key(name),
        );
        assert!(known, "{name} is nowhere");
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(name)) => vec![name.clone()],
                _ => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
