use std::time::Duration;

use trace_model::Timestamp;

/// A collector that asks for more has its clock wrong, or its unit.
const LONGEST: Duration = Duration::from_hours(1);

/// RFC 9110, 10.2.3: seconds, or an HTTP date. `None` for anything else.
pub(crate) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let date = Timestamp::from_unix_nanos(0).plus(since_epoch);
    Some(date.since(now).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<u64>) {
        let now = Timestamp::parse_rfc3339("2026-03-01T12:00:00Z").unwrap();
        assert_eq!(
            parse(value, now).map(|delay| delay.as_secs()),
            expected,
            "{value:?}"
        );
    }

    #[test]
    fn seconds_and_dates_are_understood_and_bounded() {
        check("7", Some(7));
        check(" 0 ", Some(0));
        check("600", Some(600));
        check("99999999999999999999999", Some(3600));
        check("Sun, 01 Mar 2026 12:00:09 GMT", Some(9));
        check("Sun, 01 Mar 2026 11:00:00 GMT", Some(0));
        check("Sun, 01 Mar 2099 12:00:00 GMT", Some(3600));
        for bad in ["", "soon", "-1", "1.5", "2026-03-01T12:00:00Z"] {
            check(bad, None);
        }
    }
}
