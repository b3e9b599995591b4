use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete,
    MetadataDirective, ObjectIdentifier,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{BUCKET, Cloud, open, s3_client, s3_config};

const PART: usize = 5 * 1024 * 1024;

async fn put(client: &Client, key: &str, body: impl Into<Vec<u8>>) -> String {
    let body = ByteStream::from(body.into());
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(body)
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap()
}

async fn get(client: &Client, key: &str) -> Vec<u8> {
    let answer = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .unwrap();
    answer.body.collect().await.unwrap().to_vec()
}

fn status<E>(error: &SdkError<E>) -> u16 {
    error.raw_response().unwrap().status().as_u16()
}

#[tokio::test]
async fn an_object_comes_back_with_all_it_was_put_with() {
    let (_cloud, client) = Cloud::with_bucket().await;
    client
        .put_object()
        .bucket(BUCKET)
        .key("t/acme/prompt é+ %2F.json")
        .body(ByteStream::from_static(b"{\"a\":1}"))
        .content_type("application/json")
        .content_disposition("attachment")
        .content_encoding("zstd")
        .cache_control("no-store")
        .metadata("tenant", "acme")
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .send()
        .await
        .unwrap();
    let read = client
        .get_object()
        .bucket(BUCKET)
        .key("t/acme/prompt é+ %2F.json")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(read.content_type(), Some("application/json"));
    assert_eq!(read.content_disposition(), Some("attachment"));
    assert_eq!(read.content_encoding(), Some("zstd"));
    assert_eq!(read.cache_control(), Some("no-store"));
    assert_eq!(read.metadata().unwrap()["tenant"], "acme");
    assert_eq!(read.content_length(), Some(7));
    assert_eq!(
        read.checksum_sha256(),
        Some("AVq9f1zFei3ZS3WQ8ErYCEJzkF7jPsXOvq5iJ2qX+GI=")
    );
    assert_eq!(read.body.collect().await.unwrap().to_vec(), b"{\"a\":1}");

    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("t/acme/prompt é+ %2F.json")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.content_length(), head.content_type()),
        (Some(7), Some("application/json"))
    );
    let overridden = client
        .get_object()
        .bucket(BUCKET)
        .key("t/acme/prompt é+ %2F.json")
        .response_content_type("text/plain")
        .response_content_disposition("attachment; filename=prompt.txt")
        .send()
        .await
        .unwrap();
    assert_eq!(overridden.content_type(), Some("text/plain"));
    assert_eq!(
        overridden.content_disposition(),
        Some("attachment; filename=prompt.txt")
    );
}

#[tokio::test]
async fn a_bad_checksum_is_refused_and_the_old_object_stays_whole() {
    let (cloud, client) = Cloud::with_bucket().await;
    put(&client, "key", "the old object").await;
    let announce = || {
        client
            .put_object()
            .bucket(BUCKET)
            .key("key")
            .body(ByteStream::from_static(b"the new object"))
    };
    let zeros = |bytes: usize| match bytes {
        4 => "AAAAAA==",
        16 => "AAAAAAAAAAAAAAAAAAAAAA==",
        _ => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    };
    for refused in [
        announce().checksum_crc32(zeros(4)).send().await,
        announce().checksum_crc32_c(zeros(4)).send().await,
        announce().checksum_sha256(zeros(32)).send().await,
        announce().content_md5(zeros(16)).send().await,
    ] {
        assert_eq!(refused.unwrap_err().code(), Some("BadDigest"));
    }
    assert_eq!(
        announce()
            .content_md5("short")
            .send()
            .await
            .unwrap_err()
            .code(),
        Some("InvalidDigest")
    );
    assert_eq!(get(&client, "key").await, b"the old object");
    assert_eq!(cloud.blob_files().len(), 1);

    announce()
        .checksum_algorithm(ChecksumAlgorithm::Crc32C)
        .send()
        .await
        .unwrap();
    assert_eq!(get(&client, "key").await, b"the new object");
    assert_eq!(
        cloud.blob_files().len(),
        1,
        "the file of the replaced object is gone"
    );
}

#[tokio::test]
async fn a_conditional_put_creates_once_and_replaces_only_what_it_knows() {
    let (cloud, client) = Cloud::with_bucket().await;
    let conditional = || {
        client
            .put_object()
            .bucket(BUCKET)
            .key("key")
            .body(ByteStream::from_static(b"new"))
    };
    let missing = conditional().if_match("\"0123\"").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("NoSuchKey"));
    conditional().if_none_match("*").send().await.unwrap();
    let exists = conditional().if_none_match("*").send().await.unwrap_err();
    assert_eq!(
        (status(&exists), exists.code()),
        (412, Some("PreconditionFailed"))
    );

    let etag = put(&client, "key", "known").await;
    assert_eq!(
        status(&conditional().if_match("\"0123\"").send().await.unwrap_err()),
        412
    );
    assert_eq!(get(&client, "key").await, b"known");
    conditional().if_match(etag).send().await.unwrap();
    assert_eq!(get(&client, "key").await, b"new");
    assert_eq!(cloud.blob_files().len(), 1);
}

