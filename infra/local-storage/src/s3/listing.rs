//! `ListObjectsV2`: keys in order of their UTF-8 bytes, folded at a delimiter, page by page.

use rusqlite::{Connection, params};
use s3s::{S3Result, s3_error};

use super::{index, index_failed};

/// S3's own limit of a page.
const PAGE_KEYS: usize = 1_000;

pub(super) struct Listed {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified_at: i64,
}

#[derive(Default)]
pub(super) struct Page {
    pub(super) objects: Vec<Listed>,
    pub(super) common_prefixes: Vec<String>,
    pub(super) next_token: Option<String>,
}

pub(super) struct Listing {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    pub(super) start_after: Option<String>,
    pub(super) token: Option<String>,
    pub(super) max_keys: usize,
}

impl Listing {
    pub(super) fn read(&self, connection: &Connection) -> S3Result<Page> {
        index::expect_bucket(connection, &self.bucket)?;
        let limit = self.max_keys.min(PAGE_KEYS);
        let mut page = Page::default();
        if limit == 0 {
            return Ok(page);
        }
        let mut from = Some(self.first_key()?);
        while let Some(start) = from.take() {
            let mut statement = connection
                .prepare_cached(
                    "SELECT key, size, etag, modified_at FROM objects WHERE bucket = ?1 AND key >= ?2 ORDER BY key",
                )
                .map_err(index_failed)?;
            let mut rows = statement
                .query(params![self.bucket, start])
                .map_err(index_failed)?;
            while let Some(row) = rows.next().map_err(index_failed)? {
                let key: String = row.get(0).map_err(index_failed)?;
                let Some(rest) = key.strip_prefix(&self.prefix) else {
                    break;
                };
                if page.objects.len() + page.common_prefixes.len() == limit {
                    // A token is the key to go on at, so nothing is lost when it is deleted.
                    page.next_token = Some(hex::encode(&key));
                    return Ok(page);
                }
                if let Some(folded) = self.folded(rest) {
                    from = successor(&folded);
                    page.common_prefixes.push(folded);
                    break;
                }
                let listed = || {
                    Ok(Listed {
                        key: key.clone(),
                        size: row.get(1)?,
                        etag: row.get(2)?,
                        modified_at: row.get(3)?,
                    })
                };
                page.objects.push(listed().map_err(index_failed)?);
            }
        }
        Ok(page)
    }

    fn first_key(&self) -> S3Result<String> {
        let start = match (&self.token, &self.start_after) {
            (Some(token), _) => hex::decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| {
                    s3_error!(
                        InvalidArgument,
                        "The continuation token provided is incorrect"
                    )
                })?,
            // The first string after another is that string and a NUL.
            (None, Some(start_after)) => format!("{start_after}\0"),
            (None, None) => String::new(),
        };
        Ok(start.max(self.prefix.clone()))
    }

    /// The common prefix that a key falls under.
    fn folded(&self, rest: &str) -> Option<String> {
        let delimiter = self
            .delimiter
            .as_deref()
            .filter(|delimiter| !delimiter.is_empty())?;
        let end = rest.find(delimiter)? + delimiter.len();
        Some(format!("{}{}", self.prefix, &rest[..end]))
    }
}

/// The first string after all that begin with `prefix`; `None` when there is none.
fn successor(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // A range of characters steps over the surrogates by itself.
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// Percent-encodes all but what an S3 listing leaves as it is.
pub(super) fn url_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_is_after_all_that_begin_with_it() {
        let check = |prefix: &str, expected: Option<&str>| {
            assert_eq!(successor(prefix).as_deref(), expected);
        };
        check("a/", Some("a0"));
        check("a\u{d7ff}", Some("a\u{e000}"));
        check("a\u{10ffff}", Some("b"));
        check("\u{10ffff}", None);
    }
}
