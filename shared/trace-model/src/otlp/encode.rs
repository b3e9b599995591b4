use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as OtlpSpan, Status as OtlpStatus, span, status,
};
use prost::Message as _;

use super::summary::{TextPlace, summarise};
use super::value::{encode_attributes, key_value};
use crate::{
    AttributeValue, Attributes, Content, ContentBody, OtelKind, Span, SpanId, Status, Timestamp,
    conventions,
};

/// What becomes of the texts a span still carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// The request tells of them, and says that they lie beside it.
    Summarised,
    /// Those of at most so many bytes are string attributes of the field's name, as
    /// OpenTelemetry's collectors expect; larger ones are summarised.
    AsAttributes { at_most: u64 },
}

/// The structure alone, grouped by resource and scope; never a body's text.
pub fn encode(spans: &[&Span]) -> ExportTraceServiceRequest {
    encode_with(spans, Bodies::Summarised)
}

/// [`encode`], as protobuf.
pub fn encode_to_vec(spans: &[&Span]) -> Vec<u8> {
    encode(spans).encode_to_vec()
}

pub fn encode_with(spans: &[&Span], bodies: Bodies) -> ExportTraceServiceRequest {
    let mut groups = Groups::default();
    for span in spans {
        groups.scope_of(span).spans.push(encode_span(span, bodies));
    }
    ExportTraceServiceRequest {
        resource_spans: groups.resources,
    }
}

/// Finds the group of a resource and scope by their encoding: attributes hold doubles, which
/// have no hash.
#[derive(Default)]
struct Groups<'a> {
    resources: Vec<ResourceSpans>,
    places: HashMap<Vec<u8>, (usize, usize)>,
    resource_places: HashMap<Vec<u8>, usize>,
    /// Spans of one process come together: most need no look-up.
    last: Option<(&'a Span, (usize, usize))>,
}

impl<'a> Groups<'a> {
    fn scope_of(&mut self, span: &'a Span) -> &mut ScopeSpans {
        let place = match self.last {
            Some((last, place)) if last.resource == span.resource && last.scope == span.scope => {
                place
            }
            _ => self.place(span),
        };
        self.last = Some((span, place));
        &mut self.resources[place.0].scope_spans[place.1]
    }

    fn place(&mut self, span: &Span) -> (usize, usize) {
        let resource = Resource {
            attributes: encode_attributes(&span.resource),
            ..Resource::default()
        };
        let scope = InstrumentationScope {
            name: span.scope.0.clone(),
            version: span.scope.1.clone(),
            ..InstrumentationScope::default()
        };
        let resource_key = resource.encode_to_vec();
        let mut key = scope.encode_length_delimited_to_vec();
        key.extend_from_slice(&resource_key);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let resources = &mut self.resources;
        let resource_place = *self.resource_places.entry(resource_key).or_insert_with(|| {
            resources.push(ResourceSpans {
                resource: Some(resource),
                ..ResourceSpans::default()
            });
            resources.len() - 1
        });
        let scopes = &mut resources[resource_place].scope_spans;
        scopes.push(ScopeSpans {
            scope: Some(scope),
            ..ScopeSpans::default()
        });
        let place = (resource_place, scopes.len() - 1);
        self.places.insert(key, place);
        place
    }
}

fn encode_span(span: &Span, bodies: Bodies) -> OtlpSpan {
    let mut attributes: Vec<_> = span
        .attributes
        .iter()
        .filter(|(key, _)| !is_own_field(key))
        .map(|(key, value)| key_value(key, value))
        .collect();
    let mut add = |key: &str, value: &AttributeValue| attributes.push(key_value(key, value));
    add(conventions::SPAN_KIND, &span.kind.as_str().into());
    add(conventions::REVISION, &span.revision.0.into());
    let mut summaries = Attributes::new();
    for (field, content) in &span.content {
        let text = text_attribute(span, field, content, bodies);
        let place = text.map_or(TextPlace::Item, |_| TextPlace::Attribute);
        summaries.insert(field.clone(), summarise(content, place));
        if let Some(text) = text {
            add(field, &text.into());
        }
    }
    if !summaries.is_empty() {
        add(conventions::CONTENT, &AttributeValue::Map(summaries));
    }
    OtlpSpan {
        trace_id: span.trace_id.as_bytes().to_vec(),
        span_id: span.span_id.as_bytes().to_vec(),
        parent_span_id: span
            .parent_span_id
            .as_ref()
            .map(|id: &SpanId| id.as_bytes().to_vec())
            .unwrap_or_default(),
        name: span.name.clone(),
        kind: otel_kind(span.otel_kind) as i32,
        start_time_unix_nano: span.start.as_unix_nanos(),
        end_time_unix_nano: span.end.map_or(0, Timestamp::as_unix_nanos),
        attributes,
        events: span
            .events
            .iter()
            .map(|event| span::Event {
                name: event.name.clone(),
                time_unix_nano: event.time.as_unix_nanos(),
                attributes: encode_attributes(&event.attributes),
                ..span::Event::default()
            })
            .collect(),
        links: span
            .links
            .iter()
            .map(|link| span::Link {
                trace_id: link.trace_id.as_bytes().to_vec(),
                span_id: link.span_id.as_bytes().to_vec(),
                attributes: encode_attributes(&link.attributes),
                ..span::Link::default()
            })
            .collect(),
        status: status(&span.status),
        ..OtlpSpan::default()
    }
}

/// These come from the span's own fields, whatever its attributes say.
fn is_own_field(key: &str) -> bool {
    [
        conventions::SPAN_KIND,
        conventions::REVISION,
        conventions::CONTENT,
    ]
    .contains(&key)
}

/// An attribute that is there already keeps its name to itself.
fn text_attribute<'a>(
    span: &Span,
    field: &str,
    content: &'a Content,
    bodies: Bodies,
) -> Option<&'a str> {
    match (bodies, &content.body) {
        (Bodies::AsAttributes { at_most }, ContentBody::Text(text))
            if text.len() as u64 <= at_most
                && !span.attributes.contains_key(field)
                && !is_own_field(field) =>
        {
            Some(text)
        }
        _ => None,
    }
}

const fn otel_kind(kind: OtelKind) -> span::SpanKind {
    match kind {
        OtelKind::Internal => span::SpanKind::Internal,
        OtelKind::Server => span::SpanKind::Server,
        OtelKind::Client => span::SpanKind::Client,
        OtelKind::Producer => span::SpanKind::Producer,
        OtelKind::Consumer => span::SpanKind::Consumer,
    }
}

fn status(status: &Status) -> Option<OtlpStatus> {
    let (code, message) = match status {
        Status::Unset => return None,
        Status::Ok => (status::StatusCode::Ok, String::new()),
        Status::Error { message } => (status::StatusCode::Error, message.clone()),
    };
    Some(OtlpStatus {
        code: code as i32,
        message,
    })
}
