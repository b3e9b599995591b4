use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::TenantSessions;

/// Access key id and secret of the local cloud alike: whoever reaches its loopback address may
/// use it.
pub const LOCAL_KEY: &str = "local";

/// Four retries at most, backing off with jitter up to two seconds. Adaptive mode is off: its
/// client-side rate limit would let one throttled tenant slow the others.
const MOST_ATTEMPTS: u32 = 5;
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// An S3 object of 20 MB over a slow link fits.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// One client per service, made once per process; clones share connections.
#[derive(Clone, Debug)]
pub struct AwsClients {
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    sfn: aws_sdk_sfn::Client,
    sqs: Option<aws_sdk_sqs::Client>,
    /// None in the local cloud.
    shared: Option<SdkConfig>,
}

/// A service that runs in this process: its connector, and the URL that requests name.
#[derive(Clone, Debug)]
pub struct LocalService {
    pub http_client: SharedHttpClient,
    pub endpoint_url: String,
}

impl LocalService {
    /// A service that another process serves on loopback: plain HTTP.
    pub fn at(endpoint_url: &str) -> Self {
        Self {
            http_client: Builder::new().build_http(),
            endpoint_url: endpoint_url.to_owned(),
        }
    }

    pub fn dynamodb(self, region: &str) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&local_config(region, self))
    }

    pub fn s3(self, region: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&local_config(region, self))
            // The bucket's name goes into the path: there is no DNS to put it in a host.
            .force_path_style(true)
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    pub fn sfn(self, region: &str) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&local_config(region, self))
    }

    /// A queue of another process; the local cloud has none.
    pub fn sqs(self, region: &str) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&local_config(region, self))
    }
}

impl AwsClients {
    /// Region, credentials and endpoints as the AWS SDK finds them (environment, profile,
    /// role); TLS by ring.
    pub async fn from_env() -> Self {
        let https = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let shared = aws_config::defaults(BehaviorVersion::latest())
            .http_client(https)
            .retry_config(retry_config())
            .timeout_config(timeout_config())
            .load()
            .await;
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&shared),
            s3: aws_sdk_s3::Client::new(&shared),
            sfn: aws_sdk_sfn::Client::new(&shared),
            sqs: Some(aws_sdk_sqs::Client::new(&shared)),
            shared: Some(shared),
        }
    }

    /// The local cloud: nothing beyond this machine, fixed credentials, everything else as on
    /// AWS.
    pub fn local(
        region: &str,
        dynamodb: LocalService,
        s3: LocalService,
        sfn: LocalService,
    ) -> Self {
        Self {
            dynamodb: dynamodb.dynamodb(region),
            s3: s3.s3(region),
            sfn: sfn.sfn(region),
            sqs: None,
            shared: None,
        }
    }

    pub const fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.dynamodb
    }

    pub const fn s3(&self) -> &aws_sdk_s3::Client {
        &self.s3
    }

    pub const fn sfn(&self) -> &aws_sdk_sfn::Client {
        &self.sfn
    }

    /// None in the local cloud: its table is on its own disk, so nothing waits in queues.
    pub const fn sqs(&self) -> Option<&aws_sdk_sqs::Client> {
        self.sqs.as_ref()
    }

    /// None in the local cloud, which has no roles.
    pub fn tenant_sessions(&self, role_arn: &str) -> Option<TenantSessions> {
        let shared = self.shared.clone()?;
        Some(TenantSessions::new(shared, role_arn))
    }
}

fn local_config(region: &str, service: LocalService) -> SdkConfig {
    let credentials = Credentials::from_keys(LOCAL_KEY, LOCAL_KEY, None);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(service.http_client)
        .endpoint_url(service.endpoint_url)
        .retry_config(retry_config())
        .timeout_config(timeout_config())
        .build()
}

fn retry_config() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(MOST_ATTEMPTS)
        .with_max_backoff(LONGEST_BACKOFF)
}

fn timeout_config() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}
