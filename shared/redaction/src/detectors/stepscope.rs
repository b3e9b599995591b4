use super::{Detector, always};

/// Our own API keys, in the form that `identity` gives them: tenant, id and secret.
pub(super) const DETECTOR: Detector = Detector::secret(
    "stepscope-key",
    &["stepscope_"],
    r"(?-u:\b)stepscope_[a-z0-9][a-z0-9_-]{0,62}_[0-9a-f]{16}_[0-9a-f]{64}",
    always,
);
