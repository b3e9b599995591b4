//! Everything that a local cloud has kept, said or sent, down to the bytes.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_process::LocalService;

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
/// More than any frame of the test unfolds to.
const LARGEST_FRAME: u64 = 8 << 20;

/// Bytes by where they were found.
#[derive(Default)]
pub(crate) struct Evidence {
    pub(crate) found: BTreeMap<String, Vec<u8>>,
    /// Items and objects that were compressed.
    pub(crate) unfolded: usize,
    /// Objects that no trace has a part in: artifacts, and values by reference.
    pub(crate) own_data: Vec<Vec<u8>>,
}

impl Evidence {
    pub(crate) fn add(&mut self, sink: impl Into<String>, bytes: &[u8]) {
        let kept = self.found.entry(sink.into()).or_default();
        kept.extend(bytes);
        kept.push(b'\n');
    }

    /// What is compressed is unfolded too.
    fn add_stored(&mut self, sink: &str, bytes: &[u8]) {
        self.add(sink, bytes);
        if bytes.starts_with(&ZSTD) {
            let unfolded = zstd::decode_all(bytes).unwrap();
            self.unfolded += 1;
            self.add(format!("{sink}, unfolded"), &unfolded);
        }
    }

    /// All files but those that hold the workflow's own data, the engine's and the objects that
    /// were found to be such; in each what
    /// looks like a compressed frame, unfolded as far as it goes.
    pub(crate) fn add_files(&mut self, moment: &str, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                self.add_files(moment, &path);
            } else if !name.starts_with("step-functions.db") {
                // A file may go between listing and reading, as a write-ahead log does.
                let Ok(bytes) = std::fs::read(&path) else {
                    continue;
                };
                let sink = format!("file {name} {moment}");
                if self.own_data.contains(&bytes) {
                    continue;
                }
                self.add(
                    format!("{sink}, its path"),
                    path.to_string_lossy().as_bytes(),
                );
                for start in 0..bytes.len() {
                    let rest = &bytes[start..];
                    if rest.starts_with(&ZSTD)
                        && let Ok(decoder) = zstd::stream::read::Decoder::new(rest)
                    {
                        self.add_decoded(&sink, decoder.single_frame());
                    } else if rest.starts_with(&GZIP) {
                        self.add_decoded(&sink, flate2::read::GzDecoder::new(rest));
                    }
                }
                self.add(sink, &bytes);
            }
        }
    }

    fn add_decoded(&mut self, sink: &str, decoder: impl std::io::Read) {
        let mut unfolded = Vec::new();
        let _ends_where_the_page_ends = decoder.take(LARGEST_FRAME).read_to_end(&mut unfolded);
        self.add(format!("{sink}, unfolded"), &unfolded);
    }

    /// All items of all tables, through DynamoDB's own protocol.
    pub(crate) async fn add_tables(&mut self, aws_endpoint_url: &str) {
        let client = LocalService::at(aws_endpoint_url).dynamodb("us-east-1");
        let tables = client.list_tables().send().await.unwrap();
        for table in tables.table_names() {
            let mut items = client
                .scan()
                .table_name(table)
                .into_paginator()
                .items()
                .send();
            while let Some(item) = items.next().await {
                for (name, value) in &item.unwrap() {
                    self.add_attribute(&format!("table {table}, attribute {name}"), value);
                }
            }
        }
    }

    fn add_attribute(&mut self, sink: &str, value: &AttributeValue) {
        match value {
            AttributeValue::B(bytes) => self.add_stored(sink, bytes.as_ref()),
            AttributeValue::S(text) | AttributeValue::N(text) => self.add(sink, text.as_bytes()),
            AttributeValue::L(values) => {
                for value in values {
                    self.add_attribute(sink, value);
                }
            }
            AttributeValue::M(values) => {
                for (name, value) in values {
                    self.add(sink, name.as_bytes());
                    self.add_attribute(sink, value);
                }
            }
            other => self.add(sink, format!("{other:?}").as_bytes()),
        }
    }

    /// All objects of all buckets, with what S3 says of them.
    pub(crate) async fn add_objects(&mut self, aws_endpoint_url: &str) -> usize {
        let client = LocalService::at(aws_endpoint_url).s3("us-east-1");
        let mut count = 0;
        let buckets = client.list_buckets().send().await.unwrap();
        for bucket in buckets.buckets() {
            let bucket = bucket.name().unwrap();
            let pages = client
                .list_objects_v2()
                .bucket(bucket)
                .send()
                .await
                .unwrap();
            assert_eq!(
                pages.is_truncated(),
                Some(false),
                "one page holds the test's objects"
            );
            for object in pages.contents() {
                let key = object.key().unwrap();
                let object = client
                    .get_object()
                    .bucket(bucket)
                    .key(key)
                    .send()
                    .await
                    .unwrap();
                let head = format!("{key} {:?} {:?}", object.content_type(), object.metadata());
                self.add(format!("bucket {bucket}, about an object"), head.as_bytes());
                let body = object.body.collect().await.unwrap().into_bytes();
                count += 1;
                if key.starts_with("payloads/acme/") || key.contains("/artifacts/") {
                    self.own_data.push(body.to_vec());
                } else {
                    self.add_stored(&format!("bucket {bucket}"), &body);
                }
            }
        }
        count
    }
}
