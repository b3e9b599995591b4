//! Carries an AWS SDK client's request to a function of this process instead of a socket.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use futures::future::BoxFuture;

type Answer =
    BoxFuture<'static, Result<http::Response<SdkBody>, Box<dyn std::error::Error + Send + Sync>>>;

/// A client whose every request `answer` handles. `service` names it in debug output.
pub(crate) fn in_process_client(
    service: &'static str,
    answer: impl Fn(http::Request<SdkBody>) -> Answer + Send + Sync + 'static,
) -> SharedHttpClient {
    SharedHttpClient::new(InProcess {
        service,
        answer: Arc::new(answer),
    })
}

#[derive(Clone)]
struct InProcess {
    service: &'static str,
    answer: Arc<dyn Fn(http::Request<SdkBody>) -> Answer + Send + Sync>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("InProcess")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = Arc::clone(&self.answer);
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?;
            let response = answer(request)
                .await
                .map_err(|error| ConnectorError::other(error, None))?;
            HttpResponse::try_from(response)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl HttpClient for InProcess {
    /// Timeouts that concern sockets have nothing to act on here.
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
