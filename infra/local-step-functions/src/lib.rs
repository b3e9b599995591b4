//! Step Functions on one machine: runs Amazon States Language (JSONata) state
//! machines with AWS's history events, keeps everything on disk, and answers
//! AWS's JSON 1.0 API in process or on a socket.
//!
//! It does not check permissions, does not serve other services than Lambda
//! and itself, and knows nothing of traces. It does not run Express machines, activities
//! or the distributed Map: those are refused when the machine is made.

mod api;
mod arn;
mod capabilities;
mod description;
mod engine;
mod error;
mod history;
mod http_api;
mod interpreter;
mod invoke;
mod store;

pub use arn::Place;
pub use capabilities::check;
pub use engine::{Config, Growth, LocalStepFunctions};
pub use error::{AwsError, Error};
pub use history::{EventType, ExecutionData, HistoryEvent};
pub use http_api::InProcessHttpClient;
pub use invoke::{FUNCTION_TIMEOUT, FunctionError, FunctionInvoker, InvocationRequest};
