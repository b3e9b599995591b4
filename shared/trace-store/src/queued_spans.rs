//! A message of the span queue: masked spans of one trace, whole, until the store takes them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redaction::RedactedSpan;
use serde::{Deserialize, Serialize};
use trace_model::{Content, ContentBody, ContentLocation, Span, TenantId, TraceId, otlp};

use crate::StoreError;
use crate::body::{SmallContent, SmallContentWriter};
use crate::chunk;
use crate::compression::{compress, decompress};

const WHAT: &str = "span message";
const FORMAT_VERSION: u32 = 1;

/// SQS takes 1 MiB in a message, and as much in a request.
pub(crate) const LARGEST_MESSAGE: usize = 1 << 20;

/// No writer holds more (`tracer` stops at 64 MB), so no message unfolds into more.
const LARGEST_UNFOLDED: u64 = 128 << 20;

/// What a message of the span queue holds.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedSpans {
    pub tenant: TenantId,
    pub trace_id: TraceId,
    pub spans: Vec<RedactedSpan>,
}

/// What becomes of texts that no message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeTexts {
    /// The spans are not queued: whoever has them keeps them, whole.
    Refused,
    /// They are lost, so that their spans are not; each span has a notice in their place.
    GivenUp,
}

/// A message's body, and what had to be done to fit it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) body: String,
    pub(crate) spans: usize,
    /// Texts that are not in it, because a message holds no more.
    pub(crate) texts_lost: usize,
}

/// Messages, and how many spans are too large for any.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) messages: Vec<Message>,
    pub(crate) spans_too_large: usize,
}

/// As it stands in the queue. Binary parts in base64: a message is text.
#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u32,
    tenant: String,
    trace_id: String,
    /// OTLP, compressed: the structure, without texts.
    structure: String,
    /// The texts, as they lie beside a chunk's structure.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

/// Puts the spans into as few messages as hold them. A batch of the tracer almost always fits
/// one; it then makes the same chunk, under the same key, as if the store had taken it at once.
pub(crate) fn pack(
    tenant: &TenantId,
    trace_id: TraceId,
    spans: &[RedactedSpan],
) -> Result<Packed, StoreError> {
    let mut packed = Packed::default();
    for spans in chunk::sorted(spans, trace_id)?.chunks(chunk::MOST_SPANS) {
        let spans: Vec<_> = spans.iter().map(|span| (*span).clone()).collect();
        pack_into(&mut packed, tenant, trace_id, spans);
    }
    Ok(packed)
}

fn pack_into(
    packed: &mut Packed,
    tenant: &TenantId,
    trace_id: TraceId,
    mut spans: Vec<RedactedSpan>,
) {
    let body = encode(tenant, trace_id, &spans);
    if body.len() <= LARGEST_MESSAGE {
        packed.messages.push(Message {
            body,
            spans: spans.len(),
            texts_lost: 0,
        });
    } else if spans.len() > 1 {
        let second = spans.split_off(spans.len() / 2);
        pack_into(packed, tenant, trace_id, spans);
        pack_into(packed, tenant, trace_id, second);
    } else if let Some(span) = spans.pop() {
        match without_largest_texts(tenant, trace_id, span) {
            Some(message) => packed.messages.push(message),
            None => packed.spans_too_large += 1,
        }
    }
}

/// One span that does not fit: its largest texts go, one by one, and a notice says so. `None`
/// when even its structure does not fit.
fn without_largest_texts(
    tenant: &TenantId,
    trace_id: TraceId,
    mut span: RedactedSpan,
) -> Option<Message> {
    let mut fields: Vec<_> = span
        .span()
        .content
        .iter()
        .map(|(field, content)| (content.bytes, field.clone()))
        .collect();
    fields.sort_unstable();
    let mut texts_lost = 0;
    while let Some((_, field)) = fields.pop() {
        span.content_given_up(&field);
        texts_lost += 1;
        let body = encode(tenant, trace_id, std::slice::from_ref(&span));
        if body.len() <= LARGEST_MESSAGE {
            return Some(Message {
                body,
                spans: 1,
                texts_lost,
            });
        }
    }
    None
}

fn encode(tenant: &TenantId, trace_id: TraceId, spans: &[RedactedSpan]) -> String {
    let mut content = SmallContentWriter::default();
    for span in spans.iter().map(RedactedSpan::span) {
        for (field, text) in texts(span) {
            content.push(span.span_id, span.revision, field, text);
        }
    }
    let spans: Vec<_> = spans.iter().map(RedactedSpan::span).collect();
    let envelope = Envelope {
        version: FORMAT_VERSION,
        tenant: tenant.to_string(),
        trace_id: trace_id.to_string(),
        structure: BASE64_STANDARD.encode(compress(&otlp::encode_to_vec(&spans))),
        content: content.finish().map(|bytes| BASE64_STANDARD.encode(bytes)),
    };
    serde_json::to_string(&envelope).expect("a struct of strings is JSON")
}

