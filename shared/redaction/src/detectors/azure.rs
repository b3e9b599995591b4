use super::{Detector, always};

/// The signature of a shared access signature URL; account keys are found by their name.
pub(super) const DETECTOR: Detector = Detector::secret(
    "azure-signature",
    &["sig="],
    r"[?&;]sig=(?P<value>[A-Za-z0-9%+/=_-]{20,})",
    always,
);
