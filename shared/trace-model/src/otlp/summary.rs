//! What the structure says of a span's content: everything but the text.

use std::collections::BTreeMap;

use crate::{AttributeValue, Attributes, Content, ContentBody, ContentLocation, conventions};

const MEDIA_TYPE: &str = "media_type";
const BYTES: &str = "bytes";
const REDACTIONS: &str = "redactions";
const LOCATION: &str = "location";

const ITEM: &str = "item";
/// The text is the span's attribute of the field's name.
const ATTRIBUTE: &str = "attribute";
const CHUNK: &str = "chunk:";
const OBJECT: &str = "object:";

/// Where the encoder left a field's text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TextPlace {
    Item,
    Attribute,
}

pub(super) fn summarise(content: &Content, text_place: TextPlace) -> AttributeValue {
    let location = match (&content.body, text_place) {
        (ContentBody::Text(_), TextPlace::Attribute) => ATTRIBUTE.to_owned(),
        (ContentBody::Text(_), TextPlace::Item)
        | (ContentBody::Stored(ContentLocation::Item), _) => ITEM.to_owned(),
        (ContentBody::Stored(ContentLocation::Chunk(id)), _) => format!("{CHUNK}{id}"),
        (ContentBody::Stored(ContentLocation::Object(key)), _) => format!("{OBJECT}{key}"),
    };
    let summary = [
        (MEDIA_TYPE, content.media_type.as_str().into()),
        (BYTES, content.bytes.into()),
        (REDACTIONS, content.redactions.into()),
        (LOCATION, location.into()),
    ];
    let summary = summary.map(|(key, value)| (key.to_owned(), value));
    AttributeValue::Map(summary.into_iter().collect())
}

/// Takes `stepscope.content` out of the attributes, and with it the texts that lie there.
/// What is no summary stays an attribute.
pub(super) fn take_contents(attributes: &mut Attributes) -> BTreeMap<String, Content> {
    let Some(AttributeValue::Map(mut summaries)) = attributes.shift_remove(conventions::CONTENT)
    else {
        return BTreeMap::new();
    };
    let mut contents = BTreeMap::new();
    summaries.retain(|field, summary| match restore(field, summary, attributes) {
        Some(content) => {
            contents.insert(field.clone(), content);
            false
        }
        None => true,
    });
    if !summaries.is_empty() {
        let left = AttributeValue::Map(summaries);
        attributes.insert(conventions::CONTENT.to_owned(), left);
    }
    contents
}

fn restore(field: &str, summary: &AttributeValue, attributes: &mut Attributes) -> Option<Content> {
    let AttributeValue::Map(summary) = summary else {
        return None;
    };
    let location = summary.get(LOCATION)?.as_str()?;
    let content = Content {
        media_type: summary.get(MEDIA_TYPE)?.as_str()?.to_owned(),
        bytes: u64::try_from(summary.get(BYTES)?.as_i64()?).ok()?,
        redactions: u32::try_from(summary.get(REDACTIONS)?.as_i64()?).ok()?,
        body: ContentBody::Stored(ContentLocation::Item),
    };
    let body = if location == ITEM {
        ContentBody::Stored(ContentLocation::Item)
    } else if location == ATTRIBUTE {
        attributes.get(field)?.as_str()?;
        match attributes.shift_remove(field) {
            Some(AttributeValue::String(text)) => ContentBody::Text(text),
            _ => return None,
        }
    } else if let Some(id) = location.strip_prefix(CHUNK) {
        ContentBody::Stored(ContentLocation::Chunk(id.to_owned()))
    } else {
        let key = location.strip_prefix(OBJECT)?;
        ContentBody::Stored(ContentLocation::Object(key.to_owned()))
    };
    Some(Content { body, ..content })
}
