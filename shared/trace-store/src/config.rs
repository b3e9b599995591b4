use std::time::Duration;

use lambda_process::{Config, ConfigError};

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

    #[must_use]
    pub fn kept_for_days(mut self, days: u32) -> Self {
        self.retention = Duration::from_hours(24) * days;
        self
    }
}

impl TryFrom<&Config> for StoreConfig {
    type Error = ConfigError;

    fn try_from(config: &Config) -> Result<Self, ConfigError> {
        let stored_at = Self::new(config.table()?, config.bucket()?);
        Ok(stored_at.kept_for_days(config.retention_days))
    }
}
