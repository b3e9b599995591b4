//! Walks JSON text in place: what is not masked stays as it was written, to the last space,
//! digit and doubled key. Without recursion, so depth is no limit.

use std::collections::HashSet;
use std::ops::Range;

use serde::de::IgnoredAny;

use crate::detectors::is_card_number;
use crate::key_name;
use crate::masker::{Masker, Sensitivity};

/// Whether to take it for JSON: an object, an array, or a string, and nothing after it.
pub(crate) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"'])
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// JSON objects within other text, as prompts and messages quote them: whole, and none within
/// another.
pub(crate) fn objects_within(text: &str) -> Vec<Range<usize>> {
    let mut objects: Vec<Range<usize>> = Vec::new();
    let mut end = 0;
    for (start, _) in text.match_indices('{') {
        if start < end {
            continue;
        }
        // serde_json reads 128 levels deep at most, which bounds how often a text is read.
        let mut read = serde_json::Deserializer::from_str(&text[start..]).into_iter::<IgnoredAny>();
        if let Some(Ok(_)) = read.next() {
            end = start + read.byte_offset();
            objects.push(start..end);
        }
    }
    objects
}

/// Keys under which one object names another of its fields' values, as headers, tags and
/// environment variables do: `{"name": "Authorization", "value": "…"}`.
const NAMING_KEYS: [&str; 5] = ["name", "key", "header", "field", "variable"];
const NAMED_KEYS: [&str; 3] = ["value", "values", "val"];

struct Container {
    is_object: bool,
    awaits: Awaits,
    /// Of everything in it.
    sensitivity: Sensitivity,
    /// Of the value that comes next, by its key.
    next: Sensitivity,
    /// A secret's name is a value of it, before or behind the secret.
    names_secret: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Key,
    Value,
    /// A value that may name the secret in another field.
    Name,
}

impl Awaits {
    const fn first(is_object: bool) -> Self {
        if is_object { Self::Key } else { Self::Value }
    }

    fn behind(key: &str) -> Self {
        if NAMING_KEYS.contains(&key.to_lowercase().as_str()) {
            Self::Name
        } else {
            Self::Value
        }
    }
}

/// Where the objects begin of which a value names a secret. Known before any value is masked,
/// for the name may come last.
fn objects_that_name_a_secret(text: &str) -> HashSet<usize> {
    let bytes = text.as_bytes();
    let mut naming = HashSet::new();
    let mut stack: Vec<(usize, Awaits)> = Vec::new();
    let mut index = 0;
    while index < bytes.len() {
        let start = index;
        index = match bytes[start] {
            b'"' => string_end(bytes, start),
            _ => start + 1,
        };
        match bytes[start] {
            b'{' | b'[' => stack.push((start, Awaits::first(bytes[start] == b'{'))),
            b'}' | b']' => {
                stack.pop();
            }
            byte => {
                let Some((object, awaits)) = stack.last_mut() else {
                    continue;
                };
                match (byte, *awaits) {
                    (b',', _) => *awaits = Awaits::first(bytes[*object] == b'{'),
                    (b'"', Awaits::Key) => *awaits = Awaits::behind(&string(&text[start..index])),
                    (b'"', Awaits::Name) if key_name::is_secret(&string(&text[start..index])) => {
                        naming.insert(*object);
                    }
                    _ => {}
                }
            }
        }
    }
    naming
}

/// `text` is JSON; `None` when nothing of it is masked.
pub(crate) fn mask(text: &str, masker: &mut Masker, texts: usize) -> Option<String> {
    let mut walk = Walk {
        text,
        masker,
        texts,
        naming: objects_that_name_a_secret(text),
        stack: Vec::new(),
        output: String::new(),
        copied: 0,
    };
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        index = match bytes[index] {
            b'"' => walk.string(index),
            b'{' | b'[' => walk.open(index),
            b'}' | b']' => {
                walk.stack.pop();
                index + 1
            }
            b',' => {
                if let Some(top) = walk.stack.last_mut() {
                    top.awaits = Awaits::first(top.is_object);
                }
                index + 1
            }
            b'-' | b'0'..=b'9' => walk.number(index),
            _ => index + 1,
        };
    }
    if walk.output.is_empty() {
        return None;
    }
    walk.output.push_str(&text[walk.copied..]);
    Some(walk.output)
}

struct Walk<'t, 'm> {
    text: &'t str,
    masker: &'m mut Masker,
    texts: usize,
    naming: HashSet<usize>,
    stack: Vec<Container>,
    output: String,
    /// How much of the text is in the output.
    copied: usize,
}

impl Walk<'_, '_> {
    fn open(&mut self, index: usize) -> usize {
        let is_object = self.text.as_bytes()[index] == b'{';
        let sensitivity = self.sensitivity();
        self.stack.push(Container {
            is_object,
            awaits: Awaits::first(is_object),
            sensitivity,
            next: Sensitivity::Ordinary,
            names_secret: self.naming.contains(&index),
        });
        index + 1
    }

    fn string(&mut self, start: usize) -> usize {
        let end = string_end(self.text.as_bytes(), start);
        let string = string(&self.text[start..end]);
        let masked = match self.stack.last_mut() {
            Some(top) if top.awaits == Awaits::Key => {
                let name = string.to_lowercase();
                let named = top.names_secret && NAMED_KEYS.contains(&name.as_str());
                top.awaits = Awaits::Value;
                let (masked, by_key) = self.masker.key(&string);
                top.next = by_key.or(Sensitivity::of(named));
                masked
            }
            _ => {
                let sensitivity = self.sensitivity();
                self.masker.value(&string, sensitivity, self.texts)
            }
        };
        if let Some(masked) = masked {
            self.replace(start, end, &masked);
        }
        end
    }

    fn number(&mut self, start: usize) -> usize {
        let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let length = self.text.as_bytes()[start..]
            .iter()
            .take_while(|byte| is_number(byte));
        let end = start + length.count();
        let literal = &self.text[start..end];
        let digits = literal.strip_suffix(".0").unwrap_or(literal);
        let masked = if self.sensitivity() == Sensitivity::Secret {
            self.masker.value(literal, Sensitivity::Secret, self.texts)
        } else if is_card_number(digits) {
            self.masker.plain_text(digits)
        } else {
            None
        };
        if let Some(masked) = masked {
            self.replace(start, end, &masked);
        }
        end
    }

    /// Of a value that stands here.
    fn sensitivity(&self) -> Sensitivity {
        self.stack.last().map_or(Sensitivity::Ordinary, |top| {
            let by_key = if top.is_object {
                top.next
            } else {
                Sensitivity::Ordinary
            };
            top.sensitivity.or(by_key)
        })
    }

    fn replace(&mut self, start: usize, end: usize, with: &str) {
        self.output.push_str(&self.text[self.copied..start]);
        self.output
            .push_str(&serde_json::Value::from(with).to_string());
        self.copied = end;
    }
}

/// What a literal says. Half a surrogate pair is no text; as it is written it is.
fn string(literal: &str) -> String {
    serde_json::from_str(literal).unwrap_or_else(|_| literal.trim_matches('"').to_owned())
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut index = start + 1;
    while index < bytes.len() {
        match bytes[index] {
            b'\\' => index += 2,
            b'"' => return index + 1,
            _ => index += 1,
        }
    }
    bytes.len()
}