#[tokio::test]
async fn a_conditional_get_saves_the_body() {
    let (_cloud, client) = Cloud::with_bucket().await;
    let etag = put(&client, "key", "body").await;
    let request = || client.get_object().bucket(BUCKET).key("key");
    assert_eq!(
        status(&request().if_none_match(&etag).send().await.unwrap_err()),
        304
    );
    assert_eq!(
        status(&request().if_match("\"0123\"").send().await.unwrap_err()),
        412
    );
    assert_eq!(
        status(
            &request()
                .if_modified_since(DateTime::from_secs(4_000_000_000))
                .send()
                .await
                .unwrap_err()
        ),
        304
    );
    assert_eq!(
        status(
            &request()
                .if_unmodified_since(DateTime::from_secs(1_000))
                .send()
                .await
                .unwrap_err()
        ),
        412
    );
    assert!(
        request()
            .if_match(&etag)
            .if_none_match("\"0123\"")
            .send()
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let (_cloud, client) = Cloud::with_bucket().await;
    let missing = client
        .get_object()
        .bucket(BUCKET)
        .key("absent")
        .send()
        .await
        .unwrap_err();
    assert!(missing.into_service_error().is_no_such_key());
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("absent")
        .send()
        .await
        .unwrap_err();
    assert!(head.into_service_error().is_not_found());
    let no_bucket = client
        .put_object()
        .bucket("absent")
        .key("key")
        .send()
        .await
        .unwrap_err();
    assert_eq!(no_bucket.code(), Some("NoSuchBucket"));
    assert!(
        client
            .head_bucket()
            .bucket("absent")
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_not_found()
    );
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    let again = client
        .create_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap_err();
    assert!(again.into_service_error().is_bucket_already_owned_by_you());
    let buckets = client.list_buckets().send().await.unwrap();
    assert_eq!(buckets.buckets()[0].name(), Some(BUCKET));
}

#[tokio::test]
async fn ranges_are_cut_exactly() {
    let (_cloud, client) = Cloud::with_bucket().await;
    let body: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(4_096);
    put(&client, "key", body.clone()).await;
    let check = async |range: &str, expected: &[u8], content_range: &str| {
        let answer = client
            .get_object()
            .bucket(BUCKET)
            .key("key")
            .range(range)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.content_range(), Some(content_range), "{range}");
        assert_eq!(
            answer.body.collect().await.unwrap().to_vec(),
            expected,
            "{range}"
        );
    };
    check("bytes=0-0", &body[..1], "bytes 0-0/1048576").await;
    check(
        "bytes=1000000-",
        &body[1_000_000..],
        "bytes 1000000-1048575/1048576",
    )
    .await;
    check(
        "bytes=-5",
        &body[body.len() - 5..],
        "bytes 1048571-1048575/1048576",
    )
    .await;
    check(
        "bytes=262143-262145",
        &body[262_143..=262_145],
        "bytes 262143-262145/1048576",
    )
    .await;
    check("bytes=5-99999999", &body[5..], "bytes 5-1048575/1048576").await;
    let beyond = client
        .get_object()
        .bucket(BUCKET)
        .key("key")
        .range("bytes=1048576-")
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        (status(&beyond), beyond.code()),
        (416, Some("InvalidRange"))
    );
}

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

