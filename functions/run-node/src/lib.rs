//! One Step Functions task is one traced node: an `llm` call, an `http` request.
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

pub use environment::{ModelSettings, NodeEnvironment, NodeSettings};
pub use error::{AddressRefused, NodeError};
pub use handler::{handle, handle_invocation};
pub use nodes::kinds;
