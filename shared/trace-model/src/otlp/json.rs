use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde_json::Value as Json;

use super::OtlpError;

/// OTLP's JSON: ids in hex, enums as numbers, 64-bit integers as strings. JSON has no NaN and
/// no infinities: such doubles are written as strings.
pub fn to_json(mut request: ExportTraceServiceRequest) -> Result<String, OtlpError> {
    for group in &mut request.resource_spans {
        group
            .resource
            .iter_mut()
            .for_each(|resource| finite_all(&mut resource.attributes));
        for scope in &mut group.scope_spans {
            scope
                .scope
                .iter_mut()
                .for_each(|scope| finite_all(&mut scope.attributes));
            for span in &mut scope.spans {
                finite_all(&mut span.attributes);
                span.events
                    .iter_mut()
                    .for_each(|event| finite_all(&mut event.attributes));
                span.links
                    .iter_mut()
                    .for_each(|link| finite_all(&mut link.attributes));
            }
        }
    }
    serde_json::to_string(&request).map_err(OtlpError::Json)
}

/// Fields we do not know are ignored, absent ones have protobuf's defaults. An id that is not
/// hex is an id of the wrong length: its span is rejected, not the request.
pub fn from_json(json: &[u8]) -> Result<ExportTraceServiceRequest, OtlpError> {
    let mut json: Json = serde_json::from_slice(json).map_err(OtlpError::Json)?;
    complete(&mut json);
    serde_json::from_value(json).map_err(OtlpError::Json)
}

fn finite_all(attributes: &mut [KeyValue]) {
    for attribute in attributes {
        attribute.value.iter_mut().for_each(finite);
    }
}

fn finite(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::DoubleValue(number)) if !number.is_finite() => {
            let text = if number.is_nan() {
                "NaN"
            } else if *number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            value.value = Some(Value::StringValue(text.to_owned()));
        }
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(finite),
        Some(Value::KvlistValue(list)) => finite_all(&mut list.values),
        _ => {}
    }
}

/// What protobuf's JSON may leave out, or write as text, and opentelemetry-proto's types
/// insist on. Recursion is bounded: `serde_json` reads 128 levels at most.
fn complete(json: &mut Json) {
    match json {
        Json::Array(values) => values.iter_mut().for_each(complete),
        Json::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            if let Some(Json::String(number)) = fields.get("doubleValue") {
                let value = match number.parse::<f64>() {
                    Ok(number) if number.is_finite() => ("doubleValue", Json::from(number)),
                    _ => ("stringValue", Json::from(number.as_str())),
                };
                fields.shift_remove("doubleValue");
                fields.insert(value.0.to_owned(), value.1);
            }
            for (key, value) in fields {
                if let ("traceId" | "spanId" | "parentSpanId", Json::String(id)) =
                    (key.as_str(), &mut *value)
                    && hex::decode(id.as_bytes()).is_err()
                {
                    "ff".clone_into(id);
                }
                if let ("arrayValue" | "kvlistValue", Json::Object(list)) =
                    (key.as_str(), &mut *value)
                {
                    list.entry("values")
                        .or_insert_with(|| Json::Array(Vec::new()));
                }
                complete(value);
            }
        }
        _ => {}
    }
}
