//! One body of content: where it belongs by its size, and small ones packed beside a structure.

use std::collections::HashMap;

use prost::Message as _;
use trace_model::{Revision, SpanId};

use crate::StoreError;
use crate::compression::{compress, decompress};
use crate::keys::sha256_hex;

/// Up to this a body lies beside the structure: reading a span's items costs by the item's
/// whole size, so an item must stay small for what is opened most.
pub(crate) const BESIDE_STRUCTURE: usize = 4 << 10;

/// Up to this, compressed, a body is an item of its own: there an S3 PUT costs as much as the
/// write units of an item.
pub(crate) const IN_AN_ITEM: usize = 8 << 10;

/// No chunk holds more small content than this, unfolded.
const LARGEST_SMALL_CONTENT: u64 = 8 << 20;

const WHAT: &str = "small content";

/// A body outside the structure's item, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// SHA-256 of the text, in hex.
    pub(crate) id: String,
    pub(crate) compressed: Vec<u8>,
    pub(crate) bytes: u64,
    pub(crate) media_type: String,
}

/// Which side of the two thresholds a body is on.
pub(crate) enum Placed {
    BesideStructure,
    Item(Body),
    Object(Body),
}

/// Whether a body may lie beside the structure at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SmallBodies {
    BesideStructure,
    /// There are too many of them for one span's item.
    Apart,
}

pub(crate) fn place(text: &str, media_type: &str, small_bodies: SmallBodies) -> Placed {
    if small_bodies == SmallBodies::BesideStructure && text.len() <= BESIDE_STRUCTURE {
        return Placed::BesideStructure;
    }
    let body = Body {
        id: sha256_hex(text.as_bytes()),
        compressed: compress(text.as_bytes()),
        bytes: text.len() as u64,
        media_type: media_type.to_owned(),
    };
    if body.compressed.len() <= IN_AN_ITEM {
        Placed::Item(body)
    } else {
        Placed::Object(body)
    }
}

/// The text of a body that was stored apart, its hash checked.
pub(crate) fn unfold(
    compressed: &[u8],
    bytes: u64,
    id: &str,
    what: &'static str,
) -> Result<String, StoreError> {
    let text = decompress(compressed, bytes, what)?;
    if sha256_hex(&text) != id {
        return Err(StoreError::damaged(
            what,
            "it does not have the hash it is stored under",
        ));
    }
    String::from_utf8(text).map_err(|error| StoreError::damaged_by(what, "it is not UTF-8", error))
}

/// The small bodies of one chunk, each text once. Protobuf, so that it can grow.
#[derive(Clone, PartialEq, prost::Message)]
struct PackedContent {
    #[prost(message, repeated, tag = "1")]
    bodies: Vec<PackedBody>,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<PackedField>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PackedBody {
    #[prost(bytes = "vec", tag = "1")]
    sha256: Vec<u8>,
    #[prost(string, tag = "2")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PackedField {
    #[prost(bytes = "vec", tag = "1")]
    span_id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    revision: u32,
    #[prost(string, tag = "3")]
    field: String,
    /// Index into `bodies`.
    #[prost(uint32, tag = "4")]
    body: u32,
}

/// Collects the small bodies of one chunk.
#[derive(Default)]
pub(crate) struct SmallContentWriter<'a> {
    packed: PackedContent,
    known: HashMap<&'a str, u32>,
}

impl<'a> SmallContentWriter<'a> {
    pub(crate) fn push(&mut self, span_id: SpanId, revision: Revision, field: &str, text: &'a str) {
        let bodies = &mut self.packed.bodies;
        let body = *self.known.entry(text).or_insert_with(|| {
            bodies.push(PackedBody {
                sha256: hex::decode(sha256_hex(text.as_bytes())).unwrap_or_default(),
                text: text.to_owned(),
            });
            u32::try_from(bodies.len() - 1).unwrap_or(u32::MAX)
        });
        self.packed.fields.push(PackedField {
            span_id: span_id.as_bytes().to_vec(),
            revision: revision.0,
            field: field.to_owned(),
            body,
        });
    }

    /// `None` when there is nothing to store.
    pub(crate) fn finish(self) -> Option<Vec<u8>> {
        let some = !self.packed.fields.is_empty();
        some.then(|| compress(&self.packed.encode_to_vec()))
    }
}

/// The small bodies of one chunk, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SmallContent(PackedContent);

impl SmallContent {
    pub(crate) fn read(compressed: &[u8]) -> Result<Self, StoreError> {
        Self::read_up_to(compressed, LARGEST_SMALL_CONTENT)
    }

    pub(crate) fn read_up_to(compressed: &[u8], at_most: u64) -> Result<Self, StoreError> {
        let bytes = decompress(compressed, at_most, WHAT)?;
        PackedContent::decode(bytes.as_slice())
            .map(Self)
            .map_err(|error| StoreError::damaged_by(WHAT, "it is not as written", error))
    }

    /// The text, its hash checked; `None` for a field that lies elsewhere.
    pub(crate) fn get(
        &self,
        span_id: SpanId,
        revision: Revision,
        field: &str,
    ) -> Result<Option<&str>, StoreError> {
        let found = self.0.fields.iter().find(|packed| {
            packed.span_id == span_id.as_bytes()
                && packed.revision == revision.0
                && packed.field == field
        });
        let Some(found) = found else {
            return Ok(None);
        };
        let body = usize::try_from(found.body)
            .ok()
            .and_then(|index| self.0.bodies.get(index))
            .ok_or_else(|| StoreError::damaged(WHAT, "a field has no body"))?;
        if sha256_hex(body.text.as_bytes()) != hex::encode(&body.sha256) {
            return Err(StoreError::damaged(
                WHAT,
                "a body does not have the hash it is stored with",
            ));
        }
        Ok(Some(&body.text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span_id(number: u8) -> SpanId {
        SpanId::from_bytes([number.max(1); 8]).unwrap()
    }

    proptest! {
        #[test]
        fn small_content_round_trips(
            texts in proptest::collection::btree_map((1_u8..9, "[a-z.]{1,8}"), ".{0,60}", 1..20)
        ) {
            let mut writer = SmallContentWriter::default();
            for ((span, field), text) in &texts {
                writer.push(span_id(*span), Revision::FINISHED, field, text);
            }
            let read = SmallContent::read(&writer.finish().unwrap()).unwrap();
            for ((span, field), text) in &texts {
                let found = read.get(span_id(*span), Revision::FINISHED, field).unwrap();
                prop_assert_eq!(found, Some(text.as_str()));
                prop_assert_eq!(read.get(span_id(*span), Revision::OPENED, field).unwrap(), None);
            }
        }
    }

    #[test]
    fn equal_texts_are_kept_once() {
        let text = "the same system prompt".repeat(20);
        let mut writer = SmallContentWriter::default();
        for number in 1..100 {
            writer.push(span_id(number), Revision::FINISHED, "prompt", &text);
        }
        assert_eq!(writer.packed.bodies.len(), 1);
    }

    #[test]
    fn an_altered_body_is_refused() {
        let mut writer = SmallContentWriter::default();
        writer.push(span_id(1), Revision::FINISHED, "prompt", "true");
        writer.packed.bodies[0].text = "false".to_owned();
        let read = SmallContent::read(&writer.finish().unwrap()).unwrap();
        assert!(read.get(span_id(1), Revision::FINISHED, "prompt").is_err());
        assert!(unfold(&compress(b"false"), 10, &sha256_hex(b"true"), "body").is_err());
    }
}
