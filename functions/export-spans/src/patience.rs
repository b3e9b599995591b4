//! When the collector may be called again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use trace_model::{Clock, Timestamp};

/// After a failure that names no time; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// One call waits this long and then answers that it is too early. How fast a stream comes
/// again is nowhere promised, so the waiting is ours; and it is billed, so it is short.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Shared by all who send to one collector.
#[derive(Debug)]
pub(crate) struct Patience {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    not_before: Option<Timestamp>,
    failures: u32,
}

impl Patience {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        self.lock().not_before
    }

    pub(crate) fn took(&self) {
        *self.lock() = State::default();
    }

    /// `asked` is the collector's own Retry-After.
    pub(crate) fn failed(&self, asked: Option<Duration>) {
        let now = self.clock.now();
        let mut state = self.lock();
        let doubled = 1_u32 << state.failures.min(10);
        let pause = asked.unwrap_or_else(|| (FIRST_PAUSE * doubled).min(LONGEST_PAUSE));
        state.not_before = Some(now.plus(pause));
        state.failures += 1;
    }

    /// Waits until the collector may be called; for long waits only a part of it, and then the
    /// answer is when that will be.
    pub(crate) async fn wait(&self, until: Option<Timestamp>) -> Result<(), Timestamp> {
        let Some(not_before) = self.not_before() else {
            return Ok(());
        };
        let now = self.clock.now();
        let delay = not_before.since(now);
        let most = until.map_or(LONGEST_WAIT, |until| until.since(now).min(LONGEST_WAIT));
        tokio::time::sleep(delay.min(most)).await;
        if delay > most {
            Err(not_before)
        } else {
            Ok(())
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_end_with_success() {
        let start = Timestamp::from_unix_millis(1_000_000);
        let patience = Patience::new(Clock::manual(start));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            patience.failed(None);
            pauses.push(patience.not_before().unwrap().since(start).as_millis());
        }
        assert_eq!(
            pauses,
            [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]
        );
        patience.took();
        assert_eq!(patience.not_before(), None);
        patience.failed(Some(Duration::from_mins(5)));
        let asked = patience.not_before().unwrap().since(start);
        assert_eq!(asked, Duration::from_mins(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_not_waited_out() {
        let start = Timestamp::from_unix_millis(1_000_000);
        let patience = Patience::new(Clock::manual(start));
        let check = async |asked: u64, until: Option<u64>, slept: u64, allowed: bool| {
            let seconds = Duration::from_secs;
            patience.failed(Some(seconds(asked)));
            let begun = tokio::time::Instant::now();
            let until = until.map(|until| start.plus(seconds(until)));
            let waited = patience.wait(until).await;
            assert_eq!(waited.is_ok(), allowed, "{asked} s until {until:?}");
            assert_eq!(
                begun.elapsed().as_secs(),
                slept,
                "{asked} s until {until:?}"
            );
        };
        check(7, None, 7, true).await;
        check(600, None, 20, false).await;
        check(7, Some(3), 3, false).await;
        check(7, Some(30), 7, true).await;
        check(600, Some(30), 20, false).await;
    }
}
