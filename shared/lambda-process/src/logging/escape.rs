use std::fmt::Write;

/// Characters that move the cursor, start a line, or reorder what a reader sees.
const fn is_dangerous(character: char) -> bool {
    matches!(
        character,
        // C0, delete and C1 (U+009B alone starts an ANSI sequence)
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // line and paragraph separators
        | '\u{2028}' | '\u{2029}'
        // bidirectional marks, embeddings, overrides and isolates
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        // byte order mark and zero-width space
        | '\u{feff}' | '\u{200b}'
    )
}

/// Of one serialised JSON object: the dangerous can only stand inside strings, where `\uXXXX`
/// means the same. All of them take one UTF-16 unit.
pub(crate) fn json_line(json: &str) -> String {
    escaped(json, |line, character| {
        write!(line, "\\u{:04x}", u32::from(character))
    })
}

/// Of one line for a terminal.
pub(super) fn text_line(text: &str) -> String {
    escaped(text, |line, character| match character {
        '\n' => write!(line, "\\n"),
        '\r' => write!(line, "\\r"),
        '\t' => write!(line, "\\t"),
        other => write!(line, "\\u{{{:x}}}", u32::from(other)),
    })
}

fn escaped(text: &str, escape: impl Fn(&mut String, char) -> std::fmt::Result) -> String {
    let mut line = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if is_dangerous(character) {
            // Writing to a string does not fail.
            let _ = escape(&mut line, character);
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    proptest! {
        #[test]
        fn an_escaped_json_line_reads_back_the_same(value in any::<String>()) {
            let json = Value::String(value).to_string();
            let line = json_line(&json);
            prop_assert!(!line.chars().any(is_dangerous));
            let read: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read, serde_json::from_str::<Value>(&json).unwrap());
        }

        #[test]
        fn an_escaped_text_line_is_one_harmless_line(value in any::<String>()) {
            prop_assert!(!text_line(&value).chars().any(is_dangerous));
        }
    }
}
