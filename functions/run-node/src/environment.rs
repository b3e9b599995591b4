use lambda_process::{AllowedAddress, Config, StartError};
use trace_store::TraceStore;
use tracer::WorkflowTracer;
use url::Url;

use crate::network::Network;
use crate::nodes::llm::Models;

/// What the nodes of a process share. Made once, when the process starts.
pub struct NodeEnvironment {
    tracer: WorkflowTracer,
    store: TraceStore,
    network: Network,
    models: Models,
}

#[derive(Clone, Debug, Default)]
pub struct NodeSettings {
    pub models: ModelSettings,
    /// Addresses that `http` may reach though they are private: `STEPSCOPE_HTTP_ALLOW`.
    pub http_allow: Vec<AllowedAddress>,
}

/// Where models are. The providers' keys are in their usual variables, which genai reads.
#[derive(Clone, Debug, Default)]
pub struct ModelSettings {
    /// `STEPSCOPE_MODEL`: for nodes that name none.
    pub model: Option<String>,
    /// `STEPSCOPE_MODEL_BASE_URL`: an endpoint in the OpenAI protocol, for all models that are
    /// named without a provider. It may be private. `OPENAI_API_KEY`, if set, is sent to it.
    pub base_url: Option<Url>,
    /// Where `stepscope dev` serves `demo-model`.
    pub demo_url: Option<Url>,
}

impl NodeEnvironment {
    /// `store` takes artifacts and large values. Fails when the system's TLS roots cannot be
    /// read.
    pub fn new(
        tracer: WorkflowTracer,
        store: TraceStore,
        settings: NodeSettings,
    ) -> Result<Self, StartError> {
        let network = Network::new(settings.http_allow)?;
        Ok(Self {
            models: Models::new(settings.models, &network),
            tracer,
            store,
            network,
        })
    }

    pub const fn tracer(&self) -> &WorkflowTracer {
        &self.tracer
    }

    pub(crate) const fn store(&self) -> &TraceStore {
        &self.store
    }

    pub(crate) const fn network(&self) -> &Network {
        &self.network
    }

    pub(crate) const fn models(&self) -> &Models {
        &self.models
    }
}

impl From<&Config> for NodeSettings {
    fn from(config: &Config) -> Self {
        Self {
            models: ModelSettings {
                model: config.model.clone(),
                base_url: config.model_base_url.clone(),
                demo_url: None,
            },
            http_allow: config.http_allow.clone(),
        }
    }
}
