//! The API as HTTP: for an AWS SDK of the same process without a socket, and
//! as a router for a listener.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::IntoResponse;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::{AwsError, LocalStepFunctions};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const TARGET: &str = "x-amz-target";

/// Bytes of a request: a definition of 1 MB, as JSON inside JSON, with room to spare.
const REQUEST_LIMIT: usize = 4 * 1024 * 1024;

/// What an SDK waits for an answer, at most, when it does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

impl LocalStepFunctions {
    /// An `http_client` for the AWS SDK that answers from this engine.
    pub fn http_client(&self) -> InProcessHttpClient {
        InProcessHttpClient(self.clone())
    }

    /// `POST /` as Step Functions serves it, for `aws stepfunctions --endpoint-url`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", post(answer_http))
            .layer(DefaultBodyLimit::max(REQUEST_LIMIT))
            .with_state(self.clone())
    }

    async fn answer(&self, headers: &HeaderMap, body: &[u8]) -> Response<Bytes> {
        let target = headers.get(TARGET).and_then(|target| target.to_str().ok());
        let answered = match target {
            Some(target) => self.dispatch(target, body).await,
            None => Err(AwsError::new(
                "UnknownOperationException",
                format!("the header {TARGET} is missing: it names the operation"),
            )),
        };
        let (status, body) = match answered {
            Ok(body) => (200, body),
            Err(error) => {
                let body = json!({"__type": error.code, "message": error.message});
                (error.http_status(), body.to_string().into_bytes())
            }
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

async fn answer_http(
    State(engine): State<LocalStepFunctions>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let (parts, body) = engine.answer(&headers, &body).await.into_parts();
    (parts.status, parts.headers, body)
}

/// An AWS SDK HTTP client without a network: made by [`LocalStepFunctions::http_client`].
#[derive(Debug, Clone)]
pub struct InProcessHttpClient(LocalStepFunctions);

impl HttpClient for InProcessHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(InProcessConnector {
            engine: self.0.clone(),
            timeout: settings.read_timeout().unwrap_or(DEFAULT_TIMEOUT),
        })
    }
}

#[derive(Debug)]
struct InProcessConnector {
    engine: LocalStepFunctions,
    timeout: Duration,
}

impl HttpConnector for InProcessConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (engine, timeout) = (self.engine.clone(), self.timeout);
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?;
            let (parts, body) = request.into_parts();
            let body = body.bytes().ok_or_else(|| {
                ConnectorError::user("a streamed request has no place in this API".into())
            })?;
            let answered = tokio::time::timeout(timeout, engine.answer(&parts.headers, body));
            let response = answered
                .await
                .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?
                .map(SdkBody::from);
            HttpResponse::try_from(response)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
