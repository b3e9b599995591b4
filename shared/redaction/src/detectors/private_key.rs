use super::{Detector, always};

/// RFC 7468 and PGP armour. A key whose end is missing is masked to the end of the text.
pub(super) const DETECTOR: Detector = Detector::secret(
    "private-key",
    &["PRIVATE KEY"],
    r"(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----|\z)",
    always,
);
