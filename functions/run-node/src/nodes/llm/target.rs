use genai::adapter::AdapterKind;
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, Headers, ModelIden, ModelName, ModelSpec, ServiceTarget};
use reqwest::Client as HttpClient;
use tracer::ModelCall;
use url::Url;

use crate::environment::ModelSettings;
use crate::error::NodeError;
use crate::network::{Network, short};
use crate::parameters::nearest;

/// What `stepscope dev` serves.
const DEMO_MODEL: &str = "demo-model";
/// As the price table knows it: free, which is not the same as unknown.
const DEMO_PROVIDER: &str = "stepscope-demo";
/// genai knows these by a local address of their own, which is no author's to reach.
const LOCAL_PROVIDERS: [AdapterKind; 2] = [AdapterKind::Ollama, AdapterKind::Omlx];

/// Which model is where.
pub(crate) struct Models {
    settings: ModelSettings,
    /// For endpoints that an author may name.
    public: Client,
    /// For those that whoever runs the process named.
    named: Client,
}

/// A model to be called.
pub(super) struct Target<'a> {
    pub(super) client: &'a Client,
    pub(super) spec: ModelSpec,
    pub(super) model: String,
    /// OpenTelemetry's name of the provider.
    pub(super) provider: &'static str,
    server: Option<Url>,
}

impl Models {
    pub(crate) fn new(settings: ModelSettings, network: &Network) -> Self {
        Self {
            public: client(network.public().clone()),
            named: client(network.named().clone()),
            settings,
        }
    }

    pub(super) fn choose(
        &self,
        model: Option<&str>,
        base_url: Option<&str>,
        network: &Network,
    ) -> Result<Target<'_>, NodeError> {
        let model = model
            .or(self.settings.model.as_deref())
            .unwrap_or(DEMO_MODEL);
        if let (None, Some(name)) = (base_url, of_the_demo(model)) {
            let settings = &self.settings;
            let url = settings.demo_url.as_ref().or(settings.base_url.as_ref());
            return url.map(|url| self.demo(name, url)).ok_or_else(no_demo);
        }
        let (provider, name) = split(model)?;
        if let Some(text) = base_url {
            let url = parse_base_url(text)?;
            let kind = provider.unwrap_or(AdapterKind::OpenAI);
            if self.settings.base_url.as_ref().map(directory) == Some(directory(&url)) {
                return Ok(self.configured(kind, name, &url));
            }
            network
                .client_for(&url)
                .map_err(|refused| NodeError::LlmAddressRefused {
                    model: format!("{model} ({})", short(&url)),
                    refused,
                })?;
            // No key: it would be sent wherever an author says.
            return Ok(at(&self.public, kind, name, &url, AuthData::None));
        }
        match (provider, &self.settings.base_url, &self.settings.demo_url) {
            (None, _, Some(demo)) if name == DEMO_MODEL => Ok(self.demo(name, demo)),
            (None, Some(base_url), _) => Ok(self.configured(AdapterKind::OpenAI, name, base_url)),
            (None, None, _) if name == DEMO_MODEL => Err(no_demo()),
            (provider, ..) => self.by_name(provider, model),
        }
    }

    fn demo(&self, name: &str, url: &Url) -> Target<'_> {
        Target {
            provider: DEMO_PROVIDER,
            ..at(&self.named, AdapterKind::OpenAI, name, url, AuthData::None)
        }
    }

    fn configured(&self, kind: AdapterKind, name: &str, url: &Url) -> Target<'_> {
        let key = kind
            .default_key_env_name()
            .map(AuthData::from_env)
            .and_then(|key| key.single_key_value().ok());
        at(
            &self.named,
            kind,
            name,
            url,
            key.map_or(AuthData::None, AuthData::Key),
        )
    }

    fn by_name(&self, provider: Option<AdapterKind>, model: &str) -> Result<Target<'_>, NodeError> {
        let kind = AdapterKind::from_model(model)
            .map_err(|error| NodeError::parameter("model", error.to_string()))?;
        if LOCAL_PROVIDERS.contains(&kind) {
            let problem = match provider {
                Some(_) => {
                    format!("{model:?} is on a private address; set STEPSCOPE_MODEL_BASE_URL to it")
                }
                None => format!(
                    "no provider is known for {model:?}; write provider::{model}, give base_url, \
                     or set STEPSCOPE_MODEL_BASE_URL"
                ),
            };
            return Err(NodeError::parameter("model", problem));
        }
        Ok(Target {
            client: &self.public,
            spec: ModelSpec::Iden(ModelIden::new(kind, model)),
            model: ModelName::from(model).namespace_and_name().1.to_owned(),
            provider: provider_name(kind),
            server: None,
        })
    }
}

