//! The engine through the real AWS SDK, in process. Time is tokio's paused
//! time, so waits and timeouts take none.

#![expect(
    clippy::unwrap_used,
    reason = "a test says by panicking what went wrong"
)]

mod api;
mod endpoint;
mod failures;
mod fan_out;
mod limits;
mod nested;
mod random_machines;
mod recovery;
mod redrives;
mod states;
mod support;
mod tokens;
