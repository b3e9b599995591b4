//! A structure chunk: from spans to an item, and back.

use redaction::RedactedSpan;
use trace_model::{
    Content, ContentBody, ContentLocation, Span, TenantId, Timestamp, TraceId, otlp,
};

use crate::body::{Body, Placed, SmallBodies, SmallContent, SmallContentWriter, place};
use crate::compression::{compress, decompress};
use crate::item::{SdkItem, StoredItem, number, primary_key, text};
use crate::keys::{FORMAT_VERSION, chunk_key, object_prefix, sha256_hex};
use crate::{ChunkKey, StoreError, StoredSpan, TABLE, item};

pub(crate) const WHAT: &str = "structure chunk";

pub(crate) const STRUCTURE: &str = "structure";
pub(crate) const STRUCTURE_OBJECT: &str = "structure_object";
pub(crate) const STRUCTURE_BYTES: &str = "structure_bytes";
pub(crate) const CONTENT: &str = "content";
pub(crate) const LAST_START: &str = "last_start";
const SPANS: &str = "spans";
const MIN_TIME: &str = "min_time";
const MAX_TIME: &str = "max_time";
pub(crate) const WRITTEN_AT: &str = "written_at";

/// DynamoDB's limit is 400 KB for the item, names and keys included.
const LARGEST_ITEM: usize = 350 << 10;

/// What a reader unfolds at a time.
const LARGEST_STRUCTURE: usize = 512 << 10;

/// Bounds how often a large batch is encoded again to fit.
pub(crate) const MOST_SPANS: usize = 512;

/// No structure is larger: a single span's, in the bucket. OTLP receivers stop well below.
const LARGEST_STRUCTURE_OBJECT: u64 = 256 << 20;

/// What a write consists of, in the order it is to be written.
#[derive(Default)]
pub(crate) struct Built {
    /// By key in the bucket.
    pub(crate) objects: Vec<(String, Body)>,
    pub(crate) content_items: Vec<Body>,
    pub(crate) chunks: Vec<SdkItem>,
}

impl Built {
    /// What is written, keys and numbers apart.
    pub(crate) fn bytes(&self) -> usize {
        let bodies = self.objects.iter().map(|(_, body)| body);
        let bodies = bodies.chain(&self.content_items);
        let attributes = self.chunks.iter().flat_map(SdkItem::values);
        bodies.map(|body| body.compressed.len()).sum::<usize>()
            + attributes
                .filter_map(|attribute| attribute.as_b().ok())
                .map(|bytes| bytes.as_ref().len())
                .sum::<usize>()
    }
}

/// What the items of one write have in common.
pub(crate) struct Writing<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) trace_id: TraceId,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Makes the items. The same spans make the same keys and the same bytes, but for the times
/// of writing and expiry.
pub(crate) fn build(spans: &[RedactedSpan], writing: &Writing<'_>) -> Result<Built, StoreError> {
    let mut built = Built::default();
    let mut prepared: Vec<_> = sorted(spans, writing.trace_id)?
        .into_iter()
        .map(|span| prepare(span, SmallBodies::BesideStructure, writing, &mut built))
        .collect();
    for spans in prepared.chunks_mut(MOST_SPANS) {
        build_chunks(spans, writing, &mut built);
    }
    built.objects.sort_by(|one, other| one.0.cmp(&other.0));
    built.objects.dedup_by(|one, other| one.0 == other.0);
    built
        .content_items
        .sort_by(|one, other| one.id.cmp(&other.id));
    built
        .content_items
        .dedup_by(|one, other| one.id == other.id);
    Ok(built)
}

/// Each once, checked, in the order that makes equal chunks of equal spans.
pub(crate) fn sorted(
    spans: &[RedactedSpan],
    trace_id: TraceId,
) -> Result<Vec<&RedactedSpan>, StoreError> {
    for span in spans {
        check_span(span.span(), trace_id)?;
    }
    let mut spans: Vec<&RedactedSpan> = spans.iter().collect();
    spans.sort_by_key(|span| {
        let span = span.span();
        (span.start, span.span_id, span.revision)
    });
    spans.dedup();
    Ok(spans)
}

