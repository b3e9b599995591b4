//! The local issuer's end points: anyone on this machine may have a token, which is why the
//! local cloud listens on loopback only.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use identity::{LocalIssuer, Scope, Scopes, TokenRequest};
use serde::Deserialize;
use serde_json::{Value, json};
use trace_model::{Clock, TenantId};

/// How long a local token lives.
const LIFETIME: Duration = Duration::from_hours(12);

#[derive(Clone)]
struct IssuerState {
    issuer: Arc<LocalIssuer>,
    base_url: String,
    clock: Clock,
}

/// `/.well-known/jwks.json`, `/.well-known/openid-configuration` and `POST /oauth2/token`.
pub(super) fn router(issuer: Arc<LocalIssuer>, base_url: &str, clock: Clock) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/openid-configuration", get(configuration))
        .route("/oauth2/token", post(token))
        .with_state(IssuerState {
            issuer,
            base_url: base_url.trim_end_matches('/').to_owned(),
            clock,
        })
}

async fn jwks(State(state): State<IssuerState>) -> Json<Value> {
    Json(state.issuer.jwks())
}

async fn configuration(State(state): State<IssuerState>) -> Json<Value> {
    let mut configuration = state.issuer.openid_configuration(&state.base_url);
    configuration["token_endpoint"] = json!(format!("{}/oauth2/token", state.base_url));
    configuration["grant_types_supported"] = json!(["client_credentials"]);
    Json(configuration)
}

/// RFC 6749's client credentials grant, with the tenant beside it and no secret.
#[derive(Deserialize)]
struct TokenForm {
    grant_type: String,
    #[serde(default)]
    tenant: Option<String>,
    /// Separated by spaces; all without it.
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    subject: Option<String>,
}

async fn token(State(state): State<IssuerState>, Form(form): Form<TokenForm>) -> Response {
    match request(&form).and_then(|request| {
        let token = state.issuer.issue(&request, state.clock.now());
        token
            .map(|token| (token, request.scopes))
            .map_err(|error| ("invalid_request", error.to_string()))
    }) {
        Ok((token, scopes)) => Json(json!({
            "access_token": token.reveal(),
            "token_type": "Bearer",
            "expires_in": LIFETIME.as_secs(),
            "scope": scopes.to_string(),
        }))
        .into_response(),
        Err((error, description)) => {
            let body = json!({"error": error, "error_description": description});
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}

fn request(form: &TokenForm) -> Result<TokenRequest, (&'static str, String)> {
    if form.grant_type != "client_credentials" {
        let description = format!(
            "grant_type {:?}: the local issuer knows client_credentials only",
            form.grant_type
        );
        return Err(("unsupported_grant_type", description));
    }
    let tenant = match form.tenant.as_deref() {
        None => TenantId::default(),
        Some(tenant) => {
            TenantId::parse(tenant).map_err(|invalid| ("invalid_request", invalid.to_string()))?
        }
    };
    let scopes = match form.scope.as_deref() {
        None => Scopes::all(),
        Some(scopes) => scopes
            .split_ascii_whitespace()
            .map(str::parse::<Scope>)
            .collect::<Result<Scopes, _>>()
            .map_err(|unknown| ("invalid_scope", unknown.to_string()))?,
    };
    Ok(TokenRequest {
        tenant,
        subject: form
            .subject
            .clone()
            .unwrap_or_else(|| "developer".to_owned()),
        scopes,
        lifetime: LIFETIME,
    })
}
