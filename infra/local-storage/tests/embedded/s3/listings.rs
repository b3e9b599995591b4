use aws_sdk_s3::error::ProvideErrorMetadata;

use super::put;
use crate::fixture::{BUCKET, Cloud};

/// Every page size gives the same listing, which is what folding all keys by hand gives.
#[tokio::test]
async fn listings_are_in_byte_order_and_whole_at_every_page_size() {
    let (_cloud, client) = Cloud::with_bucket().await;
    let mut keys = vec![
        "a",
        "a/",
        "a/1",
        "a/1/x",
        "a/2",
        "a0",
        "b//c",
        "b/c",
        "é",
        "z\u{10ffff}",
        "z\u{10ffff}/1",
        "A",
        "\u{d7ff}/1",
        "\u{e000}",
        "\u{1f600}",
    ];
    for key in &keys {
        put(&client, key, "x").await;
    }
    keys.sort_unstable();
    for prefix in ["", "a", "a/", "b/", "z\u{10ffff}", "none"] {
        for delimiter in [None, Some("/"), Some("0")] {
            let expected = folded(&keys, prefix, delimiter);
            for page_size in [1, 2, 3, 7, 1_000] {
                let mut pages = client
                    .list_objects_v2()
                    .bucket(BUCKET)
                    .prefix(prefix)
                    .set_delimiter(delimiter.map(str::to_owned))
                    .into_paginator()
                    .page_size(page_size)
                    .send();
                let mut listed = Vec::new();
                while let Some(page) = pages.next().await {
                    let page = page.unwrap();
                    let count = page.contents().len() + page.common_prefixes().len();
                    assert!(count <= usize::try_from(page_size).unwrap());
                    assert_eq!(page.key_count(), i32::try_from(count).ok());
                    let mut entries: Vec<String> = page
                        .contents()
                        .iter()
                        .map(|object| object.key().unwrap().to_owned())
                        .collect();
                    entries.extend(
                        page.common_prefixes()
                            .iter()
                            .map(|common| common.prefix().unwrap().to_owned()),
                    );
                    entries.sort_unstable();
                    listed.extend(entries);
                }
                assert_eq!(listed, expected, "{prefix:?} {delimiter:?} {page_size}");
            }
        }
    }
}

fn folded(keys: &[&str], prefix: &str, delimiter: Option<&str>) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for key in keys {
        let Some(rest) = key.strip_prefix(prefix) else {
            continue;
        };
        let entry = match delimiter
            .and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()))
        {
            Some(end) => format!("{prefix}{}", &rest[..end]),
            None => (*key).to_owned(),
        };
        if entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    entries
}

#[tokio::test]
async fn a_listing_has_etags_sizes_and_starts_after_a_key() {
    let (_cloud, client) = Cloud::with_bucket().await;
    let etag = put(&client, "b", "body").await;
    put(&client, "a", "").await;
    let listed = client
        .list_objects_v2()
        .bucket(BUCKET)
        .start_after("a")
        .send()
        .await
        .unwrap();
    let object = &listed.contents()[0];
    assert_eq!(
        (object.key(), object.e_tag(), object.size()),
        (Some("b"), Some(etag.as_str()), Some(4))
    );
    assert!(object.last_modified().unwrap().secs() > 1_700_000_000);
    assert_eq!(listed.contents().len(), 1);
    let bad = client
        .list_objects_v2()
        .bucket(BUCKET)
        .continuation_token("zz")
        .send()
        .await
        .unwrap_err();
    assert_eq!(bad.code(), Some("InvalidArgument"));
}