#[tokio::test]
async fn keys_of_1024_bytes_work_and_longer_ones_are_refused() {
    let (_cloud, client) = Cloud::with_bucket().await;
    let long = "k/".repeat(512);
    put(&client, &long, "body").await;
    assert_eq!(get(&client, &long).await, b"body");
    let refused = client
        .put_object()
        .bucket(BUCKET)
        .key(format!("{long}x"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("KeyTooLongError"));
}

#[tokio::test]
async fn deletes_and_copies() {
    let (cloud, client) = Cloud::with_bucket().await;
    put(&client, "source é", "body").await;
    let copy = async |to: &str| {
        client
            .copy_object()
            .bucket(BUCKET)
            .key(to)
            .copy_source(format!("{BUCKET}/source%20%C3%A9"))
            .send()
            .await
    };
    copy("copy").await.unwrap();
    copy("source é").await.unwrap_err();
    client
        .copy_object()
        .bucket(BUCKET)
        .key("copy")
        .copy_source(format!("{BUCKET}/copy"))
        .metadata_directive(MetadataDirective::Replace)
        .metadata("kind", "copy")
        .send()
        .await
        .unwrap();
    client
        .delete_object()
        .bucket(BUCKET)
        .key("source é")
        .send()
        .await
        .unwrap();
    client
        .delete_object()
        .bucket(BUCKET)
        .key("never there")
        .send()
        .await
        .unwrap();
    assert_eq!(get(&client, "copy").await, b"body");
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("copy")
        .send()
        .await
        .unwrap();
    assert_eq!(head.metadata().unwrap()["kind"], "copy");

    put(&client, "other", "body").await;
    let objects = ["copy", "other", "never there"]
        .map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder()
        .set_objects(Some(objects.to_vec()))
        .build()
        .unwrap();
    let deleted = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.deleted().len(), 3);
    assert_eq!(
        client
            .list_objects_v2()
            .bucket(BUCKET)
            .send()
            .await
            .unwrap()
            .key_count(),
        Some(0)
    );
    assert_eq!(cloud.blob_files(), Vec::<std::path::PathBuf>::new());
}

async fn upload_part(client: &Client, upload: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = client
        .upload_part()
        .bucket(BUCKET)
        .key("big")
        .upload_id(upload)
        .part_number(number)
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .body(ByteStream::from(body))
        .send()
        .await
        .unwrap();
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(part.e_tag)
        .set_checksum_crc32(part.checksum_crc32)
        .build()
}

async fn begin(client: &Client) -> String {
    let begun = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("big")
        .content_type("application/x-parts")
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .send();
    begun.await.unwrap().upload_id.unwrap()
}

async fn complete(
    client: &Client,
    upload: &str,
    parts: Vec<CompletedPart>,
) -> Result<String, aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError>
{
    let parts = CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build();
    let request = client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("big")
        .upload_id(upload)
        .multipart_upload(parts);
    request
        .send()
        .await
        .map(|answer| answer.e_tag.unwrap())
        .map_err(SdkError::into_service_error)
}

#[tokio::test]
async fn a_multipart_upload_becomes_one_object_at_once() {
    let (cloud, client) = Cloud::with_bucket().await;
    let upload = begin(&client).await;
    let bodies = [vec![b'a'; PART], vec![b'b'; PART + 1], vec![b'c'; 10]];
    upload_part(&client, &upload, 2, b"an earlier try".to_vec()).await;
    let mut parts = Vec::new();
    for (number, body) in (1..).zip(&bodies) {
        parts.push(upload_part(&client, &upload, number, body.clone()).await);
    }
    upload_part(&client, &upload, 9, b"left out".to_vec()).await;
    let listed = client
        .list_parts()
        .bucket(BUCKET)
        .key("big")
        .upload_id(&upload)
        .max_parts(2)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (listed.parts().len(), listed.is_truncated()),
        (2, Some(true))
    );
    assert!(
        client
            .head_object()
            .bucket(BUCKET)
            .key("big")
            .send()
            .await
            .is_err()
    );

    let mut swapped = parts.clone();
    swapped.swap(0, 1);
    assert_eq!(
        complete(&client, &upload, swapped)
            .await
            .unwrap_err()
            .code(),
        Some("InvalidPartOrder")
    );
    let mut wrong = parts.clone();
    wrong[0].e_tag = Some("\"0123\"".to_owned());
    assert_eq!(
        complete(&client, &upload, wrong).await.unwrap_err().code(),
        Some("InvalidPart")
    );

    let etag = complete(&client, &upload, parts.clone()).await.unwrap();
    assert!(etag.ends_with("-3\""), "{etag}");
    assert_eq!(get(&client, "big").await, bodies.concat());
    let seam = client
        .get_object()
        .bucket(BUCKET)
        .key("big")
        .range(format!("bytes={}-{}", PART - 1, PART))
        .send()
        .await;
    assert_eq!(seam.unwrap().body.collect().await.unwrap().to_vec(), b"ab");
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("big")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("application/x-parts"));
    assert!(head.checksum_crc32().unwrap().ends_with("-3"));
    assert_eq!(
        cloud.blob_files().len(),
        3,
        "the earlier try and the part left out are gone"
    );
    let over = complete(&client, &upload, parts).await.unwrap_err();
    assert_eq!(over.code(), Some("NoSuchUpload"));
    let killed = cloud.killed();
    assert_eq!(
        get(&s3_client(&killed.storage), "big").await,
        bodies.concat()
    );
}

