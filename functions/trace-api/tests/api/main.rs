//! The router without a socket, over the real stores, engine and tokens of the local cloud.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod approvals;
mod artifacts;
mod authorization;
mod content;
mod control;
mod document;
mod executions;
mod requests;
mod sample_events;
mod support;
mod trace;
mod workflows;
