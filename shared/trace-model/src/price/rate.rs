use serde::Deserialize;

use crate::{Cost, Timestamp, Usage};

/// Prices of a model, for the times they hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    /// Unix seconds from which it holds.
    from: Option<u64>,
    /// Seconds of the UTC day between which it holds; around midnight when the end is first.
    daily: Option<(u64, u64)>,
    input: Option<Rate>,
    output: Option<Rate>,
    cache_read: Option<Rate>,
    cache_write: Option<Rate>,
    reasoning: Option<Rate>,
    /// For each call, whatever its tokens.
    request: Option<Rate>,
}

/// Picodollars per token.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Rate {
    Flat(u64),
    /// Once the call's input exceeds a step, its rate is for all tokens.
    Stepped {
        base: u64,
        above: Vec<(u64, u64)>,
    },
}

const SECONDS_PER_DAY: u64 = 86_400;

impl Price {
    pub(super) fn holds_at(&self, time: Timestamp) -> bool {
        let now = time.as_unix_seconds();
        let second = now % SECONDS_PER_DAY;
        let in_day = match self.daily {
            None => true,
            Some((start, end)) if end < start => second >= start || second < end,
            Some((start, end)) => (start..end).contains(&second),
        };
        in_day && self.from.is_none_or(|from| now >= from)
    }

    /// `None` when it has no rate for tokens that were used, or a count that a rate needs is
    /// not known.
    pub(super) fn cost(&self, usage: &Usage) -> Option<Cost> {
        let has_rate = [&self.input, &self.output, &self.request];
        if has_rate.into_iter().all(Option::is_none) {
            return None;
        }
        let step = usage.input_tokens.unwrap_or(0);
        // Tokens of a kind that has its own rate are not paid at the common one too.
        let own = |rate: &Option<Rate>, count: Option<u64>| match rate {
            Some(rate) => (count.unwrap_or(0), rate.at(step)),
            None => (0, 0),
        };
        let cached = own(&self.cache_read, usage.cached_tokens);
        let written = own(&self.cache_write, usage.cache_write_tokens);
        let reasoning = own(&self.reasoning, usage.reasoning_tokens);
        let common = |rate: &Option<Rate>, count: Option<u64>, apart: u64| {
            let rate = rate.as_ref().map(|rate| rate.at(step));
            match (rate, count) {
                (Some(0), _) | (None, None | Some(0)) => Some((0, 0)),
                (Some(rate), Some(count)) => Some((count.saturating_sub(apart), rate)),
                // Paid, but how many is not known; or used, but at a price that is not known.
                (Some(_), None) | (None, Some(_)) => None,
            }
        };
        let input = common(
            &self.input,
            usage.input_tokens,
            cached.0.saturating_add(written.0),
        )?;
        let output = common(&self.output, usage.output_tokens, reasoning.0)?;
        let request = self.request.as_ref().map_or(0, |rate| rate.at(step));
        let pico_usd = [input, cached, written, output, reasoning, (1, request)]
            .into_iter()
            .map(|(count, rate)| u128::from(count) * u128::from(rate))
            .sum::<u128>();
        i64::try_from(pico_usd).ok().map(Cost::from_pico_usd)
    }
}

impl Rate {
    fn at(&self, input_tokens: u64) -> u64 {
        match self {
            Self::Flat(rate) => *rate,
            Self::Stepped { base, above } => above
                .iter()
                .rev()
                .find(|(step, _)| input_tokens > *step)
                .map_or(*base, |(_, rate)| *rate),
        }
    }
}
