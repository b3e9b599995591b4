//! Masks secrets and personal data: [`RawSpan`] + [`Policy`] → [`RedactedSpan`], which is all
//! that the store, the exporter and the log take. Fails closed: what cannot be looked through
//! is replaced whole.
//!
//! Does no IO, and does not touch a workflow's own data: only what the trace keeps. Decrypts
//! and unpacks nothing, and knows no names, addresses or phone numbers: see
//! `docs/how-to/add-a-redaction-rule.md`.

mod detectors;
mod encoded;
mod finding;
mod json;
mod key_name;
mod marker;
mod masker;
mod policy;
mod scan;
mod span;
mod text;

pub use policy::Policy;
pub use span::{NotRedacted, RawSpan, RedactedSpan};
pub use text::RedactedText;
