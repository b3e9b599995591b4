//! The same values as base64, percent-encoded, or with escapes as JSON and shells write them.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::finding::{Encoding, Finding};
use crate::scan::{Bytes, MOST_ENCODINGS, find_within};

/// Of base64 characters; nine bytes hold the shortest address.
const SHORTEST_RUN: usize = 11;
/// Shorter runs are mostly words: they count only when all of them decodes to text.
const SHORTEST_MIXED_RUN: usize = 20;
/// Encoders wrap lines at 64 or 76 characters.
const SHORTEST_WRAPPED_LINE: usize = 60;
/// Of text within decoded bytes.
const SHORTEST_TEXT: usize = 8;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Runs of base64, in either alphabet, wrapped or not. A run that holds something is one
/// finding: nobody reads what is left of it.
pub(crate) fn find_base64(text: &str, encodings: usize, findings: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let mut index = 0;
    let mut run = Vec::new();
    while index < bytes.len() {
        if !is_base64(bytes[index]) {
            index += 1;
            continue;
        }
        let start = index;
        index = run_end(bytes, start);
        if index - start >= SHORTEST_RUN {
            run.clear();
            run.extend(
                bytes[start..index]
                    .iter()
                    .filter_map(|byte| standard(*byte)),
            );
            if let Some(finding) = find_in_run(&run, encodings) {
                let padding = bytes[index..]
                    .iter()
                    .take(2)
                    .take_while(|byte| **byte == b'=');
                let end = index + padding.count();
                findings.push(Finding {
                    range: start..end,
                    ..finding
                });
                index = end;
            }
        }
    }
}

/// Percent-encoding (RFC 3986) and `\u0040`: ASCII only, which is all that is looked for. Each
/// finding is just its own characters.
pub(crate) fn find_escaped(
    text: &str,
    bytes: Bytes,
    encodings: usize,
    findings: &mut Vec<Finding>,
) {
    let Some((decoded, origins)) = unescape(text) else {
        return;
    };
    for finding in find_within(&decoded, bytes, encodings) {
        let range = origins[finding.range.start]..origins[finding.range.end];
        findings.push(Finding { range, ..finding });
    }
}

/// The text, and for each of its bytes (and its end) where it came from. `None` without escapes.
fn unescape(text: &str) -> Option<(String, Vec<usize>)> {
    let first = text.find(['%', '\\'])?;
    text[first..]
        .match_indices(['%', '\\'])
        .find_map(|(index, _)| escape(&text.as_bytes()[first + index..]))?;
    let mut decoded = String::with_capacity(text.len());
    let mut origins = Vec::with_capacity(text.len() + 1);
    let mut index = 0;
    while let Some(character) = text[index..].chars().next() {
        let (character, length) =
            escape(&text.as_bytes()[index..]).unwrap_or((character, character.len_utf8()));
        origins.extend(std::iter::repeat_n(index, character.len_utf8()));
        decoded.push(character);
        index += length;
    }
    origins.push(text.len());
    Some((decoded, origins))
}

/// The ASCII character that the bytes start with in escaped form, and how long that form is.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let (digits, length) = match bytes {
        [b'%', high, low, ..] | [b'\\', b'x', high, low, ..] => {
            ([*high, *low], if bytes[0] == b'%' { 3 } else { 4 })
        }
        [b'\\', b'u', b'0', b'0', high, low, ..] => ([*high, *low], 6),
        [b'\\', b'/', ..] => return Some(('/', 2)),
        _ => return None,
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let code = u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?;
    code.is_ascii().then_some((char::from(code), length))
}

fn find_in_run(run: &[u8], encodings: usize) -> Option<Finding> {
    if run.len() < SHORTEST_MIXED_RUN {
        return starts_as_ascii(run)
            .then(|| decode(run))
            .flatten()
            .filter(|decoded| decoded.iter().all(|byte| is_text(*byte)))
            .and_then(|decoded| find_in_decoded(&decoded, encodings));
    }
    // What stands before the encoded text may be of base64's characters too (`path/…`).
    (0..4).find_map(|offset| {
        let decoded = decode(&run[offset..])?;
        find_in_decoded(&decoded, encodings)
    })
}

fn decode(run: &[u8]) -> Option<Vec<u8>> {
    let whole = run.len() - usize::from(run.len() % 4 == 1);
    LENIENT.decode(&run[..whole]).ok()
}

fn find_in_decoded(decoded: &[u8], encodings: usize) -> Option<Finding> {
    let ascii = decoded.iter().filter(|byte| matches!(byte, b' '..=b'~'));
    let is_text = std::str::from_utf8(decoded).is_ok() || ascii.count() * 2 > decoded.len();
    let mut all: Box<dyn Iterator<Item = Finding>> = if is_text {
        // What stood before the encoded text decodes to anything.
        let stretches = decoded.split(|byte| !self::is_text(*byte));
        let stretches = stretches.filter(|stretch| stretch.len() >= SHORTEST_TEXT);
        Box::new(stretches.flat_map(|stretch| {
            find_within(&String::from_utf8_lossy(stretch), Bytes::Text, encodings)
        }))
    } else {
        let text = String::from_utf8_lossy(decoded);
        Box::new(find_within(&text, Bytes::Binary, MOST_ENCODINGS).into_iter())
    };
    let first = all.next()?;
    let more = all.map(|finding| finding.more + 1).sum::<u32>() + first.more;
    Some(Finding {
        more,
        encoding: Encoding::Base64,
        ..first
    })
}

/// Any byte that UTF-8 text may have; of the controls only white space.
const fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..)
}

/// In base64 of ASCII the top bit of each byte is clear.
fn starts_as_ascii(run: &[u8]) -> bool {
    run.chunks_exact(4).all(|quad| {
        value(quad[0]) & 0x20 == 0 && value(quad[1]) & 0x08 == 0 && value(quad[2]) & 0x02 == 0
    })
}

fn run_end(bytes: &[u8], start: usize) -> usize {
    let mut index = start;
    loop {
        let line = index;
        while bytes.get(index).copied().is_some_and(is_base64) {
            index += 1;
        }
        let line_break = match bytes.get(index..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([b'\n', ..]) => 1,
            _ => return index,
        };
        let goes_on = bytes
            .get(index + line_break)
            .copied()
            .is_some_and(is_base64);
        if index - line < SHORTEST_WRAPPED_LINE || !goes_on {
            return index;
        }
        index += line_break;
    }
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The character in the standard alphabet; none for a line break.
const fn standard(byte: u8) -> Option<u8> {
    match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        b'\r' | b'\n' => None,
        byte => Some(byte),
    }
}

const fn value(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    }
}
