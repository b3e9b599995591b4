use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::error::StartError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two pieces of an answer; a model may think this long before its first token. A
/// caller with a deadline sets its own for the request.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// A warm function may be frozen for minutes: connections that old are likely dead.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The process's HTTP client: TLS by ring with the system's roots, no redirects.
pub fn http_client() -> Result<Client, StartError> {
    http_client_builder()?
        .build()
        .map_err(StartError::HttpClient)
}

/// The same, for who has to add a resolver of their own.
pub fn http_client_builder() -> Result<ClientBuilder, StartError> {
    Ok(Client::builder()
        .tls_backend_preconfigured(tls_config()?)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .user_agent(concat!("stepscope/", env!("CARGO_PKG_VERSION"))))
}

fn tls_config() -> Result<ClientConfig, StartError> {
    let provider = Arc::new(ring::default_provider());
    // For libraries that make a client of their own; a provider installed before stays.
    let _ = ring::default_provider().install_default();
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        // Plain HTTP still works, so that a machine without certificates runs the demo.
        tracing::warn!(
            ignored,
            "no root certificates on this machine: every https request will fail; install \
             ca-certificates or set SSL_CERT_FILE"
        );
    }
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(StartError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{StatusCode, header};
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let redirect = (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]);
        let app = Router::new()
            .route("/", get(move || async move { redirect }))
            .route("/elsewhere", get(|| async { "followed" }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let response = http_client().unwrap().get(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FOUND);
    }
}
