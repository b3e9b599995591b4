use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// So many spans a second, on the average since the first.
pub(crate) struct Pace {
    spans_per_second: NonZeroU32,
    begun: Option<Instant>,
    sent: u64,
}

impl Pace {
    pub(crate) const fn new(spans_per_second: NonZeroU32) -> Self {
        Self {
            spans_per_second,
            begun: None,
            sent: 0,
        }
    }

    /// Waits until that many more may go out.
    pub(crate) async fn let_out(&mut self, spans: u64) {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let rate = u64::from(self.spans_per_second.get());
        let due = Duration::from_millis(self.sent.saturating_mul(1_000) / rate);
        tokio::time::sleep_until(begun + due).await;
        self.sent += spans;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_waits_for_those_before() {
        let mut pace = Pace::new(NonZeroU32::new(10).unwrap());
        let begun = Instant::now();
        let mut times = Vec::new();
        for spans in [2, 2, 5, 1] {
            pace.let_out(spans).await;
            times.push(begun.elapsed().as_millis());
        }
        assert_eq!(times, [0, 200, 400, 900]);
    }
}
