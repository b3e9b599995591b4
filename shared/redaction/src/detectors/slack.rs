use super::{Detector, always};

/// Tokens, app tokens, and the webhook URLs that need nothing else.
pub(super) const DETECTOR: Detector = Detector::secret(
    "slack-token",
    &["xox", "xapp-", "hooks.slack.com"],
    r"(?-u:\b)(?:xox[a-z](?:\.[a-z]+)?-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/(?:services|workflows|triggers)/(?P<value>[A-Za-z0-9/_-]{10,}))",
    always,
);
