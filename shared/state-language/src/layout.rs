//! Where the parts of a JSON text stand in it, and which keys it has twice:
//! what is lost once it is a value.

use std::collections::{HashMap, HashSet};

/// Of a text that is known to be JSON.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// By path: the byte where the member's key begins, or the array's item.
    offsets: HashMap<String, usize>,
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

/// Line and column, from 1, of a byte of a text.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// The path of a member: `States.Classify`, or `States["Look up"]`.
pub(crate) fn member(path: &str, key: &str) -> String {
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
    fn duplicates_are_found() {
        let duplicates = Layout::of(TEXT).duplicates;
        assert_eq!(duplicates.len(), 1);
        assert_eq!(duplicates[0].0, "a");
        assert_eq!(line_and_column(TEXT, duplicates[0].1), (4, 3));
    }
}
