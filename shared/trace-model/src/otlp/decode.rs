use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{
    ScopeSpans, Span as OtlpSpan, Status as OtlpStatus, span, status,
};
use prost::Message as _;
use thiserror::Error;

use super::summary::take_contents;
use super::value::decode_attributes;
use super::{OtlpError, bodies, canonical};
use crate::{
    AttributeValue, Attributes, Event, Link, OtelKind, Revision, Span, SpanId, SpanKind, Status,
    Timestamp, TraceId, conventions,
};

/// What a request held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    pub spans: Vec<Span>,
    /// Spans that cannot be told apart from others, each with its reason.
    pub rejected: Vec<Rejected>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// In hex, as they came; of long ones the beginning.
    pub trace_id: String,
    pub span_id: String,
    pub reason: RejectedReason,
}

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RejectedReason {
    #[error("trace id is all zero or not 16 bytes: send 16 random bytes")]
    InvalidTraceId,
    #[error("span id is all zero or not 8 bytes: send 8 random bytes")]
    InvalidSpanId,
    #[error("the span has neither a start nor an end: send nanoseconds since 1970")]
    NoTime,
}

impl RejectedReason {
    pub const ALL: [Self; 3] = [Self::InvalidTraceId, Self::InvalidSpanId, Self::NoTime];
}

/// Reads what [`super::encode_to_vec`] wrote, or another program's request. Trusts our own
/// attributes: for what comes from outside there is [`decode_received`].
pub fn decode(protobuf: &[u8]) -> Result<Decoded, OtlpError> {
    let request = ExportTraceServiceRequest::decode(protobuf).map_err(OtlpError::Protobuf)?;
    Ok(decode_request(request))
}

pub fn decode_request(request: ExportTraceServiceRequest) -> Decoded {
    decode_spans(request, Sender::Ourselves)
}

/// For requests from outside: nobody there may say where content lies, which kind or revision
/// a span has, or that it is masked. Their `stepscope.*` attributes are dropped, and the span
/// is flagged for it. Older names are understood, and what is content becomes content.
pub fn decode_received(request: ExportTraceServiceRequest) -> Decoded {
    decode_spans(request, Sender::Anyone)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Ourselves,
    Anyone,
}

fn decode_spans(request: ExportTraceServiceRequest, sender: Sender) -> Decoded {
    let mut decoded = Decoded::default();
    for group in request.resource_spans {
        let resource = group.resource.map(|resource| resource.attributes);
        let resource = decode_attributes(resource.unwrap_or_default());
        for ScopeSpans { scope, spans, .. } in group.scope_spans {
            let scope = scope.unwrap_or_default();
            let span_group = SpanGroup {
                sender,
                resource: &resource,
                scope: (scope.name, scope.version),
                scope_attributes: decode_attributes(scope.attributes),
            };
            for span in spans {
                let (trace_id, span_id) = (shown(&span.trace_id), shown(&span.span_id));
                match decode_span(span, &span_group) {
                    Ok(span) => decoded.spans.push(span),
                    Err(reason) => decoded.rejected.push(Rejected {
                        trace_id,
                        span_id,
                        reason,
                    }),
                }
            }
        }
    }
    decoded
}

/// OTLP: bit 8 says that bit 9 is meant, bit 9 that the parent is another process's.
const PARENT_IS_REMOTE: u32 = 0x300;

struct SpanGroup<'a> {
    sender: Sender,
    resource: &'a Attributes,
    scope: (String, String),
    scope_attributes: Attributes,
}

