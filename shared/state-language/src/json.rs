//! Values between JSON and the evaluator. The evaluator knows only doubles, as
//! JavaScript does; what is an integer comes back as an integer.

use indexmap::IndexMap;
use jsonata_core::value::{JArray, JValue};
use serde_json::{Map, Number, Value};

use crate::bounds::{MAX_TEXT_BYTES, text_bytes};
use crate::inspection::Read;

/// As deep as JSON may nest and still be read by every part: `serde_json` stops at 128.
pub(crate) const MAX_DEPTH: usize = 120;

/// Why a result is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotJson {
    Function,
    TooDeep,
    TooLarge,
    NotFinite,
}

/// The whole value.
pub(crate) fn to_jsonata(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(boolean) => JValue::Bool(*boolean),
        Value::Number(number) => JValue::Number(number.as_f64().unwrap_or(f64::MAX)),
        Value::String(text) => JValue::from(text.as_str()),
        Value::Array(items) => {
            let flat = !items.iter().any(Value::is_array);
            JValue::Array(JArray::new_flat(
                items.iter().map(to_jsonata).collect(),
                flat,
            ))
        }
        Value::Object(fields) => {
            let fields: IndexMap<String, JValue> = fields
                .iter()
                .map(|(name, value)| (name.clone(), to_jsonata(value)))
                .collect();
            JValue::object(fields)
        }
    }
}

/// Of an object only the fields that are read; anything else whole.
pub(crate) fn to_jsonata_read(value: &Value, read: &Read) -> JValue {
    match value {
        Value::Object(fields) if !read.whole => {
            let fields: IndexMap<String, JValue> = read
                .fields
                .iter()
                .filter_map(|(name, read)| {
                    Some((name.clone(), to_jsonata_read(fields.get(name)?, read)))
                })
                .collect();
            JValue::object(fields)
        }
        _ => to_jsonata(value),
    }
}

/// A result as JSON; `None` is undefined. What is undefined inside of it is left out.
pub(crate) fn from_jsonata(value: &JValue) -> Result<Option<Value>, NotJson> {
    // Parts that are shared are few bytes to the evaluator, and many here.
    if text_bytes(value, MAX_TEXT_BYTES) > MAX_TEXT_BYTES {
        return Err(NotJson::TooLarge);
    }
    from_jsonata_at(value, 0)
}

/// A copy in which a number without a fraction is an integer, as JavaScript would write it.
pub(crate) fn copy(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(double) if number.is_f64() => {
                Value::Number(normal_number(double).unwrap_or_else(|| number.clone()))
            }
            _ => value.clone(),
        },
        Value::Array(items) => Value::Array(items.iter().map(copy).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), copy(value)))
                .collect(),
        ),
        _ => value.clone(),
    }
}

fn from_jsonata_at(value: &JValue, depth: usize) -> Result<Option<Value>, NotJson> {
    if depth > MAX_DEPTH {
        return Err(NotJson::TooDeep);
    }
    Ok(Some(match value {
        JValue::Undefined => return Ok(None),
        JValue::Null => Value::Null,
        JValue::Bool(boolean) => Value::Bool(*boolean),
        JValue::Number(number) => Value::Number(normal_number(*number).ok_or(NotJson::NotFinite)?),
        JValue::String(text) => Value::String(text.to_string()),
        JValue::Array(items) => {
            let mut array = Vec::with_capacity(items.len());
            for item in &**items {
                array.extend(from_jsonata_at(item, depth + 1)?);
            }
            Value::Array(array)
        }
        JValue::Object(fields) => {
            let mut object = Map::with_capacity(fields.len());
            for (name, value) in fields.iter() {
                if let Some(value) = from_jsonata_at(value, depth + 1)? {
                    object.insert(name.clone(), value);
                }
            }
            Value::Object(object)
        }
        JValue::Lambda(_) | JValue::Builtin { .. } | JValue::Regex { .. } => {
            return Err(NotJson::Function);
        }
    }))
}

/// An integer where the double is one that 64 bits hold; `None` when it is not finite.
fn normal_number(double: f64) -> Option<Number> {
    // Both bounds are exact doubles; the upper one itself is beyond i64.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if double.fract() == 0.0 && (-BEYOND..BEYOND).contains(&double) {
        #[expect(clippy::cast_possible_truncation, reason = "an integer within i64")]
        return Some(Number::from(double as i64));
    }
    Number::from_f64(double)
}
