use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{get, put, status};
use crate::fixture::{BUCKET, Cloud, s3_config};

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
