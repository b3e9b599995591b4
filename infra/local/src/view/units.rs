use std::time::Duration;

/// `812 µs`, `31 ms`, `1.42 s`, `3 min 05 s`, `2 h 10 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    let seconds = duration.as_secs();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        10_000..999_500 => format!("{:.0} ms", duration.as_secs_f64() * 1e3),
        999_500..59_995_000 => format!("{:.2} s", duration.as_secs_f64()),
        _ if seconds < 3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// `512 → 40 tok`, and what is unknown as `?`.
pub(crate) fn tokens(input: Option<u64>, output: Option<u64>) -> Option<String> {
    let shown = |count: Option<u64>| count.map_or("?".to_owned(), grouped);
    (input.is_some() || output.is_some())
        .then(|| format!("{} → {} tok", shown(input), shown(output)))
}

/// Dollars with the digits that matter: `$0`, `$0.000123`, `$1.25`.
pub(crate) fn cost(usd: f64) -> String {
    if usd == 0.0 {
        return "$0".to_owned();
    }
    let digits = if usd >= 0.1 { 2 } else { 6 };
    format!("${usd:.digits$}")
}

fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_at_a_glance() {
        let check = |micros, expected: &str| {
            assert_eq!(duration(Duration::from_micros(micros)), expected);
        };
        check(0, "0 µs");
        check(812, "812 µs");
        check(5_230, "5.2 ms");
        check(31_400, "31 ms");
        check(999_600, "1.00 s");
        check(1_420_000, "1.42 s");
        check(185_000_000, "3 min 05 s");
        check(7_800_000_000, "2 h 10 min");
    }

    #[test]
    fn unknown_is_not_zero() {
        assert_eq!(tokens(Some(12_512), None).unwrap(), "12,512 → ? tok");
        assert_eq!(tokens(None, None), None);
        assert_eq!(cost(0.0), "$0");
        assert_eq!(cost(0.000_123), "$0.000123");
        assert_eq!(cost(1.25), "$1.25");
    }
}