fn check_span(span: &Span, trace_id: TraceId) -> Result<(), StoreError> {
    if span.trace_id != trace_id {
        return Err(StoreError::OtherTrace {
            span_id: span.span_id,
            expected: trace_id,
            found: span.trace_id,
        });
    }
    let elsewhere = |body: &ContentBody| matches!(body, ContentBody::Stored(_));
    match span
        .content
        .iter()
        .find(|(_, content)| elsewhere(&content.body))
    {
        Some((field, _)) => Err(StoreError::TextElsewhere {
            span_id: span.span_id,
            field: field.clone(),
        }),
        None => Ok(()),
    }
}

/// A span whose large bodies are on their way elsewhere.
struct Prepared {
    span: RedactedSpan,
    /// By field.
    small: Vec<(String, Content)>,
}

fn prepare(
    given: &RedactedSpan,
    small_bodies: SmallBodies,
    writing: &Writing<'_>,
    built: &mut Built,
) -> Prepared {
    let mut span = given.clone();
    let mut small = Vec::new();
    for (field, content) in &given.span().content {
        if let Some(place) = place_body(content, small_bodies, writing, built) {
            if place == ContentLocation::Item {
                small.push((field.clone(), content.clone()));
            }
            span.content_stored_at(field, place);
        }
    }
    Prepared { span, small }
}

/// `None` when the text is not here.
fn place_body(
    content: &Content,
    small_bodies: SmallBodies,
    writing: &Writing<'_>,
    built: &mut Built,
) -> Option<ContentLocation> {
    let text = content.as_text()?;
    Some(match place(text, &content.media_type, small_bodies) {
        Placed::BesideStructure => ContentLocation::Item,
        Placed::Item(body) => {
            let id = body.id.clone();
            built.content_items.push(body);
            ContentLocation::Chunk(id)
        }
        Placed::Object(body) => {
            let prefix = object_prefix(writing.tenant, writing.trace_id);
            let key = format!("{prefix}{}", body.id);
            built.objects.push((key.clone(), body));
            ContentLocation::Object(key)
        }
    })
}

/// Halves the spans until each half fits an item. A single span that does not fit lies in
/// the bucket.
fn build_chunks(spans: &mut [Prepared], writing: &Writing<'_>, built: &mut Built) {
    let encoded = encode(spans);
    let item_bytes = encoded.compressed.len() + encoded.content.as_ref().map_or(0, Vec::len);
    let fits = encoded.structure.len() <= LARGEST_STRUCTURE && item_bytes <= LARGEST_ITEM;
    match spans {
        _ if fits => encoded.push_to(built, writing),
        [span] => {
            for (field, content) in std::mem::take(&mut span.small) {
                if let Some(place) = place_body(&content, SmallBodies::Apart, writing, built) {
                    span.span.content_stored_at(&field, place);
                }
            }
            encode(spans).push_to(built, writing);
        }
        _ => {
            let (first, second) = spans.split_at_mut(spans.len() / 2);
            build_chunks(first, writing, built);
            build_chunks(second, writing, built);
        }
    }
}

/// One chunk, whether or not it fits.
struct Encoded {
    structure: Vec<u8>,
    compressed: Vec<u8>,
    content: Option<Vec<u8>>,
    times: Times,
}

#[derive(Clone, Copy)]
struct Times {
    spans: usize,
    first_start: Timestamp,
    last_start: Timestamp,
    last_time: Timestamp,
}

fn encode(prepared: &[Prepared]) -> Encoded {
    let spans: Vec<_> = prepared
        .iter()
        .map(|prepared| prepared.span.span())
        .collect();
    let structure = otlp::encode_to_vec(&spans);
    let mut small = SmallContentWriter::default();
    for Prepared { span, small: texts } in prepared {
        for (field, content) in texts {
            if let Some(text) = content.as_text() {
                small.push(span.span().span_id, span.span().revision, field, text);
            }
        }
    }
    Encoded {
        compressed: compress(&structure),
        content: small.finish(),
        times: times_of(&spans),
        structure,
    }
}

