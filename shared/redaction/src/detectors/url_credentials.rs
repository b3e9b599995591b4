use super::{Detector, always};

pub(crate) const NAME: &str = "url-credentials";

/// RFC 3986 userinfo with a password, as in database URLs. A user alone, as in
/// `ssh://git@host`, is none.
pub(super) const DETECTOR: Detector = Detector::secret(
    NAME,
    &["://"],
    r#"(?-u:\b)[A-Za-z][A-Za-z0-9+.-]{0,30}://(?P<value>[^\s/?\#"'<>:]*:[^\s/?\#"'<>]+)@"#,
    always,
);
