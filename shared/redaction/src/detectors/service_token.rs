use super::{Detector, always};

/// npm, `PyPI`, `SendGrid`, `DigitalOcean`, Shopify and age: told by their form alone.
pub(super) const DETECTOR: Detector = Detector::secret(
    "service-token",
    &[
        "npm_",
        "pypi-AgE",
        "SG.",
        "dop_v1_",
        "shpat_",
        "AGE-SECRET-KEY-",
    ],
    r"(?-u:\b)(?:npm_[A-Za-z0-9]{36}|pypi-AgE[A-Za-z0-9_-]{40,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|dop_v1_[a-f0-9]{64}|shpat_[a-fA-F0-9]{32}|AGE-SECRET-KEY-1[A-Z0-9]{50,})",
    always,
);
