//! How much memory a request takes once it is read, told before it is read: two bytes of OTLP
//! can stand for a span of hundreds, and every span carries its resource.

use std::fmt;

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as OtlpSpan, Status as OtlpStatus, span,
};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::{AttributeValue, Span};

/// Beside its text, what a value of JSON takes while it is taken apart: the value itself, its
/// place in a map, and the message that it becomes.
const JSON_VALUE: u64 = 192;

/// What a text or id takes beside its bytes.
const ALLOCATION: u64 = 16;

/// Prost reads no deeper.
const DEEPEST_MESSAGE: usize = 100;

/// An upper bound, in bytes. What is not protobuf weighs what was understood of it: it will be
/// refused anyway.
pub(super) fn of_protobuf(protobuf: &[u8]) -> u64 {
    weigh(protobuf, Message::Request, 0).bytes
}

/// The same of JSON, less what the spans' copies of their resources take: that shows once it is
/// a request.
pub(super) fn of_json(json: &[u8]) -> Result<u64, serde_json::Error> {
    let mut bytes = 0;
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    WeighJson(&mut bytes).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(bytes)
}

/// The messages of a request that are made of others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Request,
    ResourceSpans,
    Resource,
    EntityRef,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    Status,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
}

impl Message {
    /// The message in that field, by OTLP's field numbers.
    const fn field(self, number: u32) -> Option<Self> {
        Some(match (self, number) {
            (Self::Request, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeSpans, 1) => Self::Scope,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Span, 15) => Self::Status,
            (Self::Resource, 3) => Self::EntityRef,
            (Self::Resource | Self::KeyValueList, 1)
            | (Self::Scope | Self::Event, 3)
            | (Self::Link, 4)
            | (Self::Span, 9) => Self::KeyValue,
            (Self::KeyValue, 2) | (Self::ArrayValue, 1) => Self::AnyValue,
            (Self::AnyValue, 5) => Self::ArrayValue,
            (Self::AnyValue, 6) => Self::KeyValueList,
            _ => return None,
        })
    }

    /// As prost holds it, twice because a list grows by doubling, and as a span holds it.
    const fn size(self) -> u64 {
        let (read, kept) = match self {
            Self::Request => (0, 0),
            Self::ResourceSpans => (size_of::<ResourceSpans>(), 0),
            Self::Resource => (size_of::<Resource>(), 0),
            Self::EntityRef => (size_of::<EntityRef>(), 0),
            Self::ScopeSpans => (size_of::<ScopeSpans>(), 0),
            Self::Scope => (size_of::<InstrumentationScope>(), 0),
            Self::Span => (size_of::<OtlpSpan>(), size_of::<Span>()),
            Self::Event => (size_of::<span::Event>(), size_of::<crate::Event>()),
            Self::Link => (size_of::<span::Link>(), size_of::<crate::Link>()),
            Self::Status => (size_of::<OtlpStatus>(), 0),
            Self::KeyValue => (
                size_of::<KeyValue>(),
                size_of::<(usize, String, AttributeValue, usize)>(),
            ),
            Self::AnyValue => (size_of::<AnyValue>(), size_of::<AttributeValue>()),
            Self::ArrayValue => (size_of::<ArrayValue>(), 0),
            Self::KeyValueList => (size_of::<KeyValueList>(), 0),
        };
        (2 * read + kept) as u64
    }
}

#[derive(Default)]
struct Weight {
    bytes: u64,
    spans: u64,
}

fn weigh(mut rest: &[u8], message: Message, depth: usize) -> Weight {
    let mut weight = Weight::default();
    // What every span below carries a copy of.
    let mut shared: u64 = 0;
    while !rest.is_empty() {
        let Ok((number, wire_type)) = decode_key(&mut rest) else {
            break;
        };
        if wire_type != WireType::LengthDelimited {
            if skip_field(wire_type, number, &mut rest, DecodeContext::default()).is_err() {
                break;
            }
            continue;
        }
        let Ok(length) = decode_varint(&mut rest) else {
            break;
        };
        let Some((value, after)) = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length))
        else {
            break;
        };
        rest = after;
        let Some(child) = message.field(number).filter(|_| depth < DEEPEST_MESSAGE) else {
            weight.add(value.len() as u64 + ALLOCATION);
            continue;
        };
        let inside = weigh(value, child, depth + 1);
        weight.add(child.size());
        weight.add(inside.bytes);
        weight.spans += inside.spans + u64::from(child == Message::Span);
        if matches!(child, Message::Resource | Message::Scope) {
            shared = shared.saturating_add(inside.bytes);
        }
    }
    weight.add(shared.saturating_mul(weight.spans));
    weight
}

impl Weight {
    const fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

struct WeighJson<'a>(&'a mut u64);

impl WeighJson<'_> {
    const fn add(self, bytes: usize) {
        *self.0 = self.0.saturating_add(JSON_VALUE + bytes as u64);
    }
}

impl<'de> DeserializeSeed<'de> for WeighJson<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for WeighJson<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.add(0);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.add(0);
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.add(0);
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.add(0);
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.add(0);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        // Once in the value, once in the message.
        self.add(2 * text.len());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(WeighJson(self.0))?.is_some() {}
        self.add(0);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_key_seed(WeighJson(self.0))?.is_some() {
            members.next_value_seed(WeighJson(self.0))?;
        }
        self.add(0);
        Ok(())
    }
}
