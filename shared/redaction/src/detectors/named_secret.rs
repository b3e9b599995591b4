//! `password=…`, `"api_key": "…"`, `--token …`, `<secret>…</secret>` in running text.

use std::ops::Range;

use super::{Detector, Find, WhereFound};
use crate::{key_name, marker};

pub(crate) const NAME: &str = "named-secret";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    hints: &[
        "passw",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "token",
        "key",
        "authorization",
        "cookie",
        "credential",
        "jwt",
        "signature",
        "cvv",
    ],
    find: Find::Scan(scan),
    where_found: WhereFound::InText,
};

const LONGEST_NAME: usize = 128;
/// Of an unquoted value after a colon: prose has "the token: it is …".
const SHORTEST_AFTER_COLON: usize = 4;

fn scan(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    for (at, separator) in text.match_indices([':', '=', '>', '-']) {
        let value = match separator {
            ":" | "=" => assigned(text, at),
            ">" => element(text, at),
            _ => option(text, at),
        };
        if let Some(value) = value
            && !value.is_empty()
            && !is_constant(&text[value.clone()])
        {
            found(value);
        }
    }
}

fn assigned(text: &str, at: usize) -> Option<Range<usize>> {
    let (before, after) = (&text[..at], &text[at + 1..]);
    if after.starts_with("//") || before.ends_with([':', '=', '!', '<', '>']) {
        return None;
    }
    let name = name_before(before)?;
    // `=>` and `==`.
    let start = at + 1 + usize::from(after.starts_with(['=', '>']));
    let opened_by = before[..name.start].chars().next_back();
    let value = value_at(text, start, &text[name], opened_by)?;
    let unquoted_colon = text[at..].starts_with(':') && value.is_unquoted;
    let is_long_enough = !unquoted_colon || value.range.len() >= SHORTEST_AFTER_COLON;
    is_long_enough.then_some(value.range)
}

/// `<password>…</password>`
fn element(text: &str, at: usize) -> Option<Range<usize>> {
    let before = &text[..at];
    let open = before[floor(before, at.saturating_sub(LONGEST_NAME))..].rfind('<')?;
    let open = open + floor(before, at.saturating_sub(LONGEST_NAME));
    let name = before[open + 1..].split_whitespace().next()?;
    if name.starts_with('/') || !key_name::is_secret(name) {
        return None;
    }
    let length = text[at + 1..].find('<')?;
    Some(at + 1..at + 1 + length)
}

/// `--password …`
fn option(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text[at..].strip_prefix("--")?;
    let length = rest
        .bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'))?;
    let (name, after) = rest.split_at(length.min(LONGEST_NAME));
    let value = after.strip_prefix(' ')?;
    if name.is_empty() || value.starts_with('-') || !key_name::is_secret(name) {
        return None;
    }
    let start = text.len() - value.len();
    value_at(text, start, name, None).map(|value| value.range)
}

/// The secret name that ends where `before` does: one word, or two as in `API key`.
fn name_before(before: &str) -> Option<Range<usize>> {
    let spaceless = before.trim_end_matches([' ', '\t']);
    let end = spaceless
        .trim_end_matches(['"', '\'', '\\', '`', '*'])
        .len();
    let word = word_start(before, end);
    if word == end {
        return None;
    }
    let one = word..end;
    if key_name::is_secret(&before[one.clone()]) {
        return Some(one);
    }
    let two = word_start(before, word.checked_sub(1)?)..end;
    let joined = before[..word].ends_with(' ') && two.start < word - 1;
    (joined && key_name::is_secret(&before[two.clone()])).then_some(two)
}

fn word_start(before: &str, end: usize) -> usize {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let Some(before) = before.get(..end) else {
        return end;
    };
    let length = before
        .bytes()
        .rev()
        .take(LONGEST_NAME)
        .take_while(|byte| is_name(*byte))
        .count();
    end - length
}

struct Value {
    range: Range<usize>,
    is_unquoted: bool,
}

fn value_at(text: &str, start: usize, name: &str, opened_by: Option<char>) -> Option<Value> {
    let rest = text.get(start..)?;
    let start = text.len() - rest.trim_start_matches([' ', '\t', '*']).len();
    let rest = &text[start..];
    let escapes = rest.len() - rest.trim_start_matches('\\').len();
    let quote = rest[escapes..]
        .chars()
        .next()
        .filter(|first| "\"'`".contains(*first));
    if let Some(quote) = quote {
        let opening = escapes + 1;
        let length = quoted_length(&rest[opening..], quote, escapes);
        return Some(Value {
            range: start + opening..start + opening + length,
            is_unquoted: false,
        });
    }
    let length = if key_name::is_header(name) {
        let stops = |character| {
            matches!(character, '\n' | '\r')
                || Some(character) == opened_by && "\"'".contains(character)
        };
        rest.find(stops).unwrap_or(rest.len())
    } else {
        unquoted_length(rest)
    };
    let value = rest[..length].trim_end_matches(['.', ')', ']', '}', ' ', '\t', ':']);
    // What was masked before ends in a bracket of its own.
    let length = match marker::length_at_start(rest) {
        Some(marker) => value.len().max(marker),
        None => value.len(),
    };
    Some(Value {
        range: start..start + length,
        is_unquoted: true,
    })
}

/// Up to the quote that is escaped as the first one was; without one, up to the line's end.
fn quoted_length(rest: &str, quote: char, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (index, character) in rest.char_indices() {
        if character == '\\' {
            backslashes += 1;
            continue;
        }
        if character == quote && backslashes <= escapes {
            return index - backslashes;
        }
        backslashes = 0;
    }
    rest.find(['\n', '\r']).unwrap_or(rest.len())
}

fn unquoted_length(rest: &str) -> usize {
    let skipped = marker::length_at_start(rest).unwrap_or(0);
    let end = rest[skipped..].char_indices().find(|(index, character)| {
        let after = &rest[skipped + index + character.len_utf8()..];
        match character {
            '&' | ';' | '"' | '\'' | '<' | '>' | '`' => true,
            // A list's comma, not a password's.
            ',' => {
                after.is_empty()
                    || after.starts_with(char::is_whitespace)
                    || next_is_assigned(after)
            }
            character => character.is_whitespace(),
        }
    });
    end.map_or(rest.len(), |(index, _)| skipped + index)
}

fn next_is_assigned(after: &str) -> bool {
    let name = after
        .bytes()
        .take(LONGEST_NAME)
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte))
        .count();
    name > 0 && after[name..].starts_with(['=', ':'])
}

/// Words that stand for no value, and what is masked already.
fn is_constant(value: &str) -> bool {
    matches!(
        value,
        "true" | "false" | "null" | "none" | "None" | "undefined" | "nil" | "{" | "["
    ) || marker::is_marker(value)
}

fn floor(text: &str, mut index: usize) -> usize {
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}
