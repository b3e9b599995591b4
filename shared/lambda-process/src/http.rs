use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::error::StartError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two pieces of an answer; a model may think this long before its first token. A
/// caller with a deadline sets its own for the request.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// A warm function may be frozen for minutes: connections that old are likely dead.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What runs on this machine is never asked for through a proxy, which would look for it on its
/// own machine.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

type MakeProxy = fn(String) -> reqwest::Result<Proxy>;

/// The process's HTTP client: TLS by ring with the system's roots, no redirects. `HTTP_PROXY`,
/// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count as they do for curl, but not for loopback.
pub fn http_client() -> Result<Client, StartError> {
    http_client_builder()?
        .build()
        .map_err(StartError::HttpClient)
}

/// The same, for who has to add a resolver of their own.
#[expect(
    clippy::disallowed_methods,
    reason = "proxies are the HTTP client's settings, which reqwest would read itself"
)]
pub fn http_client_builder() -> Result<ClientBuilder, StartError> {
    let environment = |name: &str| std::env::var_os(name)?.into_string().ok();
    builder_in(environment)
}

fn builder_in(environment: impl Fn(&str) -> Option<String>) -> Result<ClientBuilder, StartError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls_config()?)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .user_agent(concat!("stepscope/", env!("CARGO_PKG_VERSION")));
    with_proxies(builder, environment)
}

/// The environment's proxies, which reqwest by itself would use for loopback too.
fn with_proxies(
    builder: ClientBuilder,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<ClientBuilder, StartError> {
    let mut builder = builder.no_proxy();
    // In a CGI program the client of the server sets HTTP_PROXY: https://httpoxy.org
    if environment("REQUEST_METHOD").is_some() {
        return Ok(builder);
    }
    let first_of = |names: [&'static str; 2]| {
        let set = |name| Some((name, environment(name)?));
        let found = names.into_iter().find_map(set);
        found.filter(|(_, value)| !value.trim().is_empty())
    };
    let direct = match first_of(["NO_PROXY", "no_proxy"]) {
        Some((_, hosts)) => format!("{LOOPBACK},{hosts}"),
        None => LOOPBACK.to_owned(),
    };
    let kinds: [(_, MakeProxy); 3] = [
        (["HTTP_PROXY", "http_proxy"], Proxy::http),
        (["HTTPS_PROXY", "https_proxy"], Proxy::https),
        (["ALL_PROXY", "all_proxy"], Proxy::all),
    ];
    for (names, make_proxy) in kinds {
        if let Some((variable, url)) = first_of(names) {
            let proxy = make_proxy(url).map_err(|source| StartError::Proxy { variable, source })?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&direct)));
        }
    }
    Ok(builder)
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

    async fn serve(answer: &'static str) -> u16 {
        let app = Router::new().fallback(move || async move { answer });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await });
        port
    }

    #[tokio::test]
    async fn loopback_is_asked_directly_and_all_else_through_the_proxy() {
        let (own, proxy) = (serve("own").await, serve("proxy").await);
        let proxy = format!("http://127.0.0.1:{proxy}");
        let get = async |variables: &[(&str, &str)], url: &str| {
            let environment = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let client = builder_in(environment).unwrap().build().unwrap();
            let answer = client.get(url).send().await?;
            answer.text().await
        };
        let local = format!("http://127.0.0.1:{own}/");
        let named = format!("http://localhost:{own}/");
        // A name that nobody may have: only a proxy can answer for it.
        let remote = "http://traces.invalid/";
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
            for more in [("NO_PROXY", ""), ("NO_PROXY", "example.com")] {
                let variables = [(name, proxy.as_str()), more];
                assert_eq!(get(&variables, &local).await.unwrap(), "own", "{name}");
                assert_eq!(get(&variables, &named).await.unwrap(), "own", "{name}");
                assert_eq!(get(&variables, remote).await.unwrap(), "proxy", "{name}");
            }
        }
        let spared = [("HTTP_PROXY", proxy.as_str()), ("NO_PROXY", "invalid")];
        assert!(get(&spared, remote).await.is_err(), "NO_PROXY counts too");
        let cgi = [("HTTP_PROXY", proxy.as_str()), ("REQUEST_METHOD", "GET")];
        assert!(get(&cgi, remote).await.is_err());
    }

    #[test]
    fn a_proxy_that_is_no_url_is_refused_by_its_variable() {
        let environment =
            |name: &str| (name == "HTTPS_PROXY").then(|| "http://user:secret@".to_owned());
        let error = builder_in(environment).unwrap_err().to_string();
        assert!(error.starts_with("HTTPS_PROXY"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
