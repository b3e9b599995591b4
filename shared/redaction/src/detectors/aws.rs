use super::{Detector, always};

/// IAM's unique identifiers: AKIA for long-term keys, ASIA for temporary ones, ABIA and ACCA for
/// service credentials.
pub(super) const ACCESS_KEY: Detector = Detector::secret(
    "aws-access-key-id",
    &["AKIA", "ASIA", "ABIA", "ACCA"],
    r"(?-u:\b)(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?-u:\b)",
    always,
);

/// 40 characters that could be anything, so only near what says so: AWS's own names, or an
/// access key id.
pub(super) const SECRET_KEY: Detector = Detector::secret(
    "aws-secret-access-key",
    &["AKIA", "ASIA", "aws", "secret"],
    r"(?s)(?:(?i:aws|secret).{0,60}?|(?:AKIA|ASIA)[A-Z0-9]{16}.{1,60}?)[^A-Za-z0-9/+](?P<value>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|\z)",
    is_random,
);

/// A commit's hash has 40 hex digits, and a path has words.
fn is_random(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_uppercase())
        && value.bytes().any(|byte| byte.is_ascii_lowercase())
        && value.bytes().any(|byte| byte.is_ascii_digit())
}
