use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery, State};

use super::executions::{NoQuery, find_run};
use crate::ApiState;
use crate::caller::{ArtifactsRead, Authorized};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::wire::{ArtifactLink, ArtifactList, ArtifactSummary};

const LINK_LIVES: Duration = Duration::from_mins(5);

/// List artifacts
///
/// The files that an execution's nodes made, in order of when they were made.
#[utoipa::path(
    get,
    path = "/executions/{id}/artifacts",
    tag = "artifacts",
    params(("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id")),
    responses((status = OK, body = ArtifactList)),
    security(("bearer" = ["artifacts:read"])),
)]
pub(crate) async fn list_artifacts(
    authorized: Authorized<ArtifactsRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<ArtifactList>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let tenant = &authorized.caller.tenant;
    let run = find_run(&state, tenant, &id).await?;
    let store = state.stores.of(tenant);
    let artifacts = store
        .list_artifacts(tenant, run.trace_id)
        .await
        .map_err(|error| Problem::of_store("list artifacts", &error))?;
    Ok(Json(ArtifactList {
        artifacts: artifacts.into_iter().map(ArtifactSummary::from).collect(),
    }))
}

/// Get an artifact
///
/// What is known of it, and a link to its bytes that lives for five minutes. The link makes a
/// browser save what comes: it is never shown in a page's origin.
#[utoipa::path(
    get,
    path = "/executions/{id}/artifacts/{artifact_id}",
    tag = "artifacts",
    params(
        ("id" = String, Path, description = "`MACHINE:NAME`, percent-encoded, or a trace id"),
        ("artifact_id" = String, Path, description = "32 hex digits"),
    ),
    responses((status = OK, body = ArtifactLink)),
    security(("bearer" = ["artifacts:read"])),
)]
pub(crate) async fn get_artifact(
    authorized: Authorized<ArtifactsRead>,
    State(state): State<ApiState>,
    Path((id, artifact_id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<ArtifactLink>, Problem> {
    Parameters::read::<NoQuery>(query.as_deref())?;
    let caller = &authorized.caller;
    let run = find_run(&state, &caller.tenant, &id).await?;
    let store = state.stores.of(&caller.tenant);
    let artifact = store
        .artifact(&caller.tenant, run.trace_id, &artifact_id)
        .await
        .map_err(|error| Problem::of_store("read an artifact", &error))?
        .ok_or_else(|| Problem::not_found("artifact"))?;
    let expires_at = state.clock.now().plus(LINK_LIVES);
    let url = store
        .artifact_link(&caller.tenant, run.trace_id, &artifact, LINK_LIVES)
        .await
        .map_err(|error| Problem::of_store("sign a link", &error))?;
    tracing::info!(
        tenant = caller.tenant.as_str(),
        subject = caller.subject,
        trace_id = %run.trace_id,
        artifact_id,
        "a link to an artifact was given"
    );
    Ok(Json(ArtifactLink {
        artifact: artifact.into(),
        url,
        url_expires_at: expires_at.to_rfc3339(),
    }))
}
