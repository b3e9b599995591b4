use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::types::Tag;
use trace_model::TenantId;

/// The session tag that the role's policies compare keys with.
const TENANT_TAG: &str = "tenant";

/// As long as a role that is assumed by a role may be.
const SESSION_SECONDS: i32 = 3600;
/// A session is renewed this long before its end, or, as the SDK draws lots, half as long: links
/// that it signs live for five minutes, and end with it.
const RENEWED_BEFORE: Duration = Duration::from_mins(12);

/// A role, assumed once for each tenant, with the tenant as the session's tag: so what AWS
/// lets a request read is one tenant's, whatever the code around it does.
#[derive(Clone, Debug)]
pub struct TenantSessions {
    of_process: SdkConfig,
    sts: aws_sdk_sts::Client,
    role_arn: String,
}

impl TenantSessions {
    pub fn new(of_process: SdkConfig, role_arn: impl Into<String>) -> Self {
        Self {
            sts: aws_sdk_sts::Client::new(&of_process),
            of_process,
            role_arn: role_arn.into(),
        }
    }

    /// Clients of one tenant's session. STS is asked at the first call and then before each
    /// session ends; clones of the clients share the session.
    pub fn of(&self, tenant: &TenantId) -> (aws_sdk_dynamodb::Client, aws_sdk_s3::Client) {
        let session = TenantSession {
            sts: self.sts.clone(),
            role_arn: self.role_arn.clone(),
            tenant: tenant.clone(),
        };
        let sessions = IdentityCache::lazy().buffer_time(RENEWED_BEFORE).build();
        let config = self
            .of_process
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(session))
            .identity_cache(sessions)
            .build();
        (
            aws_sdk_dynamodb::Client::new(&config),
            aws_sdk_s3::Client::new(&config),
        )
    }
}

#[derive(Debug)]
struct TenantSession {
    sts: aws_sdk_sts::Client,
    role_arn: String,
    tenant: TenantId,
}

impl ProvideCredentials for TenantSession {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(self.assume_role())
    }
}

impl TenantSession {
    async fn assume_role(&self) -> Result<Credentials, CredentialsError> {
        let tag = Tag::builder()
            .key(TENANT_TAG)
            .value(self.tenant.as_str())
            .build()
            .map_err(CredentialsError::unhandled)?;
        let answer = self
            .sts
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(session_name(&self.tenant))
            .tags(tag)
            .duration_seconds(SESSION_SECONDS)
            .send()
            .await
            .map_err(CredentialsError::provider_error)?;
        let credentials = answer.credentials.ok_or_else(|| {
            CredentialsError::unhandled("STS assumed the role and sent no credentials")
        })?;
        let ends =
            SystemTime::try_from(credentials.expiration).map_err(CredentialsError::unhandled)?;
        Ok(Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            Some(ends),
            "TenantSession",
        ))
    }
}

/// Two characters at least and 64 at most, as STS has it; for people who read the audit log.
fn session_name(tenant: &TenantId) -> String {
    let mut name = format!("t-{tenant}");
    name.truncate(64);
    name
}
