//! Opens and closes spans around a workflow's work, and writes them without slowing it.
//!
//! A node's work runs inside [`WorkflowTracer::trace_node`]; within it [`model_call`],
//! [`http_call`], [`storage_call`], [`tool_call`], [`span`] and, through [`layer()`], functions
//! with `#[instrument]` become child spans. Outside of a node all of them do nothing.
//!
//! Masks nothing itself (`redaction` does, in the background, before anything is written),
//! retries no work, and makes no state or attempt spans: those come from the execution's
//! history.

mod buffer;
mod context;
mod current;
mod handle;
mod http_call;
mod lambda;
mod layer;
mod model_call;
mod node;
mod open_span;
mod other_calls;
mod recorder;
mod span_fallback;
mod termination;
mod writer;

pub use context::TaskContext;
pub use current::{CurrentTask, annotate, annotate_content, current_task, current_traceparent};
pub use handle::{SpanHandle, span};
pub use http_call::{HttpCall, http_call};
pub use lambda::{FlushLayer, FlushService, run};
pub use layer::{Capture, layer};
pub use model_call::{ModelCall, message, model_call};
pub use node::{Invocation, NodeFailure, WorkflowTracer};
pub use other_calls::{StorageCall, ToolCall, storage_call, tool_call};
pub use recorder::{SpanWrite, WriteFailure};
pub use span_fallback::SpanFallback;
pub use writer::Flushed;
