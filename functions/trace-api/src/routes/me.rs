use axum::Json;
use axum::extract::RawQuery;

use super::executions::NoQuery;
use crate::caller::{AnyScope, Authorized};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::wire::Me;

/// Who is calling
///
/// The tenant and the scopes that the token stands for.
#[utoipa::path(
    get,
    path = "/me",
    tag = "identity",
    responses((status = OK, body = Me)),
    security(("bearer" = [])),
)]
pub(crate) async fn get_me(
    authorized: Authorized<AnyScope>,
    RawQuery(query): RawQuery,
) -> Result<Json<Me>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let caller = authorized.caller;
    Ok(Json(Me {
        tenant: caller.tenant.to_string(),
        subject: caller.subject,
        scopes: caller.scopes.iter().map(identity::Scope::as_str).collect(),
        expires_at: caller.expires_at.to_rfc3339(),
    }))
}
