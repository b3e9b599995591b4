use super::{Detector, always};

/// Secret and restricted keys, and webhook secrets; `pk_` keys are public.
pub(super) const DETECTOR: Detector = Detector::secret(
    "stripe-key",
    &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"],
    r"(?-u:\b)(?:[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/]{20,}=*)",
    always,
);
