//! Spans of every shape, for property tests.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::{
    AttributeValue, Attributes, Content, ContentBody, ContentLocation, Event, Link, OtelKind,
    Revision, Span, SpanId, SpanKind, Status, Timestamp, TraceId, conventions,
};

pub(crate) fn span() -> impl Strategy<Value = Span> {
    let identity = (
        trace_id(),
        span_id(),
        proptest::option::of(span_id()),
        0..4u32,
    );
    let shape = (
        ".{0,12}",
        proptest::sample::select(SpanKind::ALL.to_vec()),
        otel_kind(),
        status(),
    );
    let time = (0..u64::MAX / 2, proptest::option::of(1..u64::MAX / 2));
    let rest = (
        attributes(),
        vec(event(), 0..3),
        vec(link(), 0..3),
        btree_map("[a-z.]{1,20}", stored_content(), 0..3),
        attributes(),
        (".{0,8}", ".{0,8}"),
    );
    (identity, shape, time, rest).prop_map(|(identity, shape, time, rest)| Span {
        trace_id: identity.0,
        span_id: identity.1,
        parent_span_id: identity.2,
        revision: Revision(identity.3),
        name: shape.0,
        kind: shape.1,
        otel_kind: shape.2,
        status: shape.3,
        start: Timestamp::from_unix_nanos(time.0),
        end: time
            .1
            .map(|length| Timestamp::from_unix_nanos(time.0 + length)),
        attributes: rest.0,
        events: rest.1,
        links: rest.2,
        content: rest.3,
        resource: rest.4,
        scope: rest.5,
    })
}

pub(crate) fn trace_id() -> impl Strategy<Value = TraceId> {
    any::<[u8; 16]>().prop_filter_map("all zero", TraceId::from_bytes)
}

pub(crate) fn span_id() -> impl Strategy<Value = SpanId> {
    any::<[u8; 8]>().prop_filter_map("all zero", SpanId::from_bytes)
}

fn otel_kind() -> impl Strategy<Value = OtelKind> {
    proptest::sample::select(vec![
        OtelKind::Internal,
        OtelKind::Server,
        OtelKind::Client,
        OtelKind::Producer,
        OtelKind::Consumer,
    ])
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Unset),
        Just(Status::Ok),
        ".{0,20}".prop_map(|message| Status::Error { message }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    (".{0,8}", any::<u64>(), attributes()).prop_map(|(name, time, attributes)| Event {
        name,
        time: Timestamp::from_unix_nanos(time),
        attributes,
    })
}

fn link() -> impl Strategy<Value = Link> {
    (trace_id(), span_id(), attributes()).prop_map(|(trace_id, span_id, attributes)| Link {
        trace_id,
        span_id,
        attributes,
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    vec((key(), value()), 0..4).prop_map(|attributes| attributes.into_iter().collect())
}

/// Not the keys that stand for a span's own fields.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,10}",
        Just(conventions::COST_USD.to_owned()),
        Just(conventions::REDACTION_POLICY.to_owned()),
        Just(conventions::REQUEST_MODEL.to_owned()),
    ]
}

fn value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        ".{0,12}".prop_map(AttributeValue::String),
        any::<bool>().prop_map(AttributeValue::Bool),
        any::<i64>().prop_map(AttributeValue::Int),
        // Halves are exact in JSON's decimals too.
        any::<i32>().prop_map(|number| AttributeValue::Double(f64::from(number) / 2.0)),
        vec(any::<u8>(), 0..8).prop_map(AttributeValue::Bytes),
    ];
    leaf.prop_recursive(4, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(AttributeValue::Array),
            vec((".{0,6}", inner), 0..4)
                .prop_map(|values| AttributeValue::Map(values.into_iter().collect())),
        ]
    })
}

fn stored_content() -> impl Strategy<Value = Content> {
    let location = prop_oneof![
        Just(ContentLocation::Item),
        ".{0,12}".prop_map(ContentLocation::Chunk),
        ".{0,12}".prop_map(ContentLocation::Object),
    ];
    let size = 0..u64::MAX / 2;
    ("[a-z/]{0,9}", size, any::<u32>(), location).prop_map(
        |(media_type, bytes, redactions, location)| Content {
            media_type,
            bytes,
            redactions,
            body: ContentBody::Stored(location),
        },
    )
}