#[tokio::test]
async fn small_parts_are_refused_and_an_aborted_upload_leaves_nothing() {
    let (cloud, client) = Cloud::with_bucket().await;
    let upload = begin(&client).await;
    let parts = vec![
        upload_part(&client, &upload, 1, vec![0; 10]).await,
        upload_part(&client, &upload, 2, vec![0; 10]).await,
    ];
    assert_eq!(
        complete(&client, &upload, parts).await.unwrap_err().code(),
        Some("EntityTooSmall")
    );
    client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("big")
        .upload_id(&upload)
        .send()
        .await
        .unwrap();
    assert!(cloud.blob_files().is_empty());
    let late = client
        .upload_part()
        .bucket(BUCKET)
        .key("big")
        .upload_id(&upload)
        .part_number(1)
        .send()
        .await
        .unwrap_err();
    assert_eq!(late.code(), Some("NoSuchUpload"));
}

#[tokio::test]
async fn files_that_a_crash_left_are_swept_at_the_next_start() {
    let (cloud, client) = Cloud::with_bucket().await;
    put(&client, "kept", "body").await;
    let upload = begin(&client).await;
    upload_part(&client, &upload, 1, vec![1; 10]).await;
    let folder = cloud.folder.path().join("s3");
    std::fs::create_dir_all(folder.join("blobs/00")).unwrap();
    std::fs::write(
        folder.join("blobs/00/0123-00000000"),
        "placed, never indexed",
    )
    .unwrap();
    std::fs::write(folder.join("incoming/0123-00000001"), "half written").unwrap();
    let Cloud { folder, storage } = cloud;
    drop((client, storage));

    let cloud = Cloud {
        storage: open(folder.path()),
        folder,
    };
    let client = s3_client(&cloud.storage);
    assert_eq!(get(&client, "kept").await, b"body");
    assert_eq!(
        cloud.blob_files().len(),
        2,
        "the object and the part of an upload in progress"
    );
}

/// Serves the storage on a socket.
async fn endpoint(cloud: &Cloud) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = cloud.storage.aws_router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    endpoint
}

#[tokio::test]
async fn the_sdk_uses_it_over_http_with_streamed_bodies() {
    let (cloud, in_process) = Cloud::with_bucket().await;
    let http = || aws_smithy_http_client::Builder::new().build_http();
    let config = s3_config()
        .endpoint_url(endpoint(&cloud).await)
        .http_client(http());
    let client = Client::from_conf(config.clone().build());
    let file = cloud.folder.path().join("upload");
    let body = vec![b'x'; 300_000];
    std::fs::write(&file, &body).unwrap();
    let streamed = ByteStream::from_path(&file).await.unwrap();
    client
        .put_object()
        .bucket(BUCKET)
        .key("file")
        .body(streamed)
        .send()
        .await
        .unwrap();
    assert_eq!(get(&in_process, "file").await, body);
    assert_eq!(get(&client, "file").await, body);

    let forger = aws_credential_types::Credentials::new(
        crate::fixture::ACCESS_KEY_ID,
        "wrong",
        None,
        None,
        "test",
    );
    let forger = Client::from_conf(config.credentials_provider(forger).build());
    let refused = forger
        .get_object()
        .bucket(BUCKET)
        .key("file")
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        (status(&refused), refused.code()),
        (403, Some("SignatureDoesNotMatch"))
    );
}

/// Hard case 8: a link works as it was signed, and not for another key, method or header.
#[tokio::test]
async fn a_presigned_link_works_over_a_socket_and_not_when_altered() {
    let (cloud, in_process) = Cloud::with_bucket().await;
    put(&in_process, "report", "the body").await;
    put(&in_process, "secret", "another").await;
    let endpoint = endpoint(&cloud).await;
    let client = Client::from_conf(
        s3_config()
            .endpoint_url(&endpoint)
            .http_client(cloud.storage.s3_http_client())
            .build(),
    );
    let minutes = PresigningConfig::expires_in(Duration::from_mins(5)).unwrap();
    let link = client
        .get_object()
        .bucket(BUCKET)
        .key("report")
        .response_content_disposition("attachment")
        .presigned(minutes)
        .await
        .unwrap();
    let (head, body) = fetch("GET", link.uri()).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        head.to_lowercase()
            .contains("content-disposition: attachment"),
        "{head}"
    );
    assert_eq!(body, "the body");

    for (method, altered) in [
        ("GET", link.uri().replace("/report", "/secret")),
        ("GET", link.uri().replace("attachment", "inline")),
        ("PUT", link.uri().to_owned()),
        ("GET", format!("{endpoint}/{BUCKET}/report")),
    ] {
        let (head, _) = fetch(method, &altered).await;
        assert!(
            head.starts_with("HTTP/1.1 403"),
            "{method} {altered}: {head}"
        );
    }
}

/// One request as any program sends it, without an SDK.
async fn fetch(method: &str, link: &str) -> (String, String) {
    let (host, path) = link
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
