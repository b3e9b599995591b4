//! What stands where a value was: its kind, and never anything of it.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::detectors;
use crate::finding::{Encoding, Finding};

pub(crate) const START: &str = "[REDACTED:";

/// The value was larger than we look through.
pub(crate) const TOO_LARGE: &str = "too-large";
/// Texts within texts, or values within values, deeper than we look.
pub(crate) const TOO_DEEP: &str = "too-deep";

/// Strict, since text that is a marker is left alone: it has no room for a value.
static MARKER: LazyLock<Regex> = LazyLock::new(|| {
    let names: Vec<_> = detectors::names().chain([TOO_LARGE, TOO_DEEP]).collect();
    let pattern = format!(
        r"\[REDACTED:(?:{})(?: and [0-9]{{1,6}} more)?(?: in base64)?(?: [0-9]{{1,11}} bytes)?\]",
        names.join("|")
    );
    Regex::new(&pattern).expect("names are plain words: a test compiles it")
});

pub(crate) fn of(finding: &Finding) -> String {
    let more = match finding.more {
        0 => String::new(),
        more => format!(" and {} more", more.min(999_999)),
    };
    let encoding = match finding.encoding {
        Encoding::Plain => "",
        Encoding::Base64 => " in base64",
    };
    format!("{START}{}{more}{encoding}]", finding.detector)
}

pub(crate) fn of_kind(detector: &str) -> String {
    format!("{START}{detector}]")
}

/// For what is replaced whole, unread.
pub(crate) fn unread(reason: &str, bytes: usize) -> String {
    format!("{START}{reason} {} bytes]", bytes.min(99_999_999_999))
}

pub(crate) fn is_marker(text: &str) -> bool {
    length_at_start(text) == Some(text.len())
}

/// Length of the marker that the text starts with.
pub(crate) fn length_at_start(text: &str) -> Option<usize> {
    if !text.starts_with(START) {
        return None;
    }
    let found = MARKER.find(text)?;
    (found.start() == 0).then_some(found.end())
}

/// The text with a space in each marker's place: what detectors are called is no word of it.
pub(crate) fn without_markers(text: &str) -> Cow<'_, str> {
    if text.contains(START) {
        MARKER.replace_all(text, " ")
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_words_are_a_marker() {
        assert!(is_marker(&of_kind("email")));
        assert!(is_marker(&unread(TOO_LARGE, usize::MAX)));
        assert!(is_marker(&of(&Finding {
            range: 0..1,
            detector: "email",
            rank: 0,
            more: 2,
            encoding: Encoding::Base64,
        })));
        for text in [
            "[REDACTED:hunter2]",
            "[REDACTED:email]x",
            "x[REDACTED:email]",
            "[REDACTED:too-large 4111111111111111 bytes]",
            "[REDACTED:",
        ] {
            assert!(!is_marker(text), "{text}");
        }
    }
}