fn decode_span(mut span: OtlpSpan, group: &SpanGroup<'_>) -> Result<Span, RejectedReason> {
    let trace_id = trace_id(&span.trace_id).ok_or(RejectedReason::InvalidTraceId)?;
    let span_id = span_id(&span.span_id).ok_or(RejectedReason::InvalidSpanId)?;
    let parent_span_id = self::span_id(&span.parent_span_id);
    let mut flags = Vec::new();
    if parent_span_id.is_none() && span.parent_span_id.iter().any(|byte| *byte != 0) {
        flags.push(conventions::FLAG_INVALID_PARENT);
    }
    if span.end_time_unix_nano != 0 && span.end_time_unix_nano < span.start_time_unix_nano {
        flags.push(conventions::FLAG_END_BEFORE_START);
    }
    let mut attributes = decode_attributes(span.attributes);
    if group.sender == Sender::Anyone {
        let before = attributes.len();
        attributes.retain(|key, _| !key.starts_with(conventions::OWN_PREFIX));
        if attributes.len() < before {
            flags.push(conventions::FLAG_OWN_ATTRIBUTES_DROPPED);
        }
    }
    if group.sender == Sender::Anyone && span.start_time_unix_nano == 0 {
        if span.end_time_unix_nano == 0 {
            return Err(RejectedReason::NoTime);
        }
        flags.push(conventions::FLAG_NO_START);
        span.start_time_unix_nano = span.end_time_unix_nano;
    }
    let end =
        (span.end_time_unix_nano != 0).then(|| Timestamp::from_unix_nanos(span.end_time_unix_nano));
    let kind = take_kind(&mut attributes).unwrap_or_else(|| canonical::kind(&attributes));
    let revision = take_revision(&mut attributes).unwrap_or(if end.is_some() {
        Revision::FINISHED
    } else {
        Revision::OPENED
    });
    let content = take_contents(&mut attributes);
    let link_count = span.links.len();
    let links: Vec<_> = span.links.into_iter().filter_map(decode_link).collect();
    if links.len() < link_count {
        flags.push(conventions::FLAG_INVALID_LINK);
    }
    let mut decoded = Span {
        trace_id,
        span_id,
        parent_span_id,
        revision,
        name: span.name,
        kind,
        otel_kind: otel_kind(span.kind),
        start: Timestamp::from_unix_nanos(span.start_time_unix_nano),
        end,
        status: decode_status(span.status),
        attributes,
        events: span.events.into_iter().map(decode_event).collect(),
        links,
        content,
        resource: group.resource.clone(),
        scope: group.scope.clone(),
    };
    let told = [
        (
            conventions::DROPPED_ATTRIBUTES,
            span.dropped_attributes_count,
        ),
        (conventions::DROPPED_EVENTS, span.dropped_events_count),
        (conventions::DROPPED_LINKS, span.dropped_links_count),
    ];
    for (key, count) in told.into_iter().filter(|(_, count)| *count > 0) {
        decoded.set(key, count);
    }
    if !span.trace_state.is_empty() {
        decoded.set(conventions::TRACE_STATE, span.trace_state);
    }
    if !group.scope_attributes.is_empty() {
        let scope_attributes = AttributeValue::Map(group.scope_attributes.clone());
        decoded.set(conventions::SCOPE_ATTRIBUTES, scope_attributes);
    }
    for flag in flags {
        decoded.flag(flag);
    }
    if group.sender == Sender::Anyone {
        if span.flags & PARENT_IS_REMOTE == PARENT_IS_REMOTE {
            decoded.set(conventions::PARENT_IS_REMOTE, true);
        }
        canonical::fill(&mut decoded);
        bodies::take(&mut decoded);
    }
    Ok(decoded)
}

fn shown(id: &[u8]) -> String {
    const LONGEST: usize = 32;
    hex::encode(&id[..id.len().min(LONGEST)])
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    TraceId::from_bytes(bytes.try_into().ok()?)
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    SpanId::from_bytes(bytes.try_into().ok()?)
}

fn take_kind(attributes: &mut Attributes) -> Option<SpanKind> {
    let kind = attributes.get(conventions::SPAN_KIND)?.as_str()?;
    let kind = SpanKind::parse(kind)?;
    attributes.shift_remove(conventions::SPAN_KIND);
    Some(kind)
}

fn take_revision(attributes: &mut Attributes) -> Option<Revision> {
    let revision = attributes.get(conventions::REVISION)?.as_i64()?;
    let revision = u32::try_from(revision).ok()?;
    attributes.shift_remove(conventions::REVISION);
    Some(Revision(revision))
}

fn otel_kind(kind: i32) -> OtelKind {
    match span::SpanKind::try_from(kind) {
        Ok(span::SpanKind::Server) => OtelKind::Server,
        Ok(span::SpanKind::Client) => OtelKind::Client,
        Ok(span::SpanKind::Producer) => OtelKind::Producer,
        Ok(span::SpanKind::Consumer) => OtelKind::Consumer,
        // OTLP: what is unspecified, or not known yet, is taken for internal.
        Ok(span::SpanKind::Internal | span::SpanKind::Unspecified) | Err(_) => OtelKind::Internal,
    }
}

fn decode_status(status: Option<OtlpStatus>) -> Status {
    let status = status.unwrap_or_default();
    match status::StatusCode::try_from(status.code) {
        Ok(status::StatusCode::Ok) => Status::Ok,
        Ok(status::StatusCode::Error) => Status::Error {
            message: status.message,
        },
        Ok(status::StatusCode::Unset) | Err(_) => Status::Unset,
    }
}

fn decode_event(event: span::Event) -> Event {
    Event {
        name: event.name,
        time: Timestamp::from_unix_nanos(event.time_unix_nano),
        attributes: decode_attributes(event.attributes),
    }
}

fn decode_link(link: span::Link) -> Option<Link> {
    Some(Link {
        trace_id: trace_id(&link.trace_id)?,
        span_id: span_id(&link.span_id)?,
        attributes: decode_attributes(link.attributes),
    })
}
