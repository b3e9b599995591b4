use std::ops::Range;

use super::{Detector, Find, WhereFound};

/// ISO/IEC 7812 numbers of the large issuers, written as one or in their usual groups.
pub(super) const DETECTOR: Detector = Detector {
    name: "payment-card",
    hints: &[],
    find: Find::Scan(scan),
    where_found: WhereFound::InText,
};

const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// Groups of digits as cards show them.
const SHAPES: [&[usize]; 6] = [
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4],
    &[4, 4, 4, 1],
    &[4, 6, 5],
    &[4, 6, 4],
    &[6, 13],
];

/// Whether the digits alone are a card's number.
pub(crate) fn is_card_number(digits: &str) -> bool {
    (SHORTEST..=LONGEST).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && is_of_an_issuer(digits)
        && passes_luhn(digits)
}

fn scan(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut index = 0;
    while index < bytes.len() {
        if !bytes[index].is_ascii_digit() {
            index += 1;
            continue;
        }
        groups.clear();
        let separator = read_groups(bytes, index, &mut groups);
        index = groups.last().map_or(index + 1, |last| last.end);
        let starts_word = groups
            .first()
            .is_some_and(|first| first.start == 0 || !is_word(bytes[first.start - 1]));
        let ends_word = bytes.get(index).is_none_or(|next| !is_word(*next));
        let count = groups.len();
        let mut at = 0;
        while at < count {
            let touches_start = at == 0 && !starts_word;
            let length = matching_groups(text, &groups[at..], separator);
            let touches_end = at + length == count && !ends_word;
            if length > 0 && !touches_start && !touches_end {
                found(groups[at].start..groups[at + length - 1].end);
                at += length;
            } else {
                at += 1;
            }
        }
    }
}

/// Groups of digits with the same single separator between them, which is returned.
fn read_groups(bytes: &[u8], start: usize, groups: &mut Vec<Range<usize>>) -> Option<u8> {
    let mut separator = None;
    let mut index = start;
    loop {
        let first = index;
        while bytes.get(index).is_some_and(u8::is_ascii_digit) {
            index += 1;
        }
        groups.push(first..index);
        let next = bytes.get(index).copied();
        let joins = matches!(next, Some(b' ' | b'-' | b'.'))
            && bytes.get(index + 1).is_some_and(u8::is_ascii_digit)
            && (separator.is_none() || separator == next);
        if !joins {
            return separator;
        }
        separator = next;
        index += 1;
    }
}

/// How many groups, from the first, are a card's number: 0 for none.
fn matching_groups(text: &str, groups: &[Range<usize>], separator: Option<u8>) -> usize {
    let digits = |count: usize| -> String {
        groups[..count]
            .iter()
            .map(|group| &text[group.clone()])
            .collect()
    };
    let lengths: Vec<_> = groups.iter().take(5).map(Range::len).collect();
    for shape in SHAPES {
        if lengths.starts_with(shape) && is_card_number(&digits(shape.len())) {
            return shape.len();
        }
    }
    // Between dots it is a part of a decimal number or a version.
    let alone = separator != Some(b'.') && is_card_number(&digits(1));
    usize::from(alone)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Issuers' prefixes and lengths: Visa, Mastercard, American Express, Discover, Diners Club,
/// JCB, `UnionPay`, Maestro.
fn is_of_an_issuer(digits: &str) -> bool {
    let prefix = |length: usize| digits[..length].parse::<u32>().unwrap_or(0);
    let length = digits.len();
    match prefix(4) {
        4000..=4999 => matches!(length, 13 | 16 | 19),
        5100..=5599 | 2221..=2720 => length == 16,
        3400..=3499 | 3700..=3799 => length == 15,
        3000..=3059 | 3600..=3699 | 3800..=3999 => (14..=19).contains(&length),
        3528..=3589 | 6011 | 6200..=6299 | 6440..=6599 => (16..=19).contains(&length),
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => true,
        _ => false,
    }
}

/// ISO/IEC 7812-1, annex B.
fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let digit = u32::from(byte - b'0');
            match (index % 2, digit * 2) {
                (0, _) => digit,
                (_, doubled) if doubled > 9 => doubled - 9,
                (_, doubled) => doubled,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}
