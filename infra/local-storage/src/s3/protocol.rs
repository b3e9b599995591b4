//! Both doors of the embedded S3: the SDK's connector in this process, and HTTP for others.
//! Signatures and presigned links are verified at both.

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::extract::Request;
use http::{HeaderValue, Method, Response, StatusCode, header};
use s3s::auth::SimpleAuth;
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Result, StdError};

use super::ObjectStore;
use crate::LoopbackCredentials;
use crate::in_process::in_process_client;

pub(super) fn service(store: ObjectStore, credentials: &LoopbackCredentials) -> S3Service {
    let mut builder = S3ServiceBuilder::new(store);
    builder.set_auth(SimpleAuth::from_single(
        credentials.access_key_id.clone(),
        credentials.secret_access_key.clone(),
    ));
    builder.set_host(BucketInHost);
    builder.build()
}

pub(super) fn http_client(service: S3Service) -> SharedHttpClient {
    in_process_client("s3", move |mut request| {
        let service = service.clone();
        Box::pin(async move {
            // The client signs the host; only a socket's connector would also write it.
            if !request.headers().contains_key(header::HOST)
                && let Some(authority) = request.uri().authority()
            {
                let host = HeaderValue::from_str(authority.as_str())?;
                request.headers_mut().insert(header::HOST, host);
            }
            let without_body = request.method() == Method::HEAD;
            let response = service
                .call(request.map(Body::http_body_unsync))
                .await
                .map_err(StdError::from)?;
            // The answer to HEAD has no body on a socket, whatever the service wrote.
            Ok(response.map(|body| {
                if without_body {
                    SdkBody::empty()
                } else {
                    SdkBody::from_body_1_x(body)
                }
            }))
        })
    })
}

pub(super) fn router(service: S3Service) -> Router {
    Router::new().fallback(move |request: Request| {
        let service = service.clone();
        async move {
            match service.call(request.map(Body::http_body_unsync)).await {
                Ok(response) => response.map(axum::body::Body::new),
                Err(error) => {
                    tracing::error!(?error, "the embedded S3 cannot answer");
                    let mut response = Response::new(axum::body::Body::empty());
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            }
        }
    })
}

/// The SDKs put the bucket before the host unless told otherwise.
struct BucketInHost;

impl S3Host for BucketInHost {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        Ok(match bucket_of(host) {
            Some((bucket, domain)) => VirtualHost::new(domain).with_bucket(bucket),
            None => VirtualHost::new(host),
        })
    }
}

/// The bucket and the rest of `bucket.s3.REGION.amazonaws.com` or `bucket.localhost:PORT`.
fn bucket_of(host: &str) -> Option<(&str, &str)> {
    let name = host.split(':').next().unwrap_or(host);
    let domain_start = if name.ends_with(".amazonaws.com") {
        if name.starts_with("s3.") || name.starts_with("s3-") {
            return None;
        }
        name.find(".s3.").or_else(|| name.find(".s3-"))?
    } else {
        name.strip_suffix(".localhost")?.len()
    };
    Some((&host[..domain_start], &host[domain_start + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_read_from_the_host() {
        let check = |host: &str, expected: Option<(&str, &str)>| {
            assert_eq!(bucket_of(host), expected, "{host}");
        };
        check(
            "traces.s3.us-east-1.amazonaws.com",
            Some(("traces", "s3.us-east-1.amazonaws.com")),
        );
        check(
            "my.traces.s3.amazonaws.com",
            Some(("my.traces", "s3.amazonaws.com")),
        );
        check("s3.us-east-1.amazonaws.com", None);
        check("traces.localhost:9000", Some(("traces", "localhost:9000")));
        check("localhost:9000", None);
        check("storage.example", None);
    }
}
