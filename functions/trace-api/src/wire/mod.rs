//! The JSON that callers see. A change here is a change of the contract.

mod approval;
mod artifact;
mod content;
mod control;
mod execution;
mod span;
mod workflow;

pub(crate) use approval::{ApprovalList, Decided, Decision, WaitingTask};
pub(crate) use artifact::{ArtifactLink, ArtifactList, ArtifactSummary};
pub(crate) use content::ContentPage;
pub(crate) use control::{RedrivenExecution, StopExecution, StoppedExecution};
pub(crate) use execution::{Execution, ExecutionPage, PageInfo};
pub(crate) use span::{Omitted, SpanDetail, SpanSummary, TracePage, View};
pub(crate) use workflow::{
    Me, StartExecution, StartedExecution, Workflow, WorkflowDetail, WorkflowPage,
};
