//! `POST /v1/traces`: spans of any OpenTelemetry instrumentation in, masked, and acknowledged
//! once the store has them.
//!
//! The tenant is the verified caller's, whatever the spans say. Deliberately absent: states and
//! attempts, which come from the history alone; totals and what a run without an execution is,
//! which `summarise-run` computes from what is stored; retries on behalf of the sender, who has
//! a queue.

mod answer;
mod body;
mod caller;
mod error;
mod headers;
mod ingest;
mod router;
mod state;

pub use body::{LARGEST_BODY, LARGEST_UNPACKED};
pub use ingest::MOST_MEMORY;
pub use router::{ROUTE, app};
pub use state::IngestState;
