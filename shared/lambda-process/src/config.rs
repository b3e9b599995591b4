use std::collections::BTreeMap;
use std::str::FromStr;

use trace_model::TenantId;
use url::{Host, Url};

use crate::error::ConfigError;
use crate::logging;
use crate::metrics::MetricsFormat;
use crate::otlp::{ExportContent, OtlpConfig};
use crate::secret::Secret;
use crate::variables::{Secrecy, Variable};

/// All settings of a process, checked. What not every function needs is behind a method
/// that says which variable is missing.
#[derive(Clone, Debug)]
pub struct Config {
    table: Option<String>,
    bucket: Option<String>,
    region: Option<String>,
    account_id: Option<String>,
    issuer: Option<TrustedIssuer>,
    cursor_key: Option<Secret>,
    status_queue_url: Option<Url>,
    /// Empty: all.
    pub state_machine_prefix: String,
    /// `None`: what the store refuses waits in memory.
    pub span_queue_url: Option<Url>,
    /// `None`: the process's own role reads what the API serves.
    pub tenant_role: Option<String>,
    /// The tenant of runs that name none.
    pub tenant: TenantId,
    /// 1 to 3650.
    pub retention_days: u32,
    pub model: Option<String>,
    pub model_base_url: Option<Url>,
    pub http_allow: Vec<AllowedAddress>,
    /// `None`: nothing is exported.
    pub otlp: Option<OtlpConfig>,
    pub export_content: ExportContent,
    pub log_filter: String,
    /// As it was asked for; by default on Lambda only.
    pub metrics: Option<MetricsFormat>,
    /// On Lambda.
    pub function_name: Option<String>,
}

/// Whose access tokens the API accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// As it stands in the environment: `iss` is compared byte for byte.
    pub issuer: String,
    /// At least one.
    pub audiences: Vec<String>,
    pub jwks_uri: Url,
    pub tenant_claim: String,
}

/// A private address that an `http` node may reach all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedAddress {
    /// A name in lower case, or an IP address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
}

impl Config {
    /// Reads the environment, once, when the process starts.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_env_with([])
    }

    /// The same, where the values that are given go before the environment's.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_env_with(
        given: impl IntoIterator<Item = (Variable, String)>,
    ) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for variable in Variable::ALL {
            if let Some(value) = std::env::var_os(variable.name()) {
                let value = value.into_string().map_err(|_| ConfigError::NotUnicode {
                    variable: *variable,
                })?;
                values.insert(variable.name().to_owned(), value);
            }
        }
        let given = given.into_iter();
        values.extend(given.map(|(variable, value)| (variable.name().to_owned(), value)));
        Self::from_map(values)
    }

    /// The same from given values; names that are not in [`Variable`] are passed over.
    pub fn from_map(
        values: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let environment = Environment(values.into_iter().collect());
        Ok(Self {
            table: environment.checked(Variable::Table, is_table_name)?,
            bucket: environment.checked(Variable::Bucket, is_bucket_name)?,
            span_queue_url: environment.optional(Variable::SpanQueueUrl, http_url)?,
            region: environment.checked(Variable::Region, is_region)?,
            account_id: environment.checked(Variable::AccountId, is_account_id)?,
            issuer: trusted_issuer(&environment)?,
            cursor_key: environment.optional(Variable::CursorKey, |text| {
                (32..=256)
                    .contains(&text.len())
                    .then(|| Secret::new(text.to_owned()))
            })?,
            status_queue_url: environment.optional(Variable::StatusQueueUrl, http_url)?,
            state_machine_prefix: environment
                .checked(Variable::StateMachinePrefix, is_machine_prefix)?
                .unwrap_or_default(),
            tenant_role: environment.checked(Variable::TenantRole, is_role_arn)?,
            tenant: environment.with(Variable::Tenant, |text| TenantId::parse(text).ok())?,
            retention_days: environment.with(Variable::RetentionDays, |text| {
                whole_number(text).filter(|days| (1..=3650).contains(days))
            })?,
            model: environment.checked(Variable::Model, is_one_line)?,
            model_base_url: environment.optional(Variable::ModelBaseUrl, http_url)?,
            http_allow: environment
                .optional(Variable::HttpAllow, allowed_addresses)?
                .unwrap_or_default(),
            otlp: OtlpConfig::from_environment(&environment)?,
            export_content: environment.with(Variable::ExportContent, ExportContent::parse)?,
            log_filter: environment.with(Variable::Log, |text| {
                logging::is_filter(text).then(|| text.to_owned())
            })?,
            metrics: environment.optional(Variable::Metrics, MetricsFormat::parse)?,
            function_name: environment.checked(Variable::FunctionName, is_one_line)?,
        })
    }

    pub fn table(&self) -> Result<&str, ConfigError> {
        required(self.table.as_deref(), Variable::Table)
    }

    pub fn bucket(&self) -> Result<&str, ConfigError> {
        required(self.bucket.as_deref(), Variable::Bucket)
    }

    pub fn region(&self) -> Result<&str, ConfigError> {
        required(self.region.as_deref(), Variable::Region)
    }

    /// Twelve digits.
    pub fn account_id(&self) -> Result<&str, ConfigError> {
        required(self.account_id.as_deref(), Variable::AccountId)
    }

    pub fn issuer(&self) -> Result<&TrustedIssuer, ConfigError> {
        required(self.issuer.as_ref(), Variable::Issuer)
    }

    pub fn cursor_key(&self) -> Result<&Secret, ConfigError> {
        required(self.cursor_key.as_ref(), Variable::CursorKey)
    }

    pub fn status_queue_url(&self) -> Result<&str, ConfigError> {
        required(
            self.status_queue_url.as_ref().map(Url::as_str),
            Variable::StatusQueueUrl,
        )
    }
}

