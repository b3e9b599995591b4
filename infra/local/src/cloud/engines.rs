//! The embedded engines, and the AWS SDK's clients that talk to them.

use std::path::PathBuf;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use lambda_process::{LOCAL_KEY, LocalService};
use local_step_functions::{LocalStepFunctions, Place};
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use trace_model::Clock;
use trace_store::{StoreConfig, TraceStore};

use super::{LOCAL_ACCOUNT, LOCAL_REGION};

pub(super) async fn open_storage(data: PathBuf) -> anyhow::Result<LocalStorage> {
    let config = LocalStorageConfig {
        loopback_credentials: LoopbackCredentials {
            access_key_id: LOCAL_KEY.to_owned(),
            secret_access_key: LOCAL_KEY.to_owned(),
        },
        durability: Durability::ProcessCrash,
    };
    let opened = tokio::task::spawn_blocking(move || LocalStorage::open(&data, config));
    Ok(opened.await??)
}

pub(super) fn place() -> Place {
    Place {
        region: LOCAL_REGION.to_owned(),
        account: LOCAL_ACCOUNT.to_owned(),
    }
}

/// The trace store on the embedded DynamoDB and S3, reached without a socket.
pub(super) fn store(storage: &LocalStorage, config: StoreConfig, clock: &Clock) -> TraceStore {
    TraceStore::new(
        in_process("dynamodb", storage.dynamodb_http_client()).dynamodb(LOCAL_REGION),
        in_process("s3", storage.s3_http_client()).s3(LOCAL_REGION),
        config,
        clock.clone(),
    )
}

pub(super) fn step_functions_client(engine: &LocalStepFunctions) -> aws_sdk_sfn::Client {
    let http_client = SharedHttpClient::new(engine.http_client());
    in_process("states", http_client).sfn(LOCAL_REGION)
}

/// The URL is what requests name; nothing resolves it.
fn in_process(name: &str, http_client: SharedHttpClient) -> LocalService {
    LocalService {
        http_client,
        endpoint_url: format!("http://{name}.{LOCAL_REGION}.internal"),
    }
}
