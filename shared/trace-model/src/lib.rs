//! What a trace is: identities, spans, usage, cost and totals, the tree of
//! its spans, and OTLP in and out.
//!
//! Does no IO, keeps no state, reads no clock of its own, and masks nothing: that is
//! `redaction`, which alone turns a [`Span`] into something that may be stored.

mod abandonment;
#[cfg(test)]
mod arbitrary;
mod attribute;
mod clock;
mod content;
pub mod conventions;
mod cost;
mod execution;
mod ids;
pub mod otlp;
mod payload;
mod price;
mod run;
mod run_of_spans;
mod span;
mod tenant;
mod totals;
mod tree;
mod usage;

pub use abandonment::{Abandonment, EndsFrom};
pub use attribute::{AttributeValue, Attributes};
pub use clock::{Clock, Timestamp};
pub use content::{Content, ContentBody, ContentLocation};
pub use cost::Cost;
pub use execution::{ExecutionArn, ExecutionId, InvalidExecutionArn, InvalidExecutionId};
pub use ids::{InvalidId, InvalidTraceparent, SpanId, TraceId, Traceparent};
pub use payload::{names_a_task_token, task_payloads};
pub use price::{PriceTable, apply_cost};
pub use run::{Run, RunStatus};
pub use run_of_spans::RunOfSpans;
pub use span::{Event, Link, OtelKind, Revision, Span, SpanKind, Status};
pub use tenant::{InvalidTenantId, TenantId};
pub use totals::Totals;
pub use tree::{Node, NodeSpan, Placement, Tree, latest, merge};
pub use usage::{CachedTokens, Usage};
