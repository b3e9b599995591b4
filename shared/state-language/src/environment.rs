//! What an evaluation needs of the outside world, as plain values.

use chrono::{DateTime, Utc};

/// The moment and the randomness of one [`crate::Evaluation`]. The same values give the same result,
/// whatever `$now`, `$millis`, `$random`, `$uuid` and `$shuffle` are asked.
#[derive(Clone, Copy)]
pub struct Environment {
    pub now: DateTime<Utc>,
    /// From a cryptographic source, and never the same twice: `$uuid` draws from it.
    pub random_seed: [u8; 32],
}