fn texts(span: &Span) -> impl Iterator<Item = (&str, &str)> {
    span.content
        .iter()
        .filter_map(|(field, content)| Some((field.as_str(), content.as_text()?)))
}

impl QueuedSpans {
    /// Reads a message's body. A message is data: it is not trusted with the process's memory,
    /// and spans that were never masked are refused.
    pub fn parse(body: &str) -> Result<Self, StoreError> {
        let envelope: Envelope = serde_json::from_str(body)
            .map_err(|error| StoreError::damaged(WHAT, format!("{:?}", error.classify())))?;
        if envelope.version > FORMAT_VERSION {
            return Err(StoreError::NewerVersion {
                what: WHAT,
                found: envelope.version,
                supported: FORMAT_VERSION,
            });
        }
        let tenant = TenantId::parse(&envelope.tenant)
            .map_err(|error| StoreError::damaged_by(WHAT, "it names no tenant", error))?;
        let trace_id: TraceId = envelope
            .trace_id
            .parse()
            .map_err(|error| StoreError::damaged_by(WHAT, "it names no trace", error))?;
        let structure = decompress(&binary(&envelope.structure)?, LARGEST_UNFOLDED, WHAT)?;
        let content = match &envelope.content {
            Some(content) => SmallContent::read_up_to(&binary(content)?, LARGEST_UNFOLDED)?,
            None => SmallContent::default(),
        };
        let decoded = otlp::decode(&structure)
            .map_err(|error| StoreError::damaged_by(WHAT, "its structure is not OTLP", error))?;
        if !decoded.rejected.is_empty() {
            return Err(StoreError::damaged(WHAT, "a span of it has no id"));
        }
        let spans = decoded.spans.into_iter();
        let spans = spans.map(|span| restored(span, trace_id, &content));
        Ok(Self {
            spans: spans.collect::<Result<_, _>>()?,
            tenant,
            trace_id,
        })
    }
}

fn binary(base64: &str) -> Result<Vec<u8>, StoreError> {
    BASE64_STANDARD
        .decode(base64)
        .map_err(|error| StoreError::damaged_by(WHAT, "a part of it is not base64", error))
}

