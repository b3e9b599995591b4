use std::fmt;

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

    pub const fn redactions(&self) -> u32 {
        self.redactions
    }
}

impl fmt::Display for RedactedText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
