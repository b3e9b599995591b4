//! A point in time as a person gives it.

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use trace_model::Timestamp;

/// `24h`, counted back from now, or a time in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Ago(Duration),
    At(Timestamp),
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected how long ago, such as 90m, 24h or 7d, or a time such as 2026-03-01T12:00:00Z")]
pub(crate) struct NoMoment;

impl Moment {
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => now.minus(duration),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        if let Some(time) = Timestamp::parse_rfc3339(text) {
            return Ok(Self::At(time));
        }
        let unit_at = text
            .find(|letter: char| !letter.is_ascii_digit())
            .ok_or(NoMoment)?;
        let (count, unit) = text.split_at(unit_at);
        let count: u64 = count.parse().map_err(|_| NoMoment)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(NoMoment),
        };
        let seconds = count.checked_mul(seconds).ok_or(NoMoment)?;
        Ok(Self::Ago(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ages_and_times() {
        let now = Timestamp::parse_rfc3339("2026-03-02T12:00:00Z").unwrap();
        let check = |text: &str, expected: Option<&str>| {
            let found = text.parse::<Moment>().ok().map(|moment| moment.at(now));
            let expected = expected.map(|time| Timestamp::parse_rfc3339(time).unwrap());
            assert_eq!(found, expected, "{text:?}");
        };
        check("24h", Some("2026-03-01T12:00:00Z"));
        check("7d", Some("2026-02-23T12:00:00Z"));
        check("90m", Some("2026-03-02T10:30:00Z"));
        check("0s", Some("2026-03-02T12:00:00Z"));
        check("2026-01-01T00:00:00+01:00", Some("2025-12-31T23:00:00Z"));
        for bad in [
            "",
            "h",
            "24",
            "-1h",
            "1.5h",
            "1w",
            "24 h",
            "2026-01-01",
            "99999999999999999999d",
        ] {
            check(bad, None);
        }
    }
}
