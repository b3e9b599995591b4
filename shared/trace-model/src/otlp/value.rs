use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};

use super::DEEPEST_ATTRIBUTE;
use crate::{AttributeValue, Attributes};

pub(super) fn encode_attributes(attributes: &Attributes) -> Vec<KeyValue> {
    encode_map(attributes, 0)
}

pub(super) fn key_value(key: &str, value: &AttributeValue) -> KeyValue {
    key_value_at(key, value, 0)
}

/// Of a key that comes twice the last counts; a key without a value is absent.
pub(super) fn decode_attributes(attributes: Vec<KeyValue>) -> Attributes {
    attributes
        .into_iter()
        .filter_map(|KeyValue { key, value, .. }| Some((key, decode_value(value?.value?)?)))
        .collect()
}

fn encode_map(attributes: &Attributes, depth: usize) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| key_value_at(key, value, depth))
        .collect()
}

fn key_value_at(key: &str, value: &AttributeValue, depth: usize) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any_value(value, depth)),
        ..KeyValue::default()
    }
}

fn any_value(value: &AttributeValue, depth: usize) -> AnyValue {
    let value = match value {
        AttributeValue::Array(_) | AttributeValue::Map(_) if depth >= DEEPEST_ATTRIBUTE => {
            Value::StringValue(format!("[nested deeper than {DEEPEST_ATTRIBUTE} levels]"))
        }
        AttributeValue::String(text) => Value::StringValue(text.clone()),
        AttributeValue::Bool(truth) => Value::BoolValue(*truth),
        AttributeValue::Int(number) => Value::IntValue(*number),
        AttributeValue::Double(number) => Value::DoubleValue(*number),
        AttributeValue::Bytes(bytes) => Value::BytesValue(bytes.clone()),
        AttributeValue::Array(values) => Value::ArrayValue(ArrayValue {
            values: values
                .iter()
                .map(|value| any_value(value, depth + 1))
                .collect(),
        }),
        AttributeValue::Map(attributes) => Value::KvlistValue(KeyValueList {
            values: encode_map(attributes, depth + 1),
        }),
    };
    AnyValue { value: Some(value) }
}

fn decode_value(value: Value) -> Option<AttributeValue> {
    Some(match value {
        Value::StringValue(text) => AttributeValue::String(text),
        Value::BoolValue(truth) => AttributeValue::Bool(truth),
        Value::IntValue(number) => AttributeValue::Int(number),
        Value::DoubleValue(number) => AttributeValue::Double(number),
        Value::BytesValue(bytes) => AttributeValue::Bytes(bytes),
        // An empty value among others becomes empty text, so that the others keep their places.
        Value::ArrayValue(array) => AttributeValue::Array(
            array
                .values
                .into_iter()
                .map(|value| {
                    let decoded = value.value.and_then(decode_value);
                    decoded.unwrap_or_else(|| AttributeValue::String(String::new()))
                })
                .collect(),
        ),
        Value::KvlistValue(list) => AttributeValue::Map(decode_attributes(list.values)),
        // An index into a string table, which only profiles have.
        Value::StringValueStrindex(_) => return None,
    })
}
