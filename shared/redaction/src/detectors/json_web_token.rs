use super::{Detector, always};

/// RFC 7515 and 7516 in their compact form: `{"` in base64url begins with `eyJ`.
pub(super) const DETECTOR: Detector = Detector::secret(
    "json-web-token",
    &["eyJ"],
    r"(?-u:\b)eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){2,4}",
    always,
);
