use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A moment: nanoseconds since the Unix epoch, UTC. Good until the year 2554.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    pub const fn as_unix_nanos(self) -> u64 {
        self.0
    }

    pub const fn as_unix_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    pub const fn as_unix_seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// RFC 3339 with nanoseconds, as the API shows times.
    pub fn to_rfc3339(self) -> String {
        self.to_utc().to_rfc3339_opts(SecondsFormat::Nanos, true)
    }

    /// `None` for text that is not RFC 3339 or lies before 1970.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        u64::try_from(time.timestamp_nanos_opt()?).ok().map(Self)
    }

    pub fn to_utc(self) -> DateTime<Utc> {
        let seconds = i64::try_from(self.as_unix_seconds()).unwrap_or(i64::MAX);
        let nanos = u32::try_from(self.0 % 1_000_000_000).unwrap_or(0);
        DateTime::from_timestamp(seconds, nanos).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_rfc3339())
    }
}

/// Where the time comes from: the system, or a test's own hand.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`].
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(start.0))))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the system for the time"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
                Timestamp(0).plus(elapsed.unwrap_or_default())
            }
            Source::Manual(nanos) => Timestamp(nanos.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the system's clock is not ours to move.
    pub fn advance(&self, duration: Duration) {
        if let Source::Manual(nanos) = &self.0 {
            let step = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            nanos.fetch_add(step, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_keeps_nanoseconds() {
        let time = Timestamp::from_unix_nanos(1_700_000_000_123_456_789);
        assert_eq!(time.to_rfc3339(), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(Timestamp::parse_rfc3339(&time.to_rfc3339()), Some(time));
        assert_eq!(Timestamp::parse_rfc3339("1969-12-31T23:59:59Z"), None);
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(Timestamp::from_unix_millis(5));
        let other = clock.clone();
        clock.advance(Duration::from_millis(2));
        assert_eq!(other.now().as_unix_millis(), 7);
    }
}