impl Target<'_> {
    pub(super) fn describe(&self, span: &ModelCall) {
        let Some(server) = &self.server else { return };
        if let Some(host) = server.host_str() {
            span.set("server.address", host);
        }
        if let Some(port) = server.port_or_known_default() {
            span.set("server.port", port);
        }
    }
}

/// genai's clients differ in what they can reach, and in nothing else.
fn client(http: HttpClient) -> Client {
    Client::builder()
        .with_reqwest(http)
        .build()
        .expect("a client that is given its HTTP client has nothing left to fail at")
}

fn at<'a>(
    client: &'a Client,
    kind: AdapterKind,
    name: &str,
    url: &Url,
    auth: AuthData,
) -> Target<'a> {
    let base = directory(url);
    let auth = match (auth, kind) {
        // Without a key there is to be no header at all, which genai has for overrides only.
        (AuthData::None, AdapterKind::OpenAI) => AuthData::RequestOverride {
            url: format!("{base}chat/completions"),
            headers: Headers::default(),
        },
        (AuthData::None, _) => AuthData::Key("none".to_owned()),
        (auth, _) => auth,
    };
    Target {
        client,
        spec: ModelSpec::from_target(ServiceTarget {
            endpoint: Endpoint::from_owned(base),
            auth,
            model: ModelIden::new(kind, name),
        }),
        model: name.to_owned(),
        provider: provider_name(kind),
        server: Some(url.clone()),
    }
}

/// `stepscope-demo::name`: said by who configures the process, for another process's demo model
/// looks like any model at that address, whose price nobody knows.
fn of_the_demo(model: &str) -> Option<&str> {
    model.strip_prefix(DEMO_PROVIDER)?.strip_prefix("::")
}

fn no_demo() -> NodeError {
    NodeError::parameter(
        "model",
        "demo-model is served by `stepscope dev` only; name a model, or set \
         STEPSCOPE_MODEL and STEPSCOPE_MODEL_BASE_URL",
    )
}

/// `provider::name`, where it is a provider's; names themselves may hold a colon.
fn split(model: &str) -> Result<(Option<AdapterKind>, &str), NodeError> {
    let Some((namespace, name)) = model.split_once("::") else {
        return Ok((None, model));
    };
    if let Some(kind) = AdapterKind::from_lower_str(namespace) {
        return Ok((Some(kind), name));
    }
    let known = AdapterKind::all().iter().map(AdapterKind::as_lower_str);
    let suggestion = crate::error::did_you_mean(nearest(&namespace.to_lowercase(), known));
    let problem = format!("no provider {namespace:?} is known{suggestion}");
    Err(NodeError::parameter("model", problem))
}

fn parse_base_url(text: &str) -> Result<Url, NodeError> {
    let invalid = |problem: String| NodeError::parameter("base_url", problem);
    let url = Url::parse(text)
        .map_err(|error| invalid(format!("not a URL: {error}; expected https://host/v1/")))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(invalid(format!(
            "scheme {scheme:?}: expected http or https"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(invalid("expected no credentials and no query".to_owned()));
    }
    Ok(url)
}

/// As a directory, which is how genai joins paths to it.
fn directory(url: &Url) -> String {
    let text = short(url);
    if text.ends_with('/') {
        text
    } else {
        text + "/"
    }
}

/// OpenTelemetry's well-known values for `gen_ai.provider.name`; else genai's name.
fn provider_name(kind: AdapterKind) -> &'static str {
    match kind {
        AdapterKind::OpenAI | AdapterKind::OpenAIResp => "openai",
        AdapterKind::Gemini | AdapterKind::GeminiIx => "gcp.gemini",
        AdapterKind::Vertex => "gcp.vertex_ai",
        AdapterKind::BedrockApi => "aws.bedrock",
        AdapterKind::Mistral => "mistral_ai",
        AdapterKind::Xai => "x_ai",
        AdapterKind::Moonshot | AdapterKind::Kimi => "moonshot_ai",
        other => other.as_lower_str(),
    }
}
