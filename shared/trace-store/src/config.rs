use std::time::Duration;

/// Where traces lie and how long.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    pub table: String,
    pub bucket: String,
    /// How long a trace stays readable after its last write. The bucket's lifecycle must keep
    /// objects two days longer, because a stored body may be up to a day older than the
    /// structure that points to it.
    pub retention: Duration,
}

impl StoreConfig {
    /// Thirty days: what most teams look back.
    pub const DEFAULT_RETENTION: Duration = Duration::from_hours(30 * 24);

    pub fn new(table: impl Into<String>, bucket: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            bucket: bucket.into(),
            retention: Self::DEFAULT_RETENTION,
        }
    }
}
