//! The three loopback addresses.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::Request;
use axum::routing::get;
use axum::{Json, Router, middleware};
use identity::{ApiKeys, Authenticator, IdentityConfig, IssuerConfig, KeySource, LocalIssuer};
use ingest_spans::IngestState;
use lambda_process::metrics::Metrics;
use lambda_process::{Config, LocalService};
use local_step_functions::LocalStepFunctions;
use local_storage::LocalStorage;
use rand::RngCore as _;
use redaction::Policy;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use trace_api::{ApiConfig, ApiState, CursorKey, TenantStores};
use trace_model::Clock;
use trace_store::TraceStore;
use url::Url;

use super::folder::Endpoints;
use super::host_guard::loopback_only;
use super::{LOCAL_ACCOUNT, LOCAL_REGION, Ports, issuer};

pub(super) struct Listeners {
    pub api: Listener,
    pub aws: Listener,
    pub demo: Listener,
}

/// A bound port that does not answer yet.
pub(super) struct Listener {
    pub url: Url,
    listener: TcpListener,
}

impl Listeners {
    pub(super) async fn bind(ports: Ports, data: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            api: Listener::bind(ports.api, "--port").await?,
            aws: Listener::bind(ports.aws, "--aws-port").await?,
            demo: Self::bind_demo(&data.join("demo-port")).await?,
        })
    }

    /// The same port as last time where it is free: runs that go on after a restart have the
    /// demo services' address in their definition.
    async fn bind_demo(remembered: &Path) -> anyhow::Result<Listener> {
        let last = fs::read_to_string(remembered).ok();
        let last = last.and_then(|text| text.trim().parse().ok());
        let listener = match Listener::bind(last.unwrap_or(0), "").await {
            Ok(listener) => listener,
            Err(_) => Listener::bind(0, "").await?,
        };
        let port = listener.url.port_or_known_default().unwrap_or_default();
        fs::write(remembered, port.to_string())
            .with_context(|| format!("cannot write {}", remembered.display()))?;
        Ok(listener)
    }
}

impl Listener {
    async fn bind(port: u16, option: &str) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}: choose another port with {option}, 0 for any")
        })?;
        let url = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        Ok(Self { url, listener })
    }

    pub(super) fn serve(self, router: Router, tasks: &TaskTracker, stop: &CancellationToken) {
        let router = router.layer(middleware::from_fn(loopback_only));
        let stop = stop.clone();
        tasks.spawn(async move {
            let served = axum::serve(self.listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "a listener of the local cloud ended");
            }
        });
    }
}

/// The trace API, with the receiver of OTLP and the local issuer beside it.
pub(super) fn api(
    data: &Path,
    endpoints: &Endpoints,
    store: TraceStore,
    step_functions: aws_sdk_sfn::Client,
    clock: Clock,
    config: &Config,
) -> anyhow::Result<Router> {
    let base_url = endpoints.url.as_str().trim_end_matches('/');
    let issuer = Arc::new(LocalIssuer::open(&data.join("issuer.pem"), base_url)?);
    // The keys are read over HTTP, as from any issuer.
    let trusted = IssuerConfig {
        keys: KeySource::JwksUri(format!("{base_url}/.well-known/jwks.json").parse()?),
        ..issuer.trust()
    };
    let http = lambda_process::http_client()?;
    let identity = IdentityConfig::new(vec![trusted]);
    let keys = ApiKeys::new(store.clone());
    let authenticator = Authenticator::new(identity.clone(), &http)?.with_api_keys(keys);
    let receiver = ingest_spans::app(IngestState {
        store: store.clone(),
        authenticator: Arc::new(authenticator),
        policy: Policy::standard(),
        clock: clock.clone(),
        metrics: Metrics::of_process(config, "ingest-spans", clock.clone()),
    });
    // Whoever follows a link is outside of this process.
    let links = LocalService::at(endpoints.aws_endpoint_url.as_str()).s3(LOCAL_REGION);
    let state = ApiState {
        stores: TenantStores::shared(store.with_links_by(links)),
        authenticator: Arc::new(Authenticator::new(identity, &http)?),
        step_functions,
        recorder: None,
        clock: clock.clone(),
        metrics: Metrics::of_process(config, "trace-api", clock.clone()),
        config: Arc::new(ApiConfig {
            region: LOCAL_REGION.to_owned(),
            account_id: LOCAL_ACCOUNT.to_owned(),
            cursor_key: CursorKey::new(&cursor_key(data)?),
            allowed_origins: Vec::new(),
        }),
    };
    let announced = endpoints.clone();
    let local = issuer::router(issuer, base_url, clock).route(
        "/.well-known/stepscope",
        get(move || std::future::ready(Json(announced.clone()))),
    );
    Ok(trace_api::app(state).merge(receiver).merge(local))
}

/// Step Functions, DynamoDB and S3 at one address, as `AWS_ENDPOINT_URL` takes it.
pub(super) fn aws(storage: &LocalStorage, step_functions: &LocalStepFunctions) -> Router {
    let (storage, step_functions) = (storage.aws_router(), step_functions.router());
    Router::new().fallback(move |request: Request| {
        let target = request.headers().get("x-amz-target");
        let is_step_functions =
            target.is_some_and(|target| target.as_bytes().starts_with(b"AWSStepFunctions."));
        let service = if is_step_functions {
            &step_functions
        } else {
            &storage
        };
        service.clone().oneshot(request)
    })
}

/// Made once, so that a cursor outlives a restart.
fn cursor_key(data: &Path) -> anyhow::Result<Vec<u8>> {
    const LENGTH: usize = 32;
    let path = data.join("cursor.key");
    match fs::read(&path) {
        Ok(key) if key.len() == LENGTH => return Ok(key),
        Ok(_) => tracing::warn!("the cursor key was damaged: cursors given before are refused"),
        Err(_) => {}
    }
    let mut key = vec![0; LENGTH];
    rand::rng().fill_bytes(&mut key);
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(&key)?;
    Ok(key)
}
