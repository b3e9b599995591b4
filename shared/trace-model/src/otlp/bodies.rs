//! Takes out of a received span's attributes and events what belongs to its content: prompts,
//! answers, tool arguments, and whatever else is large.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::{AttributeValue, Attributes, Content, Event, Span, conventions};

/// Content whatever its size: it is what people wrote, or were told.
const CONTENT_FIELDS: [&str; 14] = [
    conventions::INPUT_MESSAGES,
    conventions::OUTPUT_MESSAGES,
    conventions::SYSTEM_INSTRUCTIONS,
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query.text",
    conventions::HTTP_REQUEST_BODY,
    conventions::HTTP_RESPONSE_BODY,
    conventions::INPUT,
    conventions::OUTPUT,
    OLD_PROMPT,
    OLD_COMPLETION,
];

/// Before messages had a structure; also with an index and a member behind it:
/// `gen_ai.prompt.0.role`.
const OLD_PROMPT: &str = "gen_ai.prompt";
const OLD_COMPLETION: &str = "gen_ai.completion";

/// A structure is to be read without what is larger.
const LARGEST_ATTRIBUTE: usize = 4 << 10;

pub(super) fn take(span: &mut Span) {
    let mut taken = Taken::default();
    let attributes = std::mem::take(&mut span.attributes);
    span.attributes = taken.take_attributes(attributes, None);
    for (index, event) in span.events.iter_mut().enumerate() {
        if !taken.take_message(event) {
            let attributes = std::mem::take(&mut event.attributes);
            event.attributes = taken.take_attributes(attributes, Some(index));
        }
    }
    for (current, old) in [
        (conventions::INPUT_MESSAGES, OLD_PROMPT),
        (conventions::OUTPUT_MESSAGES, OLD_COMPLETION),
    ] {
        taken.place_messages(current, old);
    }
    span.content.extend(taken.content);
}

#[derive(Default)]
struct Taken {
    content: BTreeMap<String, Content>,
    /// By the old name, index and member.
    numbered: BTreeMap<(&'static str, u32), Map<String, Value>>,
    /// From events, one a message.
    said: BTreeMap<&'static str, Vec<Value>>,
}

impl Taken {
    /// What stays. A field of an event takes its plain name where that is free.
    fn take_attributes(&mut self, attributes: Attributes, event: Option<usize>) -> Attributes {
        let mut staying = Attributes::new();
        for (key, value) in attributes {
            if let Some((place, member)) = numbered(&key) {
                let members = self.numbered.entry(place).or_default();
                members.insert(member.to_owned(), json(&value));
                continue;
            }
            let is_content = CONTENT_FIELDS.contains(&key.as_str()) || is_large(&value);
            if !is_content || key.starts_with(conventions::OWN_PREFIX) {
                staying.insert(key, value);
                continue;
            }
            let field = match event {
                Some(index) if self.content.contains_key(&key) => format!("events.{index}.{key}"),
                _ => key,
            };
            self.content.insert(field, content(value));
        }
        staying
    }

    /// One message an event, as OpenTelemetry had it until 2025.
    fn take_message(&mut self, event: &mut Event) -> bool {
        let (field, role) = match event.name.as_str() {
            "gen_ai.system.message" => (OLD_PROMPT, "system"),
            "gen_ai.user.message" => (OLD_PROMPT, "user"),
            "gen_ai.assistant.message" => (OLD_PROMPT, "assistant"),
            "gen_ai.tool.message" => (OLD_PROMPT, "tool"),
            "gen_ai.choice" => (OLD_COMPLETION, "assistant"),
            _ => return false,
        };
        let mut message = Map::from_iter([("role".to_owned(), Value::from(role))]);
        for (key, value) in std::mem::take(&mut event.attributes) {
            message.insert(key, json(&value));
        }
        let messages = self.said.entry(field).or_default();
        messages.push(Value::Object(message));
        true
    }

    /// What the older forms said goes under the current name; where that is taken, it keeps its
    /// own.
    fn place_messages(&mut self, current: &str, old: &'static str) {
        let numbered = self.numbered.iter();
        let numbered = numbered.filter(|((field, _), _)| *field == old);
        let numbered: Vec<_> = numbered
            .map(|(_, members)| Value::Object(members.clone()))
            .collect();
        let said = self.said.remove(old).unwrap_or_default();
        let single = self.content.remove(old);
        let several = [numbered, said]
            .into_iter()
            .filter(|messages| !messages.is_empty())
            .map(|messages| Content::json(&Value::Array(messages)));
        for (index, content) in single.into_iter().chain(several).enumerate() {
            let own = match index {
                0 => old.to_owned(),
                _ => format!("{old}.{index}"),
            };
            let is_taken = self.content.contains_key(current);
            let field = if is_taken { own } else { current.to_owned() };
            self.content.insert(field, content);
        }
    }
}

/// `gen_ai.prompt.0.content` as its place and `content`.
fn numbered(key: &str) -> Option<((&'static str, u32), &str)> {
    [OLD_PROMPT, OLD_COMPLETION].into_iter().find_map(|field| {
        let rest = key.strip_prefix(field)?.strip_prefix('.')?;
        let (index, member) = rest.split_once('.')?;
        Some(((field, index.parse().ok()?), member))
    })
}

fn content(value: AttributeValue) -> Content {
    match value {
        AttributeValue::String(text) => {
            let is_json = text.trim_start().starts_with(['{', '['])
                && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let media_type = if is_json {
                "application/json"
            } else {
                "text/plain"
            };
            Content::text(media_type, text)
        }
        value => Content::json(&json(&value)),
    }
}

fn is_large(value: &AttributeValue) -> bool {
    text_bytes(value) > LARGEST_ATTRIBUTE
}

/// Recursion is bounded: prost reads a hundred messages deep.
fn text_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::String(text) => text.len(),
        AttributeValue::Bytes(bytes) => bytes.len(),
        AttributeValue::Array(values) => values.iter().map(text_bytes).sum(),
        AttributeValue::Map(members) => members
            .iter()
            .map(|(key, value)| key.len() + text_bytes(value))
            .sum(),
        AttributeValue::Bool(_) | AttributeValue::Int(_) | AttributeValue::Double(_) => 8,
    }
}

/// Bytes in base64, as protobuf's JSON has them; what is no number of JSON as text.
fn json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::String(text) => Value::from(text.as_str()),
        AttributeValue::Bool(truth) => Value::from(*truth),
        AttributeValue::Int(number) => Value::from(*number),
        AttributeValue::Double(number) if number.is_finite() => Value::from(*number),
        AttributeValue::Double(number) => Value::from(number.to_string()),
        AttributeValue::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
        AttributeValue::Array(values) => values.iter().map(json).collect(),
        AttributeValue::Map(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect(),
    }
}
