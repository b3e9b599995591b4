/// One large value of a span: a prompt, a response, a state's input. Kept apart from the
/// structure, so that a trace opens without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// `application/json`, `text/plain`, …
    pub media_type: String,
    /// Size of the whole text in UTF-8 bytes, wherever it lies; after redaction once redacted.
    pub bytes: u64,
    /// How many places in it were masked.
    pub redactions: u32,
    pub body: ContentBody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentBody {
    Text(String),
    Stored(ContentLocation),
}

/// Where a stored body lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentLocation {
    /// Beside the structure, in the same item.
    Item,
    /// In a content chunk, by its id.
    Chunk(String),
    /// In the bucket, by its key.
    Object(String),
}

impl Content {
    pub fn text(media_type: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            media_type: media_type.into(),
            bytes: text.len() as u64,
            redactions: 0,
            body: ContentBody::Text(text),
        }
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self::text("application/json", value.to_string())
    }

    /// The text, while it is here and not in the store.
    pub fn as_text(&self) -> Option<&str> {
        match &self.body {
            ContentBody::Text(text) => Some(text),
            ContentBody::Stored(_) => None,
        }
    }
}
