//! All that is found in a text, in plain sight or encoded.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::detectors::{self, DETECTORS, WhereFound};
use crate::encoded;
use crate::finding::{Encoding, Finding, join};
use crate::marker;

/// Encodings within encodings: a value that someone wrapped more often was hidden on purpose.
pub(crate) const MOST_ENCODINGS: usize = 3;

/// One pass for the hints of all detectors says which of them to ask.
struct Hints {
    search: AhoCorasick,
    detectors: Vec<usize>,
}

static HINTS: LazyLock<Hints> = LazyLock::new(|| {
    let hints = DETECTORS
        .iter()
        .enumerate()
        .flat_map(|(index, detector)| detector.hints.iter().map(move |hint| (index, *hint)));
    let (detectors, hints): (Vec<_>, Vec<_>) = hints.unzip();
    let search = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .build(hints)
        .expect("a hundred short words");
    Hints { search, detectors }
});

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// Written by someone.
    Text,
    /// An image's, say: chance looks like an address there.
    Binary,
}

/// In text order; none overlap.
pub(crate) fn find(text: &str) -> Vec<Finding> {
    find_within(text, Bytes::Text, 0)
}

pub(crate) fn find_within(text: &str, bytes: Bytes, encodings: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    let asked = asked(text);
    for (rank, detector) in DETECTORS.iter().enumerate() {
        let fits = bytes == Bytes::Text || detector.where_found == WhereFound::Anywhere;
        if asked[rank] && fits {
            detectors::find(rank, text, &mut |range| {
                findings.push(Finding {
                    range,
                    detector: detector.name,
                    rank,
                    more: 0,
                    encoding: Encoding::Plain,
                });
            });
        }
    }
    if encodings < MOST_ENCODINGS {
        encoded::find_escaped(text, bytes, encodings + 1, &mut findings);
        encoded::find_base64(text, encodings + 1, &mut findings);
    }
    findings.retain(|finding| !marker::is_marker(&text[finding.range.clone()]));
    join(findings)
}

fn asked(text: &str) -> [bool; DETECTORS.len()] {
    let mut asked = [false; DETECTORS.len()];
    for (asked, detector) in asked.iter_mut().zip(&DETECTORS) {
        *asked = detector.hints.is_empty();
    }
    let mut left = asked.iter().filter(|asked| !**asked).count();
    // Overlapping, for a hint may begin within another's.
    for found in HINTS.search.find_overlapping_iter(text) {
        let detector = HINTS.detectors[found.pattern().as_usize()];
        if !asked[detector] {
            asked[detector] = true;
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
    asked
}
