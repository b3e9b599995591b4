use std::collections::BTreeMap;

use trace_model::{AttributeValue, Attributes, Content, ContentBody, Span, Status, conventions};

use crate::detectors;
use crate::marker;
use crate::masker::{Masker, Sensitivity, free_name};
use crate::{RawSpan, RedactedSpan, RedactedText};

/// Which detectors run, and under which name a masked span says so. The number grows when
/// what is masked changes.
#[derive(Clone, Debug)]
pub struct Policy {
    name: String,
}

impl Policy {
    /// Secrets by well-known formats and by key name, email addresses, payment cards.
    pub fn standard() -> Self {
        Self {
            name: "standard-2".to_owned(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Masks everything in the span that a person could have written: its name, attributes,
    /// events, links, status message, content, resource and scope, keys included. Ids, times
    /// and kinds stay.
    pub fn redact(&self, raw: RawSpan) -> RedactedSpan {
        let mut span = raw.into_span();
        let mut masker = Masker::default();
        let before = take_counts(&mut span.attributes);
        mask_span(&mut span, &mut masker);
        let mut redactions = before;
        for (detector, count) in masker.counts {
            *redactions.entry(detector).or_default() += count;
        }
        span.set(conventions::REDACTION_POLICY, self.name());
        if !redactions.is_empty() {
            let counts = redactions.iter();
            let counts = counts.map(|(detector, count)| (detector.clone(), (*count).into()));
            span.set(conventions::REDACTIONS, counts.collect::<Attributes>());
        }
        RedactedSpan::new(span, redactions)
    }

    /// Masks a line of a log, an error's text, and what else is no span.
    pub fn redact_text(&self, text: &str) -> RedactedText {
        let mut masker = Masker::default();
        let replaced = masker.text(text);
        let redactions = u32::try_from(masker.total()).unwrap_or(u32::MAX);
        RedactedText::new(replaced.unwrap_or_else(|| text.to_owned()), redactions)
    }
}

fn mask_span(span: &mut Span, masker: &mut Masker) {
    masker.replace_text(&mut span.name);
    if let Status::Error { message } = &mut span.status {
        masker.replace_text(message);
    }
    masker.attributes(&mut span.attributes);
    for event in &mut span.events {
        masker.replace_text(&mut event.name);
        masker.attributes(&mut event.attributes);
    }
    for link in &mut span.links {
        masker.attributes(&mut link.attributes);
    }
    masker.attributes(&mut span.resource);
    masker.replace_text(&mut span.scope.0);
    masker.replace_text(&mut span.scope.1);
    mask_contents(&mut span.content, masker);
}

fn mask_contents(contents: &mut BTreeMap<String, Content>, masker: &mut Masker) {
    for (field, mut content) in std::mem::take(contents) {
        let (masked_field, sensitivity) = masker.key(&field);
        masker.replace_text(&mut content.media_type);
        if let ContentBody::Text(text) = &mut content.body {
            let before = masker.total();
            let replaced = match sensitivity {
                Sensitivity::Ordinary => masker.text(text),
                Sensitivity::Secret => masker.value(text, sensitivity, 0),
            };
            if let Some(replaced) = replaced {
                *text = replaced;
            }
            let count = u32::try_from(masker.total() - before).unwrap_or(u32::MAX);
            content.redactions = content.redactions.saturating_add(count);
            content.bytes = text.len() as u64;
        }
        let name = free_name(masked_field.unwrap_or(field), |name| {
            contents.contains_key(name)
        });
        contents.insert(name, content);
    }
}

/// What an earlier redaction counted. Taken out before masking, and only what can be such a
/// count, for anyone can write an attribute.
fn take_counts(attributes: &mut Attributes) -> BTreeMap<String, u64> {
    let Some(AttributeValue::Map(counts)) = attributes.shift_remove(conventions::REDACTIONS) else {
        return BTreeMap::new();
    };
    counts
        .iter()
        .filter(|(detector, _)| {
            detectors::names()
                .chain([marker::TOO_DEEP, marker::TOO_LARGE])
                .any(|name| name == *detector)
        })
        .filter_map(|(detector, count)| {
            Some((detector.clone(), u64::try_from(count.as_i64()?).ok()?))
        })
        .collect()
}
