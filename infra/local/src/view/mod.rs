//! What the terminal shows of a run.

mod details;
mod safe_text;
mod trace_tree;
mod units;

pub(crate) use safe_text::safe;
pub(crate) use trace_tree::{Folding, TraceTree, TreeSpan};
pub(crate) use units::{cost, duration, tokens};
