use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderName, Method};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;
use crate::conditional::conditional;
use crate::document;
use crate::observe::observe;
use crate::problem::{Problem, ProblemKind};
use crate::routes::{
    approvals, artifacts, content, control, executions, me, spans, trace, workflows,
};

/// Step Functions takes 256 KB of input; the rest is room for white space.
const LARGEST_BODY: usize = 1_000_000;

/// The whole API: every route, and the layers around them.
pub fn app(state: ApiState) -> Router {
    let (routes, mut document) = documented_routes().split_for_parts();
    document::add_problems(&mut document);
    let routes = routes.route("/openapi.json", get(async || Json(document)));
    routes
        .fallback(async || {
            Problem::new(
                ProblemKind::NoSuchRoute,
                "there is no such route: GET /openapi.json lists all",
            )
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                ProblemKind::MethodNotAllowed,
                "this route has other methods: the Allow header lists them",
            )
        })
        .layer(
            ServiceBuilder::new()
                // Outermost, so that errors have its headers too: a page may read no others.
                .layer(cors(&state))
                .layer(middleware::from_fn_with_state(state.clone(), observe))
                .layer(CatchPanicLayer::custom(answer_panic))
                .layer(CompressionLayer::new())
                .layer(middleware::from_fn(conditional))
                .layer(DefaultBodyLimit::max(LARGEST_BODY)),
        )
        .with_state(state)
}

/// The `OpenAPI` document of [`app`], as `GET /openapi.json` answers it.
pub fn openapi() -> OpenApi {
    let mut document = documented_routes().into_openapi();
    document::add_problems(&mut document);
    document
}

fn documented_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(document::description())
        .routes(routes!(executions::list_executions))
        .routes(routes!(executions::get_execution))
        .routes(routes!(trace::get_trace))
        .routes(routes!(spans::get_span))
        .routes(routes!(content::get_content))
        .routes(routes!(artifacts::list_artifacts))
        .routes(routes!(artifacts::get_artifact))
        .routes(routes!(control::stop_execution))
        .routes(routes!(control::redrive_execution))
        .routes(routes!(approvals::list_approvals))
        .routes(routes!(approvals::decide))
        .routes(routes!(workflows::list_workflows))
        .routes(routes!(workflows::get_workflow))
        .routes(routes!(workflows::start_execution))
        .routes(routes!(me::get_me))
}

/// Listed origins only, compared as they stand, and no cookies: the token travels in a header.
fn cors(state: &ApiState) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(state.config.allowed_origins.clone()))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_NONE_MATCH,
            HeaderName::from_static("x-request-id"),
        ])
        .expose_headers([
            ETAG,
            LOCATION,
            RETRY_AFTER,
            WWW_AUTHENTICATE,
            HeaderName::from_static("x-request-id"),
        ])
}

/// The panic hook has logged it.
fn answer_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Problem::of_panic().into_response()
}