fn times_of(spans: &[&Span]) -> Times {
    let starts = || spans.iter().map(|span| span.start);
    let ends = spans.iter().filter_map(|span| span.end);
    Times {
        spans: spans.len(),
        first_start: starts().min().unwrap_or_default(),
        last_start: starts().max().unwrap_or_default(),
        last_time: starts().chain(ends).max().unwrap_or_default(),
    }
}

impl Encoded {
    fn push_to(self, built: &mut Built, writing: &Writing<'_>) {
        let Times {
            spans,
            first_start,
            last_start,
            last_time,
        } = self.times;
        let chunk_id = sha256_hex(&self.structure);
        let key = chunk_key(writing.tenant, writing.trace_id, first_start, &chunk_id);
        let mut item = primary_key(key.partition(), key.sort_key.clone());
        let attributes = [
            (item::VERSION, number(u64::from(FORMAT_VERSION))),
            (
                TABLE.ttl_attribute,
                number(writing.expires_at.as_unix_seconds()),
            ),
            (SPANS, number(spans as u64)),
            (MIN_TIME, number(first_start.as_unix_nanos())),
            (LAST_START, number(last_start.as_unix_nanos())),
            (MAX_TIME, number(last_time.as_unix_nanos())),
            (WRITTEN_AT, number(writing.now.as_unix_millis())),
            (STRUCTURE_BYTES, number(self.structure.len() as u64)),
        ];
        item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
        if let Some(content) = self.content {
            item.insert(CONTENT.to_owned(), binary(content));
        }
        if self.compressed.len() <= LARGEST_ITEM {
            item.insert(STRUCTURE.to_owned(), binary(self.compressed));
        } else {
            let object = format!(
                "{}{chunk_id}",
                object_prefix(writing.tenant, writing.trace_id)
            );
            item.insert(STRUCTURE_OBJECT.to_owned(), text(object.clone()));
            let body = Body {
                id: chunk_id,
                compressed: self.compressed,
                bytes: self.structure.len() as u64,
                media_type: "application/x-protobuf".to_owned(),
            };
            built.objects.push((object, body));
        }
        built.chunks.push(item);
    }
}

pub(crate) fn binary(bytes: Vec<u8>) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(bytes))
}

/// Where a chunk's structure is.
pub(crate) enum Structure {
    Here(Vec<u8>),
    /// In the bucket, by key.
    Object {
        key: String,
        bytes: u64,
    },
}

pub(crate) fn structure_of(stored: &StoredItem) -> Result<Structure, StoreError> {
    let bytes = stored
        .number(STRUCTURE_BYTES)?
        .min(LARGEST_STRUCTURE_OBJECT);
    match stored.optional_bytes(STRUCTURE)? {
        Some(compressed) => decompress(compressed, bytes, WHAT).map(Structure::Here),
        None => Ok(Structure::Object {
            key: stored.text(STRUCTURE_OBJECT)?.to_owned(),
            bytes,
        }),
    }
}

/// The spans of a chunk's OTLP bytes.
pub(crate) fn decode(structure: &[u8], key: &ChunkKey) -> Result<Vec<StoredSpan>, StoreError> {
    let decoded = otlp::decode(structure)
        .map_err(|error| StoreError::damaged_by(WHAT, "its structure is not OTLP", error))?;
    if !decoded.rejected.is_empty() {
        return Err(StoreError::damaged(WHAT, "a span of it has no id"));
    }
    decoded
        .spans
        .into_iter()
        .map(|span| {
            if span.trace_id != key.trace_id {
                return Err(StoreError::damaged(
                    WHAT,
                    "a span of it belongs to another trace",
                ));
            }
            Ok(StoredSpan {
                span: RedactedSpan::from_stored(span)?,
                chunk: key.clone(),
            })
        })
        .collect()
}

pub(crate) fn small_content_of(stored: &StoredItem) -> Result<SmallContent, StoreError> {
    match stored.optional_bytes(CONTENT)? {
        Some(compressed) => SmallContent::read(compressed),
        None => Ok(SmallContent::default()),
    }
}
