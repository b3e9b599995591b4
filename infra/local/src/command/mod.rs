//! One file a command, and what commands have in common.

pub(crate) mod answering;
pub(crate) mod approvals;
pub(crate) mod check;
pub(crate) mod dev;
pub(crate) mod executions;
pub(crate) mod export;
pub(crate) mod follow;
pub(crate) mod import;
pub(crate) mod instrument;
pub(crate) mod invoke;
pub(crate) mod keys;
pub(crate) mod redrive;
pub(crate) mod run;
pub(crate) mod stop;
pub(crate) mod token;
pub(crate) mod trace;
pub(crate) mod workflows;
