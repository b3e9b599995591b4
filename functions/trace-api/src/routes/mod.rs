//! One file per resource.

pub(crate) mod approvals;
pub(crate) mod artifacts;
pub(crate) mod content;
pub(crate) mod control;
pub(crate) mod executions;
pub(crate) mod me;
pub(crate) mod spans;
pub(crate) mod trace;
pub(crate) mod workflows;

/// Bytes of JSON that an answer's list may take before the page ends. Lambda carries 6 MB: as
/// it stands for text, 4.4 MB once base64 has grown a compressed body.
pub(crate) const LARGEST_PAGE: usize = 4_000_000;
