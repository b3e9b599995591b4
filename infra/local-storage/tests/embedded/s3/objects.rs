use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, Delete, MetadataDirective, ObjectIdentifier,
};

use super::{get, put, status};
use crate::fixture::{BUCKET, Cloud};

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
