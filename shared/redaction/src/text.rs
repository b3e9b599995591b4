use std::fmt;

use crate::marker;

/// Text that has been through a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactedText {
    text: String,
    redactions: u32,
}

impl RedactedText {
    pub(crate) const fn new(text: String, redactions: u32) -> Self {
        Self { text, redactions }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn into_string(self) -> String {
        self.text
    }

    /// The beginning, for where a text must be short; `None` when it has no more characters
    /// than that. To be taken of text that was masked whole: half a secret is not known as one,
    /// and half an object does not say whose value a text is. A marker is kept whole or left out.
    pub fn beginning(&self, most_characters: usize) -> Option<&str> {
        let (end, _) = self.text.char_indices().nth(most_characters)?;
        let beginning = &self.text[..end];
        let starts = self.text.match_indices(marker::START);
        let last = starts
            .map(|(start, _)| start)
            .take_while(|start| *start < end);
        let cut = last.last().filter(|start| {
            marker::length_at_start(&self.text[*start..]).is_some_and(|length| start + length > end)
        });
        Some(cut.map_or(beginning, |start| &beginning[..start]))
    }

    /// The first line that is not blank, without the space around it.
    #[must_use]
    pub fn first_line(&self) -> Option<Self> {
        let mut lines = self.text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty())?;
        Some(Self::new(line.to_owned(), self.redactions))
    }

    pub const fn redactions(&self) -> u32 {
        self.redactions
    }
}

impl fmt::Display for RedactedText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use crate::Policy;

    fn check(text: &str, most_characters: usize, expected: Option<&str>) {
        let masked = Policy::standard().redact_text(text);
        assert_eq!(masked.beginning(most_characters), expected, "{text}");
    }

    #[test]
    fn the_beginning_holds_no_part_of_a_secret_or_a_marker() {
        check("short", 5, None);
        check("longer", 5, Some("longe"));
        check("äöüß", 3, Some("äöü"));
        check("key AKIAIOSFODNN7EXAMPLE is", 22, Some("key "));
        check("to ann@example.com, now", 19, Some("to [REDACTED:email]"));
        check(
            r#"{"credentials": {"code": "hunter22"}, "more": "words and words"}"#,
            60,
            Some(r#"{"credentials": {"code": "[REDACTED:named-secret]"}, "more":"#),
        );
    }
}
