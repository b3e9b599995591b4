//! What the examples talk to when there is no key and no network: a model that works by
//! rules, and a small web service that fails on purpose. On a loopback port of its own, so
//! that nothing a workflow can reach here leads to the API or the issuer.

mod model;
mod service;
mod text;

use axum::Router;

/// The demo model under `/model/v1`, the demo service under `/service`.
pub(crate) fn router() -> Router {
    Router::new()
        .nest("/model/v1", model::router())
        .nest("/service", service::router())
}
