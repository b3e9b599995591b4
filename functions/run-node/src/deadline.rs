use std::time::Duration;

use tokio::time::Instant;
use trace_model::{Clock, Timestamp};

/// Kept of a function's time to answer with an error that a `Catch` can match, which a
/// function that is cut off cannot.
const RESERVE: Duration = Duration::from_secs(1);

/// When the work must be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) fn at(deadline: Option<Timestamp>, clock: &Clock) -> Self {
        Self(deadline.map(|deadline| {
            let remaining = deadline.since(clock.now());
            Instant::now() + remaining - RESERVE.min(remaining / 5)
        }))
    }

    /// The time for a step that may take `wanted` at most.
    pub(crate) fn within(self, wanted: Duration) -> Duration {
        match self.0 {
            Some(deadline) => deadline
                .saturating_duration_since(Instant::now())
                .min(wanted),
            None => wanted,
        }
    }
}
