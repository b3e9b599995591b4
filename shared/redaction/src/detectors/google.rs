use super::{Detector, always};

/// API keys, OAuth access tokens and OAuth client secrets.
pub(super) const DETECTOR: Detector = Detector::secret(
    "google-key",
    &["AIza", "ya29.", "GOCSPX-"],
    r"(?-u:\b)(?:AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,})",
    always,
);
