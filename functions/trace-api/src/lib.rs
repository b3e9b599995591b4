//! The authorized HTTP API over traces and workflows: the one owner of the wire JSON and of
//! its `OpenAPI` document.
//!
//! Stores nothing, masks nothing (what it reads was masked before it was stored), and has no
//! session: every request is judged by its token alone.

mod body;
mod callback;
mod caller;
mod conditional;
mod cursor;
mod document;
mod looks;
mod observe;
mod parameters;
mod problem;
mod process;
mod router;
mod routes;
mod state;
mod step_functions;
mod tenant_stores;
mod wire;

pub use cursor::CursorKey;
pub use looks::RecorderQueue;
pub use process::ProcessError;
pub use router::{app, openapi};
pub use state::{ApiConfig, ApiState};
pub use tenant_stores::TenantStores;
