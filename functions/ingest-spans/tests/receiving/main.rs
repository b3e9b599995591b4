//! The whole route against the embedded storage: what is sent, what is answered, what is stored.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod authentication;
mod malformed;
mod protocol;
mod sample_events;
mod storing;
mod support;
