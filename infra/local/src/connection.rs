//! How a command reaches a local cloud: one that runs already, or one started for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use lambda_process::{LocalService, http_client};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use trace_model::TenantId;
use url::Url;

use crate::arguments::Target;
use crate::cloud::{Claim, CloudOptions, Endpoints, LOCAL_REGION, LocalCloud, Ports, claim};

/// How long another process may take from claiming its folder to serving.
const STARTING: Duration = Duration::from_secs(10);

/// A local cloud, and the caller's token for one tenant.
pub(crate) struct Connection {
    endpoints: Endpoints,
    http: reqwest::Client,
    token: String,
    pub step_functions: aws_sdk_sfn::Client,
    /// Started here, so to be stopped here.
    cloud: Option<LocalCloud>,
}

/// RFC 9457, as far as a person needs it.
#[derive(Deserialize)]
struct Problem {
    title: String,
    detail: Option<String>,
    request_id: Option<String>,
}

/// What the API refused, with the status for those who can do something about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    pub status: StatusCode,
    message: String,
}

impl Connection {
    pub(crate) async fn open(target: &Target, tenant: &TenantId) -> anyhow::Result<Self> {
        let http = http_client()?;
        let (endpoints, cloud) = match &target.url {
            Some(url) => (find(&http, url).await?, None),
            None => find_or_start(target).await?,
        };
        let token = token(&http, &endpoints.url, tenant, &[]).await?;
        let step_functions =
            LocalService::at(endpoints.aws_endpoint_url.as_str()).sfn(LOCAL_REGION);
        Ok(Self {
            endpoints,
            http,
            token,
            step_functions,
            cloud,
        })
    }

    /// `path` in segments, as they are.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let mut url = self.route(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.get(url)).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &Value,
    ) -> anyhow::Result<T> {
        self.send(self.http.post(self.route(path)?).json(body))
            .await
    }

    fn route(&self, path: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.endpoints.url.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("{} cannot have a path: correct --url", self.endpoints.url))?
            .pop_if_empty()
            .extend(path);
        Ok(url)
    }

    pub(crate) const fn substitutions(&self) -> &BTreeMap<String, String> {
        &self.endpoints.substitutions
    }

    pub(crate) fn example_input(&self, workflow: &str) -> Option<&Value> {
        self.endpoints.example_inputs.get(workflow)
    }

    pub(crate) fn url(&self) -> &Url {
        &self.endpoints.url
    }

    /// Stops the cloud if it was started here.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.cloud {
            Some(cloud) => cloud.shutdown().await,
            None => Ok(()),
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> anyhow::Result<T> {
        let response = request
            .bearer_auth(&self.token)
            .send()
            .await
            .with_context(|| format!("the local cloud at {} does not answer", self.url()))?;
        let status = response.status();
        let body = response.bytes().await?;
        if !status.is_success() {
            return Err(refused(status, &body).into());
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{} answered with something else than its API", self.url()))
    }
}

/// A token of the local issuer for the tenant; all scopes when none are named.
pub(crate) async fn token(
    http: &reqwest::Client,
    url: &Url,
    tenant: &TenantId,
    scopes: &[String],
) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
    }
    #[derive(Deserialize)]
    struct Denied {
        error_description: String,
    }
    let mut form = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("tenant", tenant.to_string()),
    ];
    if !scopes.is_empty() {
        form.push(("scope", scopes.join(" ")));
    }
    let response = http
        .post(url.join("oauth2/token")?)
        .form(&form)
        .send()
        .await
        .with_context(|| unreachable_cloud(url))?;
    let status = response.status();
    let body = response.bytes().await?;
    if status.is_success() {
        let granted: Granted = serde_json::from_slice(&body)?;
        return Ok(granted.access_token);
    }
    match serde_json::from_slice::<Denied>(&body) {
        Ok(denied) => bail!(denied.error_description),
        Err(_) => bail!("{url} refused to issue a token: {status}"),
    }
}

/// The running cloud at `url`, or on the data folder, or one started here.
pub(crate) async fn find_or_start(
    target: &Target,
) -> anyhow::Result<(Endpoints, Option<LocalCloud>)> {
    let deadline = tokio::time::Instant::now() + STARTING;
    loop {
        match claim(&target.cloud.data)? {
            Claim::Held(lock) => {
                let options = CloudOptions::new(&target.cloud, Ports::ANY);
                let cloud = LocalCloud::start(options, lock).await?;
                return Ok((cloud.endpoints().clone(), Some(cloud)));
            }
            Claim::Taken(Some(endpoints)) => return Ok((*endpoints, None)),
            Claim::Taken(None) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Claim::Taken(None) => bail!(
                "{} is held by a stepscope process that does not serve: stop it, or choose \
                 another folder with --data",
                target.cloud.data.display()
            ),
        }
    }
}

/// The cloud that serves the data folder now, if one does.
pub(crate) fn find_running(folder: &Path) -> anyhow::Result<Option<Endpoints>> {
    if !folder.exists() {
        return Ok(None);
    }
    Ok(match claim(folder)? {
        Claim::Taken(endpoints) => endpoints.map(|endpoints| *endpoints),
        Claim::Held(_) => None,
    })
}

/// What the cloud at `url` says of itself.
pub(crate) async fn find(http: &reqwest::Client, url: &Url) -> anyhow::Result<Endpoints> {
    let response = http
        .get(url.join(".well-known/stepscope")?)
        .send()
        .await
        .with_context(|| unreachable_cloud(url))?;
    if !response.status().is_success() {
        bail!("{url} is no local cloud: it answered {}", response.status());
    }
    response
        .json()
        .await
        .map_err(|_| anyhow!("{url} is no local cloud: it does not say where its parts are"))
}

fn unreachable_cloud(url: &Url) -> String {
    format!("no local cloud answers at {url}: start one with `stepscope dev`, or correct --url")
}

fn refused(status: StatusCode, body: &[u8]) -> Refused {
    let message = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => {
            let detail = problem.detail.map(|detail| format!(": {detail}"));
            let id = problem.request_id.map(|id| format!(" (request {id})"));
            let shown = if status.is_server_error() { id } else { None };
            format!(
                "{}{}{}",
                problem.title,
                detail.unwrap_or_default(),
                shown.unwrap_or_default()
            )
        }
        Err(_) => format!("the API answered {status}"),
    };
    Refused { status, message }
}
