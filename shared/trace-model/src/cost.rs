use std::fmt;

use serde::{Deserialize, Serialize};

/// US dollars, exact to 10^-12: prices per million tokens are whole numbers of it, so sums
/// have no rounding. Reaches to 9 million dollars.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Cost {
    pub pico_usd: i64,
}

const PICO_PER_USD: u64 = 1_000_000_000_000;

impl Cost {
    pub const ZERO: Self = Self { pico_usd: 0 };

    pub const fn from_pico_usd(pico_usd: i64) -> Self {
        Self { pico_usd }
    }

    /// For reading and for charts; sums are made of `pico_usd`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond 2^53 picodollars, 9,007 dollars, the last digits are not for reading"
    )]
    pub fn to_usd_f64(self) -> f64 {
        self.pico_usd as f64 / PICO_PER_USD as f64
    }

    /// Dollars as others report them, to the nearest 10^-12. `None` for what is no cost:
    /// negative, not a number, beyond what fits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the range is checked first"
    )]
    pub fn from_usd_f64(dollars: f64) -> Option<Self> {
        let pico = (dollars * PICO_PER_USD as f64).round();
        let fits = (0.0..i64::MAX as f64).contains(&pico);
        fits.then_some(Self {
            pico_usd: pico as i64,
        })
    }

    /// `None` beyond what fits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.pico_usd
            .checked_add(other.pico_usd)
            .map(Self::from_pico_usd)
    }

    /// `None` beyond what fits.
    pub fn checked_sum(costs: impl IntoIterator<Item = Self>) -> Option<Self> {
        costs.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

/// Exact dollars with two decimals at least: `$1.50`, `$0.000123`.
impl fmt::Display for Cost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.pico_usd < 0 { "-" } else { "" };
        let pico = self.pico_usd.unsigned_abs();
        let decimals = format!("{:012}", pico % PICO_PER_USD);
        let digits = decimals.trim_end_matches('0').len().max(2);
        let dollars = pico / PICO_PER_USD;
        write!(formatter, "{sign}${dollars}.{}", &decimals[..digits])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_exact_dollars() {
        fn check(pico_usd: i64, expected: &str) {
            assert_eq!(Cost { pico_usd }.to_string(), expected);
        }
        check(0, "$0.00");
        check(1_500_000_000_000, "$1.50");
        check(123_000_000, "$0.000123");
        check(1, "$0.000000000001");
        check(-2_050_000_000_000, "-$2.05");
        check(i64::MIN, "-$9223372.036854775808");
    }

    #[test]
    fn reported_dollars_are_costs_or_nothing() {
        fn check(dollars: f64, expected: Option<i64>) {
            let cost = Cost::from_usd_f64(dollars);
            assert_eq!(cost.map(|cost| cost.pico_usd), expected, "{dollars}");
        }
        check(0.0, Some(0));
        check(0.1, Some(100_000_000_000));
        check(1e-12, Some(1));
        check(-0.5, None);
        check(f64::NAN, None);
        check(f64::INFINITY, None);
        check(1e9, None);
    }

    #[test]
    fn sums_do_not_wrap() {
        let most = Cost { pico_usd: i64::MAX };
        let one = Cost { pico_usd: 1 };
        assert_eq!(
            Cost::checked_sum([one, one, one]),
            Some(Cost::from_pico_usd(3))
        );
        assert_eq!(Cost::checked_sum([most, one]), None);
        assert!((Cost::from_pico_usd(2_500_000_000_000).to_usd_f64() - 2.5).abs() < 1e-12);
    }
}
