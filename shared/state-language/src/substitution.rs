//! Definition substitutions of SAM and AWS: `${Name}` in a
//! definition's text stands for a value of the deployment.

use std::collections::BTreeMap;

/// Names that a definition uses and nobody gave a value for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value for {}; add each to DefinitionSubstitutions", .missing.iter().map(|name| format!("${{{name}}}")).collect::<Vec<_>>().join(", "))]
pub struct MissingSubstitutions {
    pub missing: Vec<String>,
}

/// Puts each `${Name}`'s value in its place, escaped as inside a JSON string. What does not have the
/// form of a name (letters, digits and `_`) between the braces is left alone.
pub fn substitute(
    text: &str,
    values: &BTreeMap<String, String>,
) -> Result<String, MissingSubstitutions> {
    let mut result = String::with_capacity(text.len());
    let mut missing: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        result.push_str(before);
        match after.split_once('}').filter(|(name, _)| is_name(name)) {
            None => {
                result.push_str("${");
                rest = after;
            }
            Some((name, behind)) => {
                match values.get(name) {
                    Some(value) => {
                        let escaped = serde_json::Value::from(value.as_str()).to_string();
                        result.push_str(&escaped[1..escaped.len() - 1]);
                    }
                    None if missing.iter().any(|known| known == name) => {}
                    None => missing.push(name.to_owned()),
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
    text.split("${").skip(1).find_map(|after| {
        after
            .split_once('}')
            .map(|(name, _)| name)
            .filter(|name| is_name(name))
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &[&str]>) {
        let values = [
            ("Function", "arn:aws:lambda"),
            ("Max", "3"),
            ("Quote", "a\"b\\"),
        ];
        let values = values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let expected = expected
            .map(str::to_owned)
            .map_err(|names| MissingSubstitutions {
                missing: names.iter().map(|name| (*name).to_owned()).collect(),
            });
        assert_eq!(substitute(text, &values), expected, "{text}");
    }

    #[test]
    fn names_get_their_values() {
        check(r#""${Function}:live""#, Ok(r#""arn:aws:lambda:live""#));
        check("${Max}${Max}", Ok("33"));
        check(r#""${Quote}""#, Ok(r#""a\"b\\""#));
        check("${", Ok("${"));
        check("a ${not a name} ${Max", Ok("a ${not a name} ${Max"));
        check("$${Max}é", Ok("$3é"));
    }

    #[test]
    fn missing_names_are_all_told_once() {
        check("${A} ${Max} ${B} ${A}", Err(&["A", "B"]));
        let error = substitute("${A} ${B}", &BTreeMap::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no value for ${A}, ${B}; add each to DefinitionSubstitutions"
        );
    }
}