/// The span with its texts.
fn restored(
    mut span: Span,
    trace_id: TraceId,
    texts: &SmallContent,
) -> Result<RedactedSpan, StoreError> {
    if span.trace_id != trace_id {
        return Err(StoreError::OtherTrace {
            span_id: span.span_id,
            expected: trace_id,
            found: span.trace_id,
        });
    }
    let (span_id, revision) = (span.span_id, span.revision);
    for (field, Content { body, .. }) in &mut span.content {
        if *body == ContentBody::Stored(ContentLocation::Item) {
            let text = texts
                .get(span_id, revision, field)?
                .ok_or_else(|| StoreError::damaged(WHAT, "a text of it is missing"))?;
            *body = ContentBody::Text(text.to_owned());
        }
    }
    Ok(RedactedSpan::from_stored(span)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redaction::{Policy, RawSpan};
    use trace_model::{Revision, SpanId, SpanKind, Status, Timestamp, conventions};

    use super::*;

    fn acme() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    fn trace_id() -> TraceId {
        "0af7651916cd43dd8448eb211c80319c".parse().unwrap()
    }

    fn span(number: u64, texts: &[&str]) -> RedactedSpan {
        let id = SpanId::from_bytes((number + 1).to_be_bytes()).unwrap();
        let start = Timestamp::from_unix_millis(1_000 + number);
        let mut span = Span::open(trace_id(), id, None, "step", SpanKind::Node, start);
        if number.is_multiple_of(2) {
            span.finish(Timestamp::from_unix_millis(2_000 + number), Status::Ok);
            span.revision = Revision::FINISHED;
        }
        for (field, text) in texts.iter().enumerate() {
            let text = Content::text("text/plain", *text);
            span.content.insert(format!("field.{field}"), text);
        }
        Policy::standard().redact(RawSpan::from(span))
    }

    /// Letters that zstd cannot make fewer, and no detector takes for a secret.
    fn noise(bytes: usize, seed: u64) -> String {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ seed;
        let letters = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from_u32(0x4e00 + u32::try_from(state % 20_000).unwrap()).unwrap()
        });
        letters.take(bytes / 3).collect()
    }

    fn unpacked(packed: &Packed) -> Vec<RedactedSpan> {
        let messages = packed.messages.iter();
        let spans = messages.flat_map(|message| {
            assert!(message.body.len() <= LARGEST_MESSAGE);
            let queued = QueuedSpans::parse(&message.body).unwrap();
            assert_eq!((queued.tenant, queued.trace_id), (acme(), trace_id()));
            assert_eq!(queued.spans.len(), message.spans);
            queued.spans
        });
        spans.collect()
    }

    proptest! {
        #[test]
        fn spans_come_back_as_they_were(
            texts in proptest::collection::vec(
                proptest::collection::vec(".{0,80}", 0..4), 0..20,
            )
        ) {
            let spans: Vec<_> = (0..).zip(&texts).map(|(number, texts)| {
                let texts: Vec<_> = texts.iter().map(String::as_str).collect();
                span(number, &texts)
            }).collect();
            let packed = pack(&acme(), trace_id(), &spans).unwrap();
            prop_assert_eq!(packed.messages.len(), usize::from(!spans.is_empty()));
            prop_assert_eq!(unpacked(&packed), spans);
        }

        #[test]
        fn what_is_no_message_is_an_error(body in ".{0,200}") {
            prop_assert!(QueuedSpans::parse(&body).is_err());
        }
    }

    #[test]
    fn what_fits_no_single_message_is_split() {
        let texts: Vec<_> = (0..12).map(|seed| noise(300_000, seed)).collect();
        let spans: Vec<_> = (0..)
            .zip(&texts)
            .map(|(number, text)| span(number, &[text]))
            .collect();
        let packed = pack(&acme(), trace_id(), &spans).unwrap();
        assert!(packed.messages.len() > 1);
        assert_eq!(unpacked(&packed), spans);
    }

    #[test]
    fn hard_case_17_a_text_that_no_message_holds_goes_and_its_span_says_so() {
        let (large, small) = (noise(2_000_000, 0), "kept");
        let packed = pack(&acme(), trace_id(), &[span(0, &[&large, small])]).unwrap();
        assert_eq!(
            (packed.messages[0].texts_lost, packed.spans_too_large),
            (1, 0)
        );
        let [found] = &unpacked(&packed)[..] else {
            panic!("one span")
        };
        let found = found.span();
        assert_eq!(found.content["field.1"].as_text(), Some(small));
        let notice = found.content["field.0"].as_text().unwrap();
        assert!(
            notice.contains(&format!("{} bytes", large.len())),
            "{notice}"
        );
        let mut flags = found.flags();
        assert!(flags.any(|flag| flag == conventions::FLAG_CONTENT_LOST));
    }

    #[test]
    fn a_structure_that_no_message_holds_is_counted() {
        let mut huge = Span::open(
            trace_id(),
            SpanId::from_bytes([9; 8]).unwrap(),
            None,
            "step",
            SpanKind::Node,
            Timestamp::from_unix_millis(1),
        );
        huge.set("answer", noise(2_000_000, 0));
        let huge = Policy::standard().redact(RawSpan::from(huge));
        let packed = pack(&acme(), trace_id(), &[span(0, &["a"]), huge]).unwrap();
        assert_eq!((packed.messages.len(), packed.spans_too_large), (1, 1));
    }

    fn check_refused(change: impl Fn(&mut serde_json::Value), expected: &str) {
        let packed = pack(&acme(), trace_id(), &[span(0, &["a"])]).unwrap();
        let mut body: serde_json::Value = serde_json::from_str(&packed.messages[0].body).unwrap();
        change(&mut body);
        let refused = QueuedSpans::parse(&body.to_string()).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }

    #[test]
    fn a_message_that_was_altered_is_refused() {
        check_refused(|body| body["version"] = 2.into(), "format version 2");
        check_refused(|body| body["tenant"] = "A#B".into(), "it names no tenant");
        check_refused(|body| body["trace_id"] = "0".into(), "it names no trace");
        check_refused(
            |body| body["trace_id"] = "1".repeat(32).into(),
            "belongs to trace",
        );
        check_refused(|body| body["structure"] = "?".into(), "not base64");
        check_refused(
            |body| body["structure"] = "AAAA".into(),
            "does not decompress",
        );
        check_refused(
            |body| body["content"] = serde_json::Value::Null,
            "a text of it is missing",
        );
        let never_masked = Span::open(
            trace_id(),
            SpanId::from_bytes([9; 8]).unwrap(),
            None,
            "step",
            SpanKind::Node,
            Timestamp::from_unix_millis(1),
        );
        let structure = BASE64_STANDARD.encode(compress(&otlp::encode_to_vec(&[&never_masked])));
        let unmasked = |body: &mut serde_json::Value| {
            body["structure"] = structure.clone().into();
            body["content"] = serde_json::Value::Null;
        };
        check_refused(unmasked, "was never masked");
    }
}
