//! Masks secrets and personal data: [`RawSpan`] + [`Policy`] → [`RedactedSpan`], which is all
//! that the store, the exporter and the log take. Fails closed.
//!
//! Does no IO, and does not touch a workflow's own data: only what the trace keeps.

mod policy;
mod span;
mod text;

pub use policy::Policy;
pub use span::{NotRedacted, RawSpan, RedactedSpan};
pub use text::RedactedText;
