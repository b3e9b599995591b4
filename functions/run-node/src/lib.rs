//! One Step Functions task is one traced node: an `llm` call, an `http` request, an `artifact`
//! that is stored, an `approval` that a person gives.
//!
//! Retries nothing (that is the state machine's), knows no workflow beyond its one task, and
//! reads no environment: [`NodeEnvironment`] is given to it.

mod deadline;
mod environment;
mod error;
mod handler;
mod network;
mod nodes;
mod parameters;
mod references;
mod template;

pub use environment::{ModelSettings, NodeEnvironment, NodeSettings};
pub use error::{AddressRefused, NodeError};
pub use handler::{handle, handle_invocation};
pub use nodes::kinds;
