use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Detector;

/// RFC 7235 credentials in running text, with the schemes of RFC 6750 and RFC 7617.
pub(super) const DETECTOR: Detector = Detector::secret(
    "authorization",
    &["bearer", "basic"],
    r"(?i)(?-u:\b)(?:bearer|basic)[ \t]+(?P<value>[A-Za-z0-9._~+/=-]{6,})",
    is_credential,
);

/// Prose has "basic understanding" and "bearer certificates".
fn is_credential(value: &str) -> bool {
    let decoded = STANDARD.decode(value).unwrap_or_default();
    let is_user_and_password = decoded.contains(&b':') && decoded.is_ascii();
    let is_opaque = value.len() >= 8
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    is_user_and_password || is_opaque || value.len() >= 32
}
