//! Who may use a route: the one place where tokens are checked.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use identity::{AuthenticationError, Caller, Scope};

use crate::ApiState;
use crate::problem::Problem;

/// A verified caller who has the scope that the route needs. A handler that takes it cannot
/// be reached without.
pub(crate) struct Authorized<S> {
    pub caller: Caller,
    scope: PhantomData<S>,
}

/// What a route needs, as a type.
pub(crate) trait RequiredScope {
    /// `None`: any verified caller.
    const SCOPE: Option<Scope>;
}

macro_rules! required_scopes {
    ($($name:ident => $scope:expr,)*) => {
        $(pub(crate) struct $name;

        impl RequiredScope for $name {
            const SCOPE: Option<Scope> = $scope;
        })*
    };
}

required_scopes! {
    AnyScope => None,
    TracesRead => Some(Scope::TracesRead),
    ContentRead => Some(Scope::ContentRead),
    ArtifactsRead => Some(Scope::ArtifactsRead),
    WorkflowsRead => Some(Scope::WorkflowsRead),
    WorkflowsRun => Some(Scope::WorkflowsRun),
}

/// Where the request's log line finds who called.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerSlot(pub Arc<OnceLock<Caller>>);

impl<S: RequiredScope> FromRequestParts<ApiState> for Authorized<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let authorization = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => {
                Some(value.to_str().map_err(|_| AuthenticationError::NotBearer)?)
            }
            // Two tokens: nobody could say which one counts.
            (Some(_), Some(_)) => return Err(AuthenticationError::NotBearer.into()),
        };
        let now = state.clock.now();
        let caller = state.authenticator.authenticate(authorization, now).await?;
        if let Some(slot) = parts.extensions.get::<CallerSlot>() {
            // Only one extractor runs per request; a second would have found the same caller.
            let _ = slot.0.set(caller.clone());
        }
        if let Some(scope) = S::SCOPE {
            caller.require(scope)?;
        }
        Ok(Self {
            caller,
            scope: PhantomData,
        })
    }
}
