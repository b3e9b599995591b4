//! Where the parts of a JSON text stand in it, and which keys it has twice:
//! what is lost once it is a value.

use std::collections::{HashMap, HashSet};

/// Of a text that is known to be JSON.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// By path: the byte where the member's key begins, or the array's item.
    offsets: HashMap<String, usize>,
    /// By path: the byte where the value begins.
    values: HashMap<String, usize>,
    /// Path and byte of keys that an object has already had.
    pub(crate) duplicates: Vec<(String, usize)>,
}

impl Layout {
    pub(crate) fn of(text: &str) -> Self {
        let mut scanner = Scanner {
            text,
            position: 0,
            layout: Self::default(),
        };
        scanner.value("");
        scanner.layout
    }

    /// The byte at which a path begins, or else the nearest part around it.
    pub(crate) fn offset(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(offset) = self.offsets.get(path) {
                return *offset;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 0,
            }
        }
    }
}

/// The byte of a character of the string at `path`, both counted from 0 and escapes undone; where the
/// path begins when there is no such string.
pub(crate) fn offset_in_string(text: &str, layout: &Layout, path: &str, character: usize) -> usize {
    let start = layout.values.get(path).copied().unwrap_or_default();
    let Some(literal) = text.get(start..).and_then(|rest| rest.strip_prefix('"')) else {
        return layout.offset(path);
    };
    let mut position = 0;
    for _ in 0..character {
        match literal.as_bytes().get(position) {
            None | Some(b'"') => break,
            Some(b'\\') => position += escape_length(&literal[position..]),
            Some(_) => {
                let next = literal[position..].chars().next();
                position += next.map_or(1, char::len_utf8);
            }
        }
    }
    start + 1 + position
}

/// The bytes of an escape; the two halves of a surrogate pair are one.
fn escape_length(text: &str) -> usize {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    match unit(text) {
        None => 2,
        Some(0xd800..=0xdbff) if text.get(6..).and_then(unit).is_some() => 12,
        Some(_) => 6,
    }
}

/// Line and column, from 1, of a byte of a text.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// The path of a member: `States.Classify`, or `States["Look up"]`.
pub fn member(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|character| character.is_alphanumeric() || "_-".contains(character));
    match (path.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key:?}]"),
    }
}

/// The path of an array's item.
pub(crate) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

struct Scanner<'t> {
    text: &'t str,
    position: usize,
    layout: Layout,
}

impl Scanner<'_> {
    fn value(&mut self, path: &str) {
        self.skip_space();
        self.layout
            .values
            .entry(path.to_owned())
            .or_insert(self.position);
        self.layout
            .offsets
            .entry(path.to_owned())
            .or_insert(self.position);
        match self.current() {
            Some(b'{') => self.object(path),
            Some(b'[') => self.array(path),
            Some(b'"') => {
                self.string();
            }
            _ => self.scalar(),
        }
    }

    fn object(&mut self, path: &str) {
        let mut keys = HashSet::new();
        self.position += 1;
        loop {
            self.skip_space();
            if self.current() != Some(b'"') {
                break;
            }
            let start = self.position;
            let key = self.string();
            let path = member(path, &key);
            if keys.insert(key) {
                self.layout.offsets.insert(path.clone(), start);
            } else {
                self.layout.duplicates.push((path.clone(), start));
            }
            self.skip_space();
            self.position += 1; // the colon
            self.value(&path);
            self.skip_space();
            if self.current() != Some(b',') {
                break;
            }
            self.position += 1;
        }
        self.position += 1;
    }

    fn array(&mut self, path: &str) {
        self.position += 1;
        self.skip_space();
        if self.current() != Some(b']') {
            for index in 0.. {
                self.value(&item(path, index));
                self.skip_space();
                if self.current() != Some(b',') {
                    break;
                }
                self.position += 1;
            }
        }
        self.position += 1;
    }

    fn string(&mut self) -> String {
        let start = self.position;
        self.position += 1;
        while let Some(byte) = self.current() {
            self.position += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
        self.text
            .get(start..self.position)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    fn scalar(&mut self) {
        while self
            .current()
            .is_some_and(|byte| !b",]} \t\r\n".contains(&byte))
        {
            self.position += 1;
        }
    }

    fn skip_space(&mut self) {
        while self
            .current()
            .is_some_and(|byte| byte.is_ascii_whitespace())
        {
            self.position += 1;
        }
    }

    fn current(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "{\n  \"a\": [1, {\"b c\": \"}\\\"\"}],\n  \"d\": {}, \"é\": [],\n  \"a\": 2\n}";

    #[track_caller]
    fn check(path: &str, expected: (usize, usize)) {
        assert_eq!(
            line_and_column(TEXT, Layout::of(TEXT).offset(path)),
            expected,
            "{path}"
        );
    }

    #[test]
    fn parts_are_found() {
        check("", (1, 1));
        check("a", (2, 3));
        check("a[0]", (2, 9));
        check("a[1]", (2, 12));
        check("a[1][\"b c\"]", (2, 13));
        check("d", (3, 3));
        check("é", (3, 12));
    }

    #[test]
    fn what_is_absent_is_where_it_would_be() {
        check("d.missing.more", (3, 3));
        check("nowhere", (1, 1));
    }

    #[test]
    fn a_character_of_a_string_is_found() {
        let text = "{\"a\":\n \"x\\n\\u00e9\\ud83d\\ude00é!\"}";
        let layout = Layout::of(text);
        let places: Vec<_> = [0, 1, 2, 3, 4, 5, 6, 60]
            .map(|character| {
                line_and_column(text, offset_in_string(text, &layout, "a", character)).1
            })
            .into();
        assert_eq!(places, [3, 4, 6, 12, 24, 25, 26, 26]);
        assert_eq!(offset_in_string(text, &layout, "", 3), 0);
    }

    #[test]
    fn duplicates_are_found() {
        let duplicates = Layout::of(TEXT).duplicates;
        assert_eq!(duplicates.len(), 1);
        assert_eq!(duplicates[0].0, "a");
        assert_eq!(line_and_column(TEXT, duplicates[0].1), (4, 3));
    }
}
