use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart};

use super::{get, put};
use crate::fixture::{BUCKET, Cloud, open, s3_client};

const PART: usize = 5 * 1024 * 1024;

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
