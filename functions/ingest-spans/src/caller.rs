//! Who sends: an access token or an API key.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use identity::{AuthenticationError, Caller, Scope};
use trace_model::Timestamp;

use crate::IngestState;
use crate::error::IngestError;

/// For API keys alone. Beside `Authorization` because `OTEL_EXPORTER_OTLP_HEADERS` takes it as it
/// stands, while the space of `Bearer KEY` has to be written `%20`.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

pub(crate) async fn authorize(
    state: &IngestState,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Caller, IngestError> {
    let authorization = single(headers, &AUTHORIZATION)?;
    let api_key = single(headers, &API_KEY)?;
    let caller = match (authorization, api_key) {
        (Some(_), Some(_)) => return Err(AuthenticationError::TwoCredentials.into()),
        (None, Some(key)) => state.authenticator.authenticate_api_key(key, now).await,
        (authorization, None) => state.authenticator.authenticate(authorization, now).await,
    }?;
    caller.require(Scope::TracesWrite)?;
    Ok(caller)
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, AuthenticationError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str();
            text.map(Some).map_err(|_| AuthenticationError::NotBearer)
        }
        // Nobody could say which one counts.
        (Some(_), Some(_)) => Err(AuthenticationError::TwoCredentials),
    }
}
