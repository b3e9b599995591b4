//! What is looked for: one file a detector, listed here in order of rank.

mod authorization;
mod aws;
mod azure;
mod email;
mod git_host;
mod google;
mod json_web_token;
mod model_provider;
mod named_secret;
mod payment_card;
mod private_key;
mod service_token;
mod slack;
mod stepscope;
mod stripe;
mod task_token;
mod url_credentials;

use std::ops::Range;
use std::sync::OnceLock;

use regex::Regex;

pub(crate) use email::NAME as EMAIL;
pub(crate) use named_secret::NAME as NAMED_SECRET;
pub(crate) use payment_card::is_card_number;
pub(crate) use url_credentials::NAME as URL_CREDENTIALS;

/// One kind of value. `docs/how-to/add-a-redaction-rule.md` is the checklist for another.
pub(crate) struct Detector {
    /// In the marker and the summary: `[a-z-]`, never renamed.
    pub(crate) name: &'static str,
    /// Texts of which one is in every match, in any case: without them the detector is not
    /// asked. Empty for one that is always asked.
    pub(crate) hints: &'static [&'static str],
    pub(crate) find: Find,
    pub(crate) where_found: WhereFound,
}

pub(crate) enum Find {
    /// The group `value`, or else the whole match, when `accept` takes it.
    Pattern {
        pattern: &'static str,
        accept: fn(&str) -> bool,
    },
    Scan(fn(&str, &mut dyn FnMut(Range<usize>))),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhereFound {
    /// So distinct that it is taken even from the bytes of an image.
    Anywhere,
    InText,
}

/// Which of two that overlap names the mask: the one listed first.
pub(crate) static DETECTORS: [Detector; 18] = [
    private_key::DETECTOR,
    task_token::DETECTOR,
    json_web_token::DETECTOR,
    aws::ACCESS_KEY,
    aws::SECRET_KEY,
    git_host::DETECTOR,
    slack::DETECTOR,
    stripe::DETECTOR,
    stepscope::DETECTOR,
    model_provider::DETECTOR,
    google::DETECTOR,
    azure::DETECTOR,
    service_token::DETECTOR,
    url_credentials::DETECTOR,
    authorization::DETECTOR,
    email::DETECTOR,
    payment_card::DETECTOR,
    named_secret::DETECTOR,
];

/// The patterns of [`DETECTORS`], each compiled when its hints are first met.
static COMPILED: [OnceLock<Regex>; DETECTORS.len()] = [const { OnceLock::new() }; DETECTORS.len()];

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    DETECTORS.iter().map(|detector| detector.name)
}

impl Detector {
    const fn secret(
        name: &'static str,
        hints: &'static [&'static str],
        pattern: &'static str,
        accept: fn(&str) -> bool,
    ) -> Self {
        Self {
            name,
            hints,
            find: Find::Pattern { pattern, accept },
            where_found: WhereFound::Anywhere,
        }
    }
}

/// Asks the detector at that place of [`DETECTORS`].
pub(crate) fn find(detector: usize, text: &str, found: &mut dyn FnMut(Range<usize>)) {
    match &DETECTORS[detector].find {
        Find::Scan(scan) => scan(text, found),
        Find::Pattern { pattern, accept } => {
            let regex = COMPILED[detector].get_or_init(|| {
                Regex::new(pattern).expect("a constant pattern, which a test compiles")
            });
            for captures in regex.captures_iter(text) {
                let value = captures.name("value").or_else(|| captures.get(0));
                if let Some(value) = value.filter(|value| accept(value.as_str())) {
                    found(value.range());
                }
            }
        }
    }
}

/// For patterns that leave nothing to doubt.
const fn always(_: &str) -> bool {
    true
}

/// Random text, not words: letters and digits both.
fn has_letters_and_digits(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests;
