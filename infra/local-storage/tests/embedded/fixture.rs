use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType,
};
use local_storage::{Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials};
use tempfile::TempDir;

pub(crate) const ACCESS_KEY_ID: &str = "local-access-key";
pub(crate) const SECRET_ACCESS_KEY: &str = "local-secret-key";
pub(crate) const TABLE: &str = "traces";
pub(crate) const BUCKET: &str = "content";

/// A data folder of its own, open.
pub(crate) struct Cloud {
    pub(crate) folder: TempDir,
    pub(crate) storage: LocalStorage,
}

impl Cloud {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = open(folder.path());
        Self { folder, storage }
    }

    pub(crate) async fn with_table() -> (Self, aws_sdk_dynamodb::Client) {
        let cloud = Self::start();
        let client = cloud.dynamodb();
        create_table(&client).await;
        (cloud, client)
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        dynamodb_client(&self.storage)
    }

    pub(crate) async fn with_bucket() -> (Self, aws_sdk_s3::Client) {
        let cloud = Self::start();
        let client = s3_client(&cloud.storage);
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        (cloud, client)
    }

    /// Every file that holds a body, or part of one that is on its way.
    pub(crate) fn blob_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![
            self.folder.path().join("s3/blobs"),
            self.folder.path().join("s3/incoming"),
        ];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files
    }

    /// What a process finds that starts after this one was killed now: the files as they are,
    /// without anything that closing would still have written.
    pub(crate) fn killed(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), folder.path());
        let storage = open(folder.path());
        Self { folder, storage }
    }
}

pub(crate) fn config() -> LocalStorageConfig {
    LocalStorageConfig {
        durability: Durability::ProcessCrash,
        loopback_credentials: LoopbackCredentials {
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: SECRET_ACCESS_KEY.to_owned(),
        },
    }
}

pub(crate) fn open(folder: &Path) -> LocalStorage {
    LocalStorage::open(folder, config()).unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn dynamodb_client(storage: &LocalStorage) -> aws_sdk_dynamodb::Client {
    let config = dynamodb_config()
        .http_client(storage.dynamodb_http_client())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

pub(crate) fn s3_client(storage: &LocalStorage) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(s3_config().http_client(storage.s3_http_client()).build())
}

pub(crate) fn s3_config() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(credentials())
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
}

pub(crate) fn dynamodb_config() -> aws_sdk_dynamodb::config::Builder {
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
        .credentials_provider(credentials())
}

pub(crate) fn credentials() -> aws_credential_types::Credentials {
    aws_credential_types::Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test")
}

pub(crate) async fn create_table(client: &aws_sdk_dynamodb::Client) {
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(
            ["pk", "sk", "by_start", "start"]
                .map(attribute_definition)
                .to_vec(),
        ))
        .set_key_schema(Some(key_schema("pk", "sk")))
        .global_secondary_indexes(
            GlobalSecondaryIndex::builder()
                .index_name("by-start")
                .set_key_schema(Some(key_schema("by_start", "start")))
                .projection(
                    Projection::builder()
                        .projection_type(ProjectionType::All)
                        .build(),
                )
                .build()
                .unwrap(),
        )
        .send()
        .await
        .unwrap();
}

fn attribute_definition(name: &str) -> AttributeDefinition {
    let kind = if name == "start" {
        ScalarAttributeType::N
    } else {
        ScalarAttributeType::S
    };
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind)
        .build()
        .unwrap()
}

fn key_schema(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    [(partition, KeyType::Hash), (sort, KeyType::Range)]
        .map(|(name, kind)| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
                .unwrap()
        })
        .to_vec()
}

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn key(pk: &str, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

pub(crate) fn item(pk: &str, sk: &str, attributes: &[(&str, AttributeValue)]) -> Item {
    let mut item = key(pk, sk);
    item.extend(
        attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    item
}

pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(crate) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) async fn put(client: &aws_sdk_dynamodb::Client, item: Item) {
    client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(item))
        .send()
        .await
        .unwrap();
}

pub(crate) async fn get(client: &aws_sdk_dynamodb::Client, pk: &str, sk: &str) -> Option<Item> {
    client
        .get_item()
        .table_name(TABLE)
        .set_key(Some(key(pk, sk)))
        .send()
        .await
        .unwrap()
        .item
}
