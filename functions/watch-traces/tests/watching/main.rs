//! Visits to the embedded Step Functions and the embedded store, with the real recorder behind
//! the queue.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounds;
mod missing;
mod queue;
mod support;
mod upkeep;
