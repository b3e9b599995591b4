//! The collector that the command line names, as settings in the environment's place.

use std::str::FromStr;

use lambda_process::Variable;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderName, HeaderValue};
use thiserror::Error;
use url::Url;

/// A request's header, such as a collector's API key: never shown.
#[derive(Clone)]
pub(crate) struct Header {
    name: HeaderName,
    value: String,
}

#[derive(Debug, Error)]
#[error("expected NAME=VALUE, with a header's name and a value that a header can have")]
pub(crate) struct NoHeader;

impl std::fmt::Debug for Header {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Header({})", self.name)
    }
}

impl FromStr for Header {
    type Err = NoHeader;

    fn from_str(text: &str) -> Result<Self, NoHeader> {
        let (name, value) = text.split_once('=').ok_or(NoHeader)?;
        HeaderValue::from_str(value).map_err(|_| NoHeader)?;
        Ok(Self {
            name: name.parse().map_err(|_| NoHeader)?,
            value: value.to_owned(),
        })
    }
}

/// What is named here replaces what the environment names as a whole: its headers are meant
/// for its own collector and go to no other.
pub(crate) fn settings(
    to: Option<&Url>,
    headers: &[Header],
    content: Option<&str>,
) -> Vec<(Variable, String)> {
    let mut settings = Vec::new();
    if let Some(to) = to {
        settings.push((Variable::OtlpEndpoint, to.to_string()));
        settings.push((Variable::OtlpTracesEndpoint, String::new()));
    }
    if to.is_some() || !headers.is_empty() {
        let pairs = headers.iter().map(|header| {
            let value = utf8_percent_encode(&header.value, NON_ALPHANUMERIC);
            format!("{}={value}", header.name)
        });
        let pairs: Vec<_> = pairs.collect();
        settings.push((Variable::OtlpHeaders, pairs.join(",")));
        settings.push((Variable::OtlpTracesHeaders, String::new()));
    }
    if let Some(content) = content {
        settings.push((Variable::ExportContent, content.to_owned()));
    }
    settings
}

#[cfg(test)]
mod tests {
    use lambda_process::Config;

    use super::*;

    fn check(to: Option<&str>, headers: &[&str], expected: (&str, &[(&str, &str)])) {
        let to = to.map(|to| Url::parse(to).unwrap());
        let headers: Vec<Header> = headers.iter().map(|text| text.parse().unwrap()).collect();
        let environment = [
            (Variable::OtlpEndpoint, "http://general:4318"),
            (Variable::OtlpTracesEndpoint, "http://traces:4318/in"),
            (Variable::OtlpTracesHeaders, "x-secret=theirs"),
        ];
        let values = environment
            .into_iter()
            .map(|(variable, value)| (variable, value.to_owned()))
            .chain(settings(to.as_ref(), &headers, None))
            .map(|(variable, value)| (variable.name().to_owned(), value));
        let config = Config::from_map(values).unwrap().otlp.unwrap();
        let found: Vec<_> = config
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.reveal()))
            .collect();
        assert_eq!((config.traces_url.as_str(), found.as_slice()), expected);
    }

    #[test]
    fn what_the_command_line_names_goes_before_the_environment() {
        let theirs: &[_] = &[("x-secret", "theirs")];
        check(None, &[], ("http://traces:4318/in", theirs));
        check(
            Some("https://other/"),
            &[],
            ("https://other/v1/traces", &[]),
        );
        check(
            Some("https://other/base"),
            &["X-Key=a=b, c%", "y=ü"],
            (
                "https://other/base/v1/traces",
                &[("x-key", "a=b, c%"), ("y", "ü")],
            ),
        );
        check(
            None,
            &["x-key=1"],
            ("http://traces:4318/in", &[("x-key", "1")]),
        );
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in ["", "name", "=value", "a b=c", "a=b\nc"] {
            assert!(bad.parse::<Header>().is_err(), "{bad:?}");
        }
        let shown = format!("{:?}", "x-key=hush".parse::<Header>().unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }
}
