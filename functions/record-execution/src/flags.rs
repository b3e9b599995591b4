//! What `stepscope.flags` says of a span that comes from the history.

/// The error was caught: the run went on at `workflow.state.next`.
pub const CAUGHT: &str = "caught";
/// It did not end by itself: a sibling failed, or the execution ended.
pub const ABORTED: &str = "aborted";
/// The recorded `traceparent` names another trace: kept as a link.
pub const FOREIGN_TRACEPARENT: &str = "foreign_traceparent";
/// The recorded `traceparent` names a span that this trace has already, as a constant does.
pub const REUSED_TRACEPARENT: &str = "reused_traceparent";
/// The recorded `traceparent` is none.
pub const INVALID_TRACEPARENT: &str = "invalid_traceparent";
/// Parameters that may hold a task token but are no JSON: not kept.
pub const PARAMETERS_DROPPED: &str = "parameters_dropped";
/// Step Functions gave the input or output only in part.
pub const TRUNCATED: &str = "truncated_by_step_functions";
