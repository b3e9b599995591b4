//! API keys, in the local cloud or, with `--table`, in a deployed one.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use identity::{API_KEY_CACHE, ApiKeys, NewApiKey, Scope};
use lambda_process::{AwsClients, LocalService, http_client};
use redaction::Policy;
use serde_json::{Value, json};
use trace_model::{Clock, TenantId, Timestamp};
use trace_store::{Revocation, StoreConfig, StoredApiKey, TraceStore};

use crate::arguments::Target;
use crate::cloud::{LOCAL_REGION, LocalCloud, TABLE};
use crate::connection;
use crate::terminal::{say, warn};
use crate::view::safe;

#[derive(Debug, Args)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key and print it: it is shown this once, and kept as a hash.
    Create(CreateArguments),
    /// List a tenant's keys.
    List(ListArguments),
    /// Revoke a key for good; it stops within a minute.
    Revoke(RevokeArguments),
}

/// Whose keys, and where.
#[derive(Debug, Args)]
struct Place {
    #[arg(long, default_value_t)]
    tenant: TenantId,
    /// The table of a deployed stack (its output `TableName`), reached with your AWS credentials
    /// and region, instead of the local cloud's.
    #[arg(long, value_name = "NAME", env = "STEPSCOPE_TABLE")]
    table: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
struct CreateArguments {
    /// What the key is for, so that people know it again.
    #[arg(long)]
    name: String,
    /// What it may do; may be repeated.
    #[arg(long, value_name = "SCOPE", default_value = Scope::TracesWrite.as_str())]
    scope: Vec<Scope>,
    /// After how many days it ends by itself.
    #[arg(long, value_name = "DAYS", default_value_t = 365,
          value_parser = clap::value_parser!(u32).range(1..=3650))]
    expires_in_days: u32,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct RevokeArguments {
    /// The key's id, as `stepscope keys list` shows it: in the key itself what stands before
    /// the last underscore.
    id: String,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn keys(arguments: KeysArguments) -> anyhow::Result<ExitCode> {
    let place = match &arguments.command {
        KeysCommand::Create(create) => &create.place,
        KeysCommand::List(list) => &list.place,
        KeysCommand::Revoke(revoke) => &revoke.place,
    };
    let (keys, cloud) = open(place).await?;
    let done = match &arguments.command {
        KeysCommand::Create(arguments) => create(&keys, arguments).await,
        KeysCommand::List(arguments) => list(&keys, arguments).await,
        KeysCommand::Revoke(arguments) => revoke(&keys, arguments).await,
    };
    if let Some(cloud) = cloud {
        cloud.shutdown().await?;
    }
    done.map(|()| ExitCode::SUCCESS)
}

/// The keys' table, and the local cloud if it was started for it.
async fn open(place: &Place) -> anyhow::Result<(ApiKeys, Option<LocalCloud>)> {
    let clock = Clock::system();
    // No key has anything in the bucket.
    let store = |dynamodb, s3, table: &str| {
        let config = StoreConfig::new(table, String::new());
        ApiKeys::new(TraceStore::new(dynamodb, s3, config, clock.clone()))
    };
    if let Some(table) = &place.table {
        let clients = AwsClients::from_env().await;
        let keys = store(clients.dynamodb().clone(), clients.s3().clone(), table);
        return Ok((keys, None));
    }
    let (endpoints, cloud) = match &place.target.url {
        Some(url) => (connection::find(&http_client()?, url).await?, None),
        None => connection::find_or_start(&place.target).await?,
    };
    let service = || LocalService::at(endpoints.aws_endpoint_url.as_str());
    let (dynamodb, s3) = (service().dynamodb(LOCAL_REGION), service().s3(LOCAL_REGION));
    Ok((store(dynamodb, s3, TABLE), cloud))
}

async fn create(keys: &ApiKeys, arguments: &CreateArguments) -> anyhow::Result<()> {
    let new = NewApiKey {
        tenant: arguments.place.tenant.clone(),
        name: Policy::standard()
            .redact_text(&arguments.name)
            .as_str()
            .to_owned(),
        scopes: arguments.scope.iter().copied().collect(),
        lifetime: Duration::from_hours(24) * arguments.expires_in_days,
    };
    let (key, stored) = keys.create(&new, Clock::system().now()).await?;
    if arguments.json {
        let mut shown = described(&stored);
        shown["key"] = json!(key.reveal());
        say(&serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    say(key.reveal());
    warn(&format!(
        "for the tenant {}, with {}, until {}; it is not shown again. Send it as x-api-key, or as \
         a bearer token",
        stored.tenant,
        stored.scopes.join(" "),
        date(stored.expires_at)
    ));
    Ok(())
}

async fn list(keys: &ApiKeys, arguments: &ListArguments) -> anyhow::Result<()> {
    let tenant = &arguments.place.tenant;
    let keys = keys.list(tenant).await?;
    if arguments.json {
        let keys: Vec<_> = keys.iter().map(described).collect();
        say(&serde_json::to_string_pretty(&json!({ "keys": keys }))?);
        return Ok(());
    }
    if keys.is_empty() {
        warn(&format!(
            "the tenant {tenant} has no keys: make one with `stepscope keys create --tenant \
             {tenant} --name NAME`"
        ));
    }
    for key in keys {
        let state = match key.revoked_at {
            Some(revoked_at) => format!("revoked {}", date(revoked_at)),
            None => format!("until {}", date(key.expires_at)),
        };
        say(&format!(
            "{}  …{}  {state:<18}  {}  {}",
            key.id,
            key.last_four,
            key.scopes.join(" "),
            safe(&key.name)
        ));
    }
    Ok(())
}

async fn revoke(keys: &ApiKeys, arguments: &RevokeArguments) -> anyhow::Result<()> {
    let RevokeArguments { id, place } = arguments;
    match keys.revoke(&place.tenant, id).await? {
        Revocation::Revoked => warn(&format!(
            "revoked: processes that know the key take it for {} more seconds at most",
            API_KEY_CACHE.as_secs()
        )),
        Revocation::AlreadyRevoked => warn("it was revoked before"),
        Revocation::NoSuchKey => bail!(
            "the tenant {} has no key {id:?}: `stepscope keys list` shows the ids",
            place.tenant
        ),
    }
    Ok(())
}

fn described(key: &StoredApiKey) -> Value {
    json!({
        "id": key.id,
        "tenant": key.tenant,
        "name": key.name,
        "scopes": key.scopes,
        "last_four": key.last_four,
        "created_at": key.created_at.to_rfc3339(),
        "expires_at": key.expires_at.to_rfc3339(),
        "revoked_at": key.revoked_at.map(Timestamp::to_rfc3339),
    })
}

fn date(time: Timestamp) -> String {
    time.to_rfc3339().chars().take(10).collect()
}
