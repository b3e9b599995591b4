use std::collections::BTreeMap;

use trace_model::otlp::DEEPEST_ATTRIBUTE;
use trace_model::{AttributeValue, Attributes, conventions};

use crate::detectors::{NAMED_SECRET, is_card_number};
use crate::finding::Encoding;
use crate::{json, key_name, marker, scan};

/// Above it a text is replaced unread. Twice what a model's largest request takes: images in
/// base64 included.
const LARGEST_TEXT: usize = 64 << 20;

/// JSON within strings of JSON: more is replaced unread.
const MOST_TEXTS: usize = 6;

/// What a mask leaves is looked at again, until nothing is found: then a second redaction
/// finds nothing either. More rounds than this do not happen by accident.
const MOST_ROUNDS: usize = 8;

/// Masks values and counts what it masked, by detector.
#[derive(Debug, Default)]
pub(crate) struct Masker {
    pub(crate) counts: BTreeMap<String, u64>,
}

/// Whether a value's name says that it is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sensitivity {
    Ordinary,
    Secret,
}

impl Sensitivity {
    pub(crate) const fn of(is_secret: bool) -> Self {
        if is_secret {
            Self::Secret
        } else {
            Self::Ordinary
        }
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        match self {
            Self::Secret => self,
            Self::Ordinary => other,
        }
    }
}

impl Masker {
    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Text that may be JSON. `None` when nothing in it is masked.
    pub(crate) fn text(&mut self, text: &str) -> Option<String> {
        self.text_within(text, 0)
    }

    /// Text that is no JSON, such as a name.
    pub(crate) fn plain_text(&mut self, text: &str) -> Option<String> {
        self.rounds(text, Self::plain_round)
    }

    /// `texts` is how many strings this one lies in.
    pub(crate) fn value(
        &mut self,
        text: &str,
        sensitivity: Sensitivity,
        texts: usize,
    ) -> Option<String> {
        match sensitivity {
            Sensitivity::Ordinary => self.text_within(text, texts + 1),
            Sensitivity::Secret if text.is_empty() || marker::is_marker(text) => None,
            Sensitivity::Secret => Some(self.whole(NAMED_SECRET)),
        }
    }

    /// The masked key, if anything in it is, and what it says of its value. What is left of the
    /// key speaks too: a second redaction sees only that.
    pub(crate) fn key(&mut self, key: &str) -> (Option<String>, Sensitivity) {
        let masked = self.plain_text(key);
        let left = masked.as_deref().is_some_and(key_name::is_secret);
        (masked, Sensitivity::of(left || key_name::is_secret(key)))
    }

    pub(crate) fn replace_text(&mut self, text: &mut String) {
        if let Some(masked) = self.text(text) {
            *text = masked;
        }
    }

    pub(crate) fn attributes(&mut self, attributes: &mut Attributes) {
        self.map(attributes, Sensitivity::Ordinary, 0);
    }

    fn text_within(&mut self, text: &str, texts: usize) -> Option<String> {
        self.rounds(text, |masker, text| {
            if !json::is_json(text) {
                let masked = masker.objects_round(text, texts);
                masked.or_else(|| masker.plain_round(text))
            } else if texts > MOST_TEXTS {
                Some(masker.unread(marker::TOO_DEEP, text.len()))
            } else {
                json::mask(text, masker, texts)
            }
        })
    }

    fn rounds(
        &mut self,
        text: &str,
        mut round: impl FnMut(&mut Self, &str) -> Option<String>,
    ) -> Option<String> {
        if text.len() > LARGEST_TEXT {
            return Some(self.unread(marker::TOO_LARGE, text.len()));
        }
        let mut masked = round(self, text)?;
        for _ in 1..MOST_ROUNDS {
            match round(self, &masked) {
                Some(more) => masked = more,
                None => return Some(masked),
            }
        }
        Some(self.unread(marker::TOO_DEEP, text.len()))
    }

    /// Objects that the text quotes, by their keys; a round later the text itself.
    fn objects_round(&mut self, text: &str, texts: usize) -> Option<String> {
        if texts > MOST_TEXTS {
            return None;
        }
        let mut masked = String::new();
        let mut copied = 0;
        for object in json::objects_within(text) {
            if let Some(replaced) = json::mask(&text[object.clone()], self, texts) {
                masked.push_str(&text[copied..object.start]);
                masked.push_str(&replaced);
                copied = object.end;
            }
        }
        if copied == 0 {
            return None;
        }
        masked.push_str(&text[copied..]);
        Some(masked)
    }

    fn plain_round(&mut self, text: &str) -> Option<String> {
        let findings = scan::find(text);
        let mut masked = String::new();
        let mut copied = 0;
        for finding in &findings {
            masked.push_str(&text[copied..finding.range.start]);
            masked.push_str(&marker::of(finding));
            copied = finding.range.end;
            self.count(finding.detector, 1 + u64::from(finding.more));
        }
        masked.push_str(&text[copied..]);
        (!findings.is_empty()).then_some(masked)
    }

