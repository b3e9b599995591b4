//! Definition substitutions of SAM and AWS: `${Name}` in a
//! definition's text stands for a value of the deployment.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::expression::OPENING;
use crate::layout::line_and_column;

/// A name that a definition uses and nobody gave a value for, and where it does so first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: no value for ${{{name}}}")]
pub struct MissingSubstitution {
    pub name: String,
    /// Both from 1.
    pub line: usize,
    pub column: usize,
}

/// All of them, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; give each a value among the definition substitutions", .missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct MissingSubstitutions {
    pub missing: Vec<MissingSubstitution>,
}

/// Puts each `${Name}`'s value in its place, escaped as inside a JSON string. What does not have the
/// form of a name (letters, digits and `_`) between the braces is left alone.
pub fn substitute(
    text: &str,
    values: &BTreeMap<String, String>,
) -> Result<String, MissingSubstitutions> {
    let mut result = String::with_capacity(text.len());
    let mut missing: Vec<MissingSubstitution> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        result.push_str(before);
        match name_before_brace(after) {
            None => {
                result.push_str("${");
                rest = after;
            }
            Some(name) => {
                let behind = &after[name.len() + 1..];
                match values.get(name) {
                    Some(value) => {
                        let escaped = serde_json::Value::from(value.as_str()).to_string();
                        result.push_str(&escaped[1..escaped.len() - 1]);
                    }
                    None if missing.iter().any(|known| known.name == name) => {}
                    None => {
                        let offset = text.len() - rest.len() + start;
                        let (line, column) = line_and_column(text, offset);
                        let name = name.to_owned();
                        missing.push(MissingSubstitution { name, line, column });
                    }
                }
                rest = behind;
            }
        }
    }
    result.push_str(rest);
    if missing.is_empty() {
        Ok(result)
    } else {
        Err(MissingSubstitutions { missing })
    }
}

/// The first `${Name}` of a text.
pub(crate) fn first_substitution(text: &str) -> Option<&str> {
    text.split("${").skip(1).find_map(name_before_brace)
}

/// Stands for a value outside of strings, being the shortest string there is no other use for.
const OPEN_VALUE: &str = "\u{80}";

/// The text with each `${Name}` as something that can be read and takes as many bytes: outside of
/// strings a string of [`OPEN_VALUE`], in an expression the number 1, and in other strings itself.
pub(crate) fn left_open(text: &str) -> Cow<'_, str> {
    if first_substitution(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut within = Within::Nothing;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let name = rest.strip_prefix("${").and_then(name_before_brace);
        let length = match (name, within) {
            (Some(name), Within::Nothing) => {
                let padding = " ".repeat(name.len() - 1);
                result.extend(["\"", OPEN_VALUE, "\"", &padding]);
                name.len() + "${}".len()
            }
            (Some(name), Within::Expression) => {
                let padding = " ".repeat(name.len() + "${}".len() - 1);
                result.extend(["1", &padding]);
                name.len() + "${}".len()
            }
            _ => {
                let length = if character == '\\' && within != Within::Nothing {
                    let escaped = rest[1..].chars().next();
                    1 + escaped.map_or(0, char::len_utf8)
                } else {
                    character.len_utf8()
                };
                result.push_str(&rest[..length]);
                if character == '"' {
                    within = match within {
                        Within::Nothing if rest[1..].starts_with(OPENING) => Within::Expression,
                        Within::Nothing => Within::Text,
                        Within::Text | Within::Expression => Within::Nothing,
                    };
                }
                length
            }
        };
        rest = &rest[length..];
    }
    Cow::Owned(result)
}

#[derive(Clone, Copy, PartialEq)]
enum Within {
    Nothing,
    Text,
    Expression,
}

/// Whether a string of a text that was [`left_open`] is a value to come, or holds one.
pub(crate) fn is_open(text: &str) -> bool {
    text == OPEN_VALUE || first_substitution(text).is_some()
}

/// The `Name` of `Name}…`.
fn name_before_brace(text: &str) -> Option<&str> {
    let end =
        text.find(|character: char| !character.is_ascii_alphanumeric() && character != '_')?;
    let (name, rest) = text.split_at(end);
    (!name.is_empty() && rest.starts_with('}')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let values = [
            ("Function", "arn:aws:lambda"),
            ("Max", "3"),
            ("Quote", "a\"b\\"),
        ];
        let values = values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(substitute(text, &values).as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn names_get_their_values() {
        check(r#""${Function}:live""#, r#""arn:aws:lambda:live""#);
        check("${Max}${Max}", "33");
        check(r#""${Quote}""#, r#""a\"b\\""#);
        check("${", "${");
        check("a ${not a name} ${Max", "a ${not a name} ${Max");
        check("$${Max}é", "$3é");
    }

    #[test]
    fn missing_names_are_all_told_once_with_their_place() {
        let error = substitute("${A}\n é ${B} ${A}", &BTreeMap::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "1:1: no value for ${A}\n2:4: no value for ${B}; give each a value among the definition substitutions"
        );
    }

    #[test]
    fn what_is_left_open_can_be_read_and_is_as_long() {
        for (text, expected) in [
            (r#"{"a": ${F}}"#, "{\"a\": \"\u{80}\"}"),
            (
                r#"{"a": ${Max}, "b": "x${Max}"}"#,
                "{\"a\": \"\u{80}\"  , \"b\": \"x${Max}\"}",
            ),
            (
                r#"["\"${F}", "{% ${F} + 1 %}"]"#,
                r#"["\"${F}", "{% 1    + 1 %}"]"#,
            ),
            ("[\"\\\\\", ${é}]", "[\"\\\\\", ${é}]"),
            ("nothing", "nothing"),
        ] {
            let open = left_open(text);
            assert_eq!(open, expected, "{text}");
            assert_eq!(open.len(), text.len(), "{text}");
        }
    }
}
