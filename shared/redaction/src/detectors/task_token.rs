use super::{Detector, always};

/// A Step Functions task token: whoever has it may answer for the task. They begin with the
/// base64 of an encrypted data key's header.
pub(super) const DETECTOR: Detector = Detector::secret(
    "task-token",
    &["AAAAKgAAAA"],
    r"(?:AQC[A-Za-z0-9+/]{1,4})?A*AAAAKgAAAA[A-Za-z0-9+/_-]{40,}=*",
    always,
);
