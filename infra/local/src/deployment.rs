//! What a command works on beside the API: the table, the bucket and Step Functions of a
//! deployed stack, or of the local cloud.

use identity::LOCAL_AUDIENCE;
use lambda_process::{AwsClients, Config, LocalService, Variable, http_client};
use trace_model::Clock;
use trace_store::TraceStore;

use crate::arguments::{Deployment, Target};
use crate::cloud::{BUCKET, Endpoints, LOCAL_ACCOUNT, LOCAL_REGION, LocalCloud, TABLE};
use crate::connection;

/// Its clients, as a function of it would have them.
pub(crate) struct OpenDeployment {
    pub config: Config,
    pub clients: AwsClients,
    pub clock: Clock,
    pub store: TraceStore,
    pub place: Place,
}

pub(crate) enum Place {
    Aws,
    Local {
        endpoints: Box<Endpoints>,
        /// Started here, so to be stopped here.
        cloud: Option<Box<LocalCloud>>,
    },
}

impl OpenDeployment {
    /// Settings that are given go before the environment's.
    pub(crate) async fn open(
        deployment: &Deployment,
        settings: impl IntoIterator<Item = (Variable, String)>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let named = deployment
            .table
            .as_deref()
            .zip(deployment.bucket.as_deref());
        let (place, own, clients) = if let Some((table, bucket)) = named {
            let own = vec![
                (Variable::Table, table.to_owned()),
                (Variable::Bucket, bucket.to_owned()),
            ];
            (Place::Aws, own, AwsClients::from_env().await)
        } else {
            let (endpoints, cloud) = find(&deployment.target).await?;
            let service = || LocalService::at(endpoints.aws_endpoint_url.as_str());
            let clients = AwsClients::local(LOCAL_REGION, service(), service(), service());
            let own = local_settings(&endpoints);
            let place = Place::Local {
                endpoints: Box::new(endpoints),
                cloud: cloud.map(Box::new),
            };
            (place, own, clients)
        };
        let config = Config::from_env_with(own.into_iter().chain(settings))?;
        let store = TraceStore::of_process(&config, &clients, clock.clone())?;
        Ok(Self {
            config,
            clients,
            clock,
            store,
            place,
        })
    }

    /// Stops the local cloud if it was started here.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.place {
            Place::Local {
                cloud: Some(cloud), ..
            } => cloud.shutdown().await,
            _ => Ok(()),
        }
    }
}

async fn find(target: &Target) -> anyhow::Result<(Endpoints, Option<LocalCloud>)> {
    match &target.url {
        Some(url) => Ok((connection::find(&http_client()?, url).await?, None)),
        None => connection::find_or_start(target).await,
    }
}

fn local_settings(endpoints: &Endpoints) -> Vec<(Variable, String)> {
    let settings = [
        (Variable::Table, TABLE),
        (Variable::Bucket, BUCKET),
        (Variable::Region, LOCAL_REGION),
        (Variable::AccountId, LOCAL_ACCOUNT),
        (
            Variable::Issuer,
            endpoints.url.as_str().trim_end_matches('/'),
        ),
        (Variable::Audience, LOCAL_AUDIENCE),
        (Variable::JwksUri, ""),
        (Variable::TenantClaim, ""),
    ];
    let settings = settings.map(|(variable, value)| (variable, value.to_owned()));
    settings.to_vec()
}