fn required<T>(value: Option<T>, variable: Variable) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Missing { variable })
}

/// The values as they were found, and the errors that name them.
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Empty counts as unset, as the OpenTelemetry specification wants it.
    pub(crate) fn get(&self, variable: Variable) -> Option<&str> {
        let value = self.0.get(variable.name()).map(|value| value.trim());
        value.filter(|value| !value.is_empty())
    }

    pub(crate) fn optional<T>(
        &self,
        variable: Variable,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.get(variable) else {
            return Ok(None);
        };
        parse(text).map(Some).ok_or_else(|| invalid(variable, text))
    }

    /// The value or the variable's default.
    pub(crate) fn with<T>(
        &self,
        variable: Variable,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let text = self.get(variable).unwrap_or(variable.default_value());
        parse(text).ok_or_else(|| invalid(variable, text))
    }

    fn checked(
        &self,
        variable: Variable,
        fits: impl Fn(&str) -> bool,
    ) -> Result<Option<String>, ConfigError> {
        self.optional(variable, |text| fits(text).then(|| text.to_owned()))
    }
}

pub(crate) fn invalid(variable: Variable, found: &str) -> ConfigError {
    let found = match variable.secrecy() {
        Secrecy::Secret => "[hidden]".to_owned(),
        // A URL with a password, in a variable that should hold none.
        Secrecy::Plain if found.contains('@') => "[hidden: it may hold credentials]".to_owned(),
        Secrecy::Plain => format!("{:?}", found.chars().take(200).collect::<String>()),
    };
    ConfigError::Invalid { variable, found }
}

/// Without credentials, which would show wherever the URL does.
pub(crate) fn http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    fits.then_some(url)
}

/// Digits only: `u32::from_str` would take a plus sign.
pub(crate) fn whole_number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn trusted_issuer(environment: &Environment) -> Result<Option<TrustedIssuer>, ConfigError> {
    let Some(issuer) = environment.get(Variable::Issuer) else {
        let because = [Variable::Audience, Variable::JwksUri]
            .into_iter()
            .find(|variable| environment.get(*variable).is_some());
        return because.map_or(Ok(None), |because| {
            Err(ConfigError::MissingBeside {
                variable: Variable::Issuer,
                because,
            })
        });
    };
    protected_url(issuer).ok_or_else(|| invalid(Variable::Issuer, issuer))?;
    let audiences = environment.optional(Variable::Audience, |text| {
        let audiences: Vec<String> = list(text).map(str::to_owned).collect();
        (!audiences.is_empty()).then_some(audiences)
    })?;
    let default_uri = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
    let jwks_uri = match environment.optional(Variable::JwksUri, protected_url)? {
        Some(uri) => uri,
        None => protected_url(&default_uri).ok_or_else(|| invalid(Variable::Issuer, issuer))?,
    };
    Ok(Some(TrustedIssuer {
        issuer: issuer.to_owned(),
        audiences: audiences.ok_or(ConfigError::MissingBeside {
            variable: Variable::Audience,
            because: Variable::Issuer,
        })?,
        jwks_uri,
        tenant_claim: environment.with(Variable::TenantClaim, |text| {
            is_one_line(text).then(|| text.to_owned())
        })?,
    }))
}

/// Keys that travel in clear could be exchanged on the way.
fn protected_url(text: &str) -> Option<Url> {
    http_url(text).filter(|url| {
        url.scheme() == "https"
            || match url.host() {
                Some(Host::Domain(name)) => name == "localhost",
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            }
    })
}

fn allowed_addresses(text: &str) -> Option<Vec<AllowedAddress>> {
    list(text).map(allowed_address).collect()
}

fn allowed_address(text: &str) -> Option<AllowedAddress> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match Host::parse(host).ok()? {
        Host::Domain(name) => name,
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let port = whole_number(port).filter(|port| *port != 0)?;
    Some(AllowedAddress { host, port })
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn is_table_name(text: &str) -> bool {
    (3..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn is_machine_prefix(text: &str) -> bool {
    text.len() <= 40
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_role_arn(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    matches!(
        parts[..],
        ["arn", partition, "iam", "", account, role]
            if partition.starts_with("aws")
                && is_account_id(account)
                && role.strip_prefix("role/").is_some_and(|name| !name.is_empty())
                && is_one_line(role)
    )
}

fn is_bucket_name(text: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
    };
    (3..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
}

fn is_region(text: &str) -> bool {
    text.len() <= 32
        && text.contains('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_one_line(text: &str) -> bool {
    text.len() <= 256 && !text.chars().any(char::is_control)
}
