//! Hard case 24: killed in the middle of writing, again and again, what was acknowledged is
//! there, and so is its change record. The test starts itself as the process that is killed.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use local_storage::{
    ChangeRecord, Durability, LocalStorage, LocalStorageConfig, LoopbackCredentials,
    StartingPosition,
};

const TABLE: &str = "traces";
const BUCKET: &str = "content";
const ROUNDS: usize = 3;
const ACKNOWLEDGED_BEFORE_THE_KILL: usize = 150;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[..] {
        [_, flag, folder, round] if flag == "--write-until-killed" => {
            write_until_killed(Path::new(folder), round).await;
        }
        _ => acknowledged_writes_survive_kills().await,
    }
}

async fn acknowledged_writes_survive_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        acknowledged.extend(kill_a_writer(folder.path(), round));
        check(folder.path(), &acknowledged).await;
    }
}

/// The keys that the writer had acknowledged when it died.
fn kill_a_writer(folder: &Path, round: usize) -> Vec<String> {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .arg("--write-until-killed")
        .arg(folder)
        .arg(round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut keys: Vec<String> = lines
        .by_ref()
        .take(ACKNOWLEDGED_BEFORE_THE_KILL)
        .map(Result::unwrap)
        .collect();
    writer.kill().unwrap();
    writer.wait().unwrap();
    // The last line may be cut by the kill.
    keys.extend(
        lines
            .map(Result::unwrap)
            .filter(|key| key.len() == keys_length()),
    );
    assert!(
        keys.len() >= ACKNOWLEDGED_BEFORE_THE_KILL,
        "the writer ended by itself after {}",
        keys.len()
    );
    keys
}

fn name(round: &str, number: usize) -> String {
    format!("{round}-{number:08}")
}

fn keys_length() -> usize {
    name("0", 0).len()
}

async fn check(folder: &Path, acknowledged: &BTreeSet<String>) {
    let storage = open(folder);
    let (dynamodb, s3) = clients(&storage);
    let mut stored = BTreeSet::new();
    let mut pages = dynamodb
        .scan()
        .table_name(TABLE)
        .into_paginator()
        .items()
        .send();
    while let Some(item) = pages.next().await {
        stored.insert(item.unwrap()["pk"].as_s().unwrap().clone());
    }
    assert!(stored.is_superset(acknowledged));

    let mut feed = storage
        .change_feed()
        .consumer("all", StartingPosition::TrimHorizon)
        .await
        .unwrap();
    let records = feed.next_batch(100_000, Duration::ZERO).await.unwrap();
    let recorded: Vec<String> = records.iter().map(key_of).collect();
    assert!(recorded.is_sorted(), "in the order of the writes");
    assert_eq!(
        recorded.into_iter().collect::<BTreeSet<_>>(),
        stored,
        "one record for each item, and none without"
    );

    for key in acknowledged {
        let object = s3
            .get_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        assert_eq!(object.body.collect().await.unwrap().to_vec(), body(key));
    }
}

fn key_of(record: &ChangeRecord) -> String {
    let keys = serde_json::to_value(&record.event.change.keys).unwrap();
    keys["pk"]["S"].as_str().unwrap().to_owned()
}

fn body(key: &str) -> Vec<u8> {
    key.repeat(100).into_bytes()
}

async fn write_until_killed(folder: &Path, round: &str) {
    let storage = open(folder);
    let (dynamodb, s3) = clients(&storage);
    if round == "0" {
        create_table(&dynamodb).await;
        s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    }
    let mut output = std::io::stdout();
    for number in 0.. {
        let key = name(round, number);
        s3.put_object()
            .bucket(BUCKET)
            .key(&key)
            .body(body(&key).into())
            .send()
            .await
            .unwrap();
        dynamodb
            .put_item()
            .table_name(TABLE)
            .item("pk", AttributeValue::S(key.clone()))
            .send()
            .await
            .unwrap();
        writeln!(output, "{key}")
            .and_then(|()| output.flush())
            .unwrap();
    }
}

fn open(folder: &Path) -> LocalStorage {
    let loopback_credentials = LoopbackCredentials {
        access_key_id: "local".to_owned(),
        secret_access_key: "local".to_owned(),
    };
    let config = LocalStorageConfig {
        durability: Durability::ProcessCrash,
        loopback_credentials,
    };
    LocalStorage::open(folder, config).unwrap()
}

fn clients(storage: &LocalStorage) -> (aws_sdk_dynamodb::Client, aws_sdk_s3::Client) {
    let credentials = Credentials::new("local", "local", None, None, "test");
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials.clone())
        .http_client(storage.dynamodb_http_client());
    let s3 = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .http_client(storage.s3_http_client());
    (
        aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
        aws_sdk_s3::Client::from_conf(s3.build()),
    )
}

async fn create_table(client: &aws_sdk_dynamodb::Client) {
    let attribute = AttributeDefinition::builder()
        .attribute_name("pk")
        .attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder()
        .attribute_name("pk")
        .key_type(KeyType::Hash);
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(key.build().unwrap())
        .send()
        .await
        .unwrap();
}
