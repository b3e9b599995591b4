//! One file a command.

pub(crate) mod check;
pub(crate) mod dev;
pub(crate) mod executions;
pub(crate) mod run;
pub(crate) mod token;
pub(crate) mod trace;
pub(crate) mod workflows;
