use std::ops::Range;

use super::{Detector, Find, WhereFound};

pub(crate) const NAME: &str = "email";

/// Addresses as people write them; RFC 5321 bounds both sides.
pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    hints: &["@"],
    find: Find::Scan(scan),
    where_found: WhereFound::InText,
};

const LONGEST_LOCAL_PART: usize = 64;
const LONGEST_DOMAIN: usize = 253;

fn scan(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    for (at, _) in text.match_indices('@') {
        let start = local_part_start(&text[..at]);
        let end = at + 1 + domain_length(&text[at + 1..]);
        // `git@github.com:owner/repository` is an address of a repository.
        if start < at && end > at + 1 && &text[start..at] != "git" {
            found(start..end);
        }
    }
}

fn local_part_start(before: &str) -> usize {
    let mut start = before.len();
    for (index, character) in before.char_indices().rev() {
        let fits = character.is_alphanumeric() || "._%+-'".contains(character);
        if !fits || before.len() - index > LONGEST_LOCAL_PART {
            break;
        }
        start = index;
    }
    // Punctuation before it is not part of it.
    let local = &before[start..];
    start + local.len() - local.trim_start_matches(['.', '\'', '-', '%', '+']).len()
}

/// 0 when there is no domain with a top-level name.
fn domain_length(after: &str) -> usize {
    let mut length = 0;
    for (index, character) in after.char_indices() {
        let fits = character.is_alphanumeric() || ".-".contains(character);
        if !fits || index > LONGEST_DOMAIN {
            break;
        }
        length = index + character.len_utf8();
    }
    let domain = after[..length].trim_end_matches(['.', '-']);
    let Some((name, top)) = domain.rsplit_once('.') else {
        return 0;
    };
    let is_name = top.chars().count() >= 2 && top.chars().next().is_some_and(char::is_alphabetic);
    if is_name && !name.is_empty() && !name.starts_with('.') {
        domain.len()
    } else {
        0
    }
}
