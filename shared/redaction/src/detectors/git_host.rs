use super::{Detector, always};

/// Prefixes as GitHub and GitLab document them for their personal, application, runner and
/// deploy tokens.
pub(super) const DETECTOR: Detector = Detector::secret(
    "git-host-token",
    &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "gl"],
    r"(?-u:\b)(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}|gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat)-[A-Za-z0-9_.-]{20,})",
    always,
);
