use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use crate::config::{Environment, http_url, whole_number};
use crate::error::ConfigError;
use crate::secret::Secret;
use crate::variables::Variable;

/// Where and how spans are exported, by the OpenTelemetry specification's variables
/// ("OpenTelemetry Protocol Exporter", configuration options).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// What to POST to, path included.
    pub traces_url: Url,
    /// Names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// Of one request.
    pub timeout: Duration,
    pub compression: OtlpCompression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpCompression {
    Gzip,
    None,
}

/// Which prompts, answers and other texts go out as attributes. All of them are masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportContent {
    /// Only where bodies lie and how large they are.
    None,
    /// Bodies that lie beside their span's structure.
    #[default]
    Inline,
    /// Those too that lie in items of their own and in the bucket, up to 1 MB each.
    All,
}

impl ExportContent {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "inline" => Some(Self::Inline),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

impl OtlpConfig {
    /// `None` when no endpoint is set. The variables of traces go before the general ones,
    /// each as a whole.
    pub(crate) fn from_environment(environment: &Environment) -> Result<Option<Self>, ConfigError> {
        let general = environment.optional(Variable::OtlpEndpoint, http_url)?;
        let of_traces = environment.optional(Variable::OtlpTracesEndpoint, http_url)?;
        let Some(traces_url) = of_traces.or_else(|| general.map(|base| with_signal_path(&base)))
        else {
            return Ok(None);
        };
        let specific = |of_traces, general| match environment.get(of_traces) {
            Some(_) => of_traces,
            None => general,
        };
        environment.with(
            specific(Variable::OtlpTracesProtocol, Variable::OtlpProtocol),
            |text| (text == "http/protobuf").then_some(()),
        )?;
        let headers = specific(Variable::OtlpTracesHeaders, Variable::OtlpHeaders);
        Ok(Some(Self {
            traces_url,
            headers: environment
                .optional(headers, parse_headers)?
                .unwrap_or_default(),
            timeout: environment.with(
                specific(Variable::OtlpTracesTimeout, Variable::OtlpTimeout),
                parse_timeout,
            )?,
            compression: environment.with(
                specific(Variable::OtlpTracesCompression, Variable::OtlpCompression),
                parse_compression,
            )?,
        }))
    }
}

/// `v1/traces` below the base URL's path, whether or not that ends with a slash.
fn with_signal_path(base: &Url) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/v1/traces", base.path().trim_end_matches('/')));
    url
}

fn parse_headers(text: &str) -> Option<Vec<(String, Secret)>> {
    let pairs = text.split(',').map(str::trim);
    pairs
        .filter(|pair| !pair.is_empty())
        .map(parse_header)
        .collect()
}

fn parse_header(pair: &str) -> Option<(String, Secret)> {
    let (name, value) = pair.split_once('=')?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    HeaderValue::from_str(&value).ok()?;
    Some((name.as_str().to_owned(), Secret::new(value.into_owned())))
}

fn parse_timeout(text: &str) -> Option<Duration> {
    let milliseconds = whole_number(text).filter(|count| (1..=600_000).contains(count))?;
    Some(Duration::from_millis(milliseconds))
}

fn parse_compression(text: &str) -> Option<OtlpCompression> {
    match text {
        "gzip" => Some(OtlpCompression::Gzip),
        "none" => Some(OtlpCompression::None),
        _ => None,
    }
}
