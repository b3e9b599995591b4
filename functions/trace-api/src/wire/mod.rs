//! The JSON that callers see. A change here is a change of the contract.

mod execution;
mod span;
mod workflow;

pub(crate) use execution::{Execution, ExecutionPage, PageInfo};
pub(crate) use span::{Omitted, SpanDetail, SpanSummary, TracePage, View};
pub(crate) use workflow::{
    Me, StartExecution, StartedExecution, Workflow, WorkflowDetail, WorkflowPage,
};