    fn map(&mut self, attributes: &mut Attributes, sensitivity: Sensitivity, depth: usize) {
        // `{name: "Authorization", value: …}`, as headers and tags are listed.
        let names_secret = ["name", "key", "Name", "Key"].iter().any(|key| {
            let name = attributes.get(*key).and_then(AttributeValue::as_str);
            name.is_some_and(key_name::is_secret)
        });
        let mut masked_keys = Vec::new();
        for (index, (key, value)) in attributes.iter_mut().enumerate() {
            let is_named = names_secret && matches!(key.as_str(), "value" | "Value" | "values");
            let (masked_key, by_key) = self.key(key);
            // Money, whose digits are whatever they are.
            let is_money = key == conventions::COST_PICO_USD;
            if !is_money || !matches!(value, AttributeValue::Int(_)) {
                let by_name = by_key.or(Sensitivity::of(is_named));
                self.attribute(value, sensitivity.or(by_name), depth);
            }
            masked_keys.extend(masked_key.map(|key| (index, key)));
        }
        if !masked_keys.is_empty() {
            rename_keys(attributes, masked_keys);
        }
    }

    fn attribute(&mut self, value: &mut AttributeValue, sensitivity: Sensitivity, depth: usize) {
        let is_secret = sensitivity == Sensitivity::Secret;
        let masked = match value {
            AttributeValue::Array(_) | AttributeValue::Map(_) if depth >= DEEPEST_ATTRIBUTE => {
                Some(marker::of_kind(self.counted(marker::TOO_DEEP)))
            }
            AttributeValue::Array(values) => {
                for value in values {
                    self.attribute(value, sensitivity, depth + 1);
                }
                None
            }
            AttributeValue::Map(attributes) => {
                self.map(attributes, sensitivity, depth + 1);
                None
            }
            AttributeValue::String(text) => match sensitivity {
                Sensitivity::Ordinary => self.text(text),
                Sensitivity::Secret => self.value(text, sensitivity, 0),
            },
            AttributeValue::Bytes(bytes) => self.bytes(bytes, sensitivity),
            AttributeValue::Int(number) => {
                let digits = number.to_string();
                (is_secret || is_card_number(&digits))
                    .then(|| self.value(&digits, sensitivity, 0))
                    .flatten()
            }
            AttributeValue::Double(number) => {
                let digits = number.to_string();
                (is_secret || is_card_number(&digits))
                    .then(|| self.value(&digits, sensitivity, 0))
                    .flatten()
            }
            // Two values hold no secret.
            AttributeValue::Bool(_) => None,
        };
        if let Some(masked) = masked {
            *value = AttributeValue::String(masked);
        }
    }

    /// Bytes with something in them become text.
    fn bytes(&mut self, bytes: &[u8], sensitivity: Sensitivity) -> Option<String> {
        match std::str::from_utf8(bytes) {
            Ok(text) if sensitivity == Sensitivity::Ordinary => self.text(text),
            Ok(text) => self.value(text, sensitivity, 0),
            Err(_) if sensitivity == Sensitivity::Secret => Some(self.whole(NAMED_SECRET)),
            Err(_) if bytes.len() > LARGEST_TEXT => {
                Some(self.unread(marker::TOO_LARGE, bytes.len()))
            }
            Err(_) => {
                let text = String::from_utf8_lossy(bytes);
                let found = scan::find_within(&text, scan::Bytes::Binary, 0);
                let first = found.first()?;
                let more = u32::try_from(found.len() - 1).unwrap_or(u32::MAX);
                self.count(first.detector, u64::from(more) + 1);
                Some(marker::of(&crate::finding::Finding {
                    more,
                    encoding: Encoding::Plain,
                    ..first.clone()
                }))
            }
        }
    }

    fn whole(&mut self, detector: &'static str) -> String {
        marker::of_kind(self.counted(detector))
    }

    fn unread(&mut self, reason: &'static str, bytes: usize) -> String {
        marker::unread(self.counted(reason), bytes)
    }

    fn counted(&mut self, detector: &'static str) -> &'static str {
        self.count(detector, 1);
        detector
    }

    fn count(&mut self, detector: &str, count: u64) {
        *self.counts.entry(detector.to_owned()).or_default() += count;
    }
}

fn rename_keys(attributes: &mut Attributes, masked_keys: Vec<(usize, String)>) {
    let mut masked_keys = masked_keys.into_iter().peekable();
    for (index, (key, value)) in std::mem::take(attributes).into_iter().enumerate() {
        let masked = masked_keys.next_if(|(masked, _)| *masked == index);
        let key = masked.map_or(key, |(_, masked)| masked);
        let key = free_name(key, |name| attributes.contains_key(name));
        attributes.insert(key, value);
    }
}

/// Two keys that masking makes one stay two. The number stands first: behind, it would be read
/// as part of an unclosed value.
pub(crate) fn free_name(name: String, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("({number}) {name}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    let free = names.find(|name| !is_taken(name));
    free.unwrap_or(name)
}
