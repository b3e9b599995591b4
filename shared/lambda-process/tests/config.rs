//! The environment, variable by variable: what is taken, what is refused, and in which words.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use lambda_process::{AllowedAddress, Config, ConfigError, OtlpCompression, Variable};
use proptest::prelude::*;

fn config(values: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let values = values.iter();
    Config::from_map(values.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// One variable with one value: refused with these words, or accepted.
fn check(variable: Variable, value: &str, expected: Result<(), &str>) {
    match (config(&[(variable.name(), value)]), expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(words)) => {
            let text = error.to_string();
            assert!(text.contains(words), "{text}");
            assert!(text.starts_with(variable.name()), "{text}");
            assert!(text.contains(variable.expected()), "{text}");
        }
        (outcome, expected) => panic!("{variable}={value}: {outcome:?}, expected {expected:?}"),
    }
}

#[test]
fn an_empty_environment_has_the_defaults() {
    let config = config(&[]).unwrap();
    assert_eq!(config.tenant.as_str(), "default");
    assert_eq!(config.retention_days, 30);
    assert_eq!(config.log_filter, "info");
    assert_eq!(config.otlp, None);
    assert!(config.http_allow.is_empty());
    let missing = config.table().unwrap_err();
    assert_eq!(
        missing,
        ConfigError::Missing {
            variable: Variable::Table
        }
    );
    assert!(
        missing
            .to_string()
            .starts_with("STEPSCOPE_TABLE is not set; expected a table")
    );
    for error in [
        config.bucket().err(),
        config.region().err(),
        config.account_id().err(),
        config.issuer().err(),
    ] {
        assert!(matches!(error, Some(ConfigError::Missing { .. })));
    }
}

#[test]
fn empty_and_blank_values_count_as_none() {
    for value in ["", " ", "\t"] {
        for variable in Variable::ALL {
            check(*variable, value, Ok(()));
        }
    }
}

#[test]
fn each_default_is_a_good_value() {
    for variable in Variable::ALL {
        let default = variable.default_value();
        if !default.is_empty() && *variable != Variable::TenantClaim {
            check(*variable, default, Ok(()));
        }
    }
}

#[test]
fn names_and_numbers_are_checked() {
    check(Variable::Table, "stepscope-dev", Ok(()));
    let role = "arn:aws:iam::123456789012:role/service/reader";
    check(Variable::TenantRole, role, Ok(()));
    for wrong in [
        "reader",
        "arn:aws:iam::1234:role/reader",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:user/reader",
    ] {
        check(Variable::TenantRole, wrong, Err("is \""));
    }
    check(Variable::Table, "a", Err("\"a\""));
    check(Variable::Table, "step scope", Err("\"step scope\""));
    check(Variable::Bucket, "stepscope.content", Ok(()));
    check(Variable::Bucket, "Stepscope", Err("\"Stepscope\""));
    check(Variable::Bucket, "-stepscope", Err("-stepscope"));
    check(Variable::Tenant, "acme", Ok(()));
    check(Variable::Tenant, "Acme", Err("\"Acme\""));
    check(Variable::Tenant, "acme#b", Err("\"acme#b\""));
    check(Variable::RetentionDays, "1", Ok(()));
    check(Variable::RetentionDays, "3650", Ok(()));
    for bad in [
        "0",
        "3651",
        "-1",
        "+1",
        "1.5",
        "a week",
        "99999999999999999999",
    ] {
        check(Variable::RetentionDays, bad, Err(bad));
    }
    check(Variable::Region, "eu-central-1", Ok(()));
    check(Variable::Region, "EU", Err("\"EU\""));
    check(Variable::AccountId, "123456789012", Ok(()));
    check(Variable::AccountId, "12345678901", Err("12345678901"));
    check(Variable::Log, "warn,trace_store=debug", Ok(()));
    check(Variable::Log, "trace_store=loud", Err("trace_store=loud"));
    check(Variable::Model, "gpt-4o-mini", Ok(()));
    check(Variable::ModelBaseUrl, "http://127.0.0.1:8080/v1/", Ok(()));
    check(
        Variable::ModelBaseUrl,
        "127.0.0.1:8080",
        Err("127.0.0.1:8080"),
    );
    check(
        Variable::ModelBaseUrl,
        "file:///etc/passwd",
        Err("file:///etc/passwd"),
    );
}

#[test]
fn an_error_shows_no_control_characters_and_no_secret() {
    let error = config(&[("STEPSCOPE_TENANT", "a\r\n\u{1b}[31mb")]).unwrap_err();
    assert!(!error.to_string().chars().any(char::is_control), "{error}");

    let secret = "hunter2-hunter2";
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", secret.to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("a b={secret}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("a={secret}%0a")),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://u:{secret}@h"),
        ),
        (
            "STEPSCOPE_MODEL_BASE_URL",
            format!("https://u:{secret}@h/v1"),
        ),
    ] {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let error = config(&[endpoint, (name, &value)]).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(name) || shown.contains("Model"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn the_issuer_s_variables_come_together() {
    let issuer = ("STEPSCOPE_ISSUER", "https://issuer.example/");
    let audience = ("STEPSCOPE_AUDIENCE", "stepscope, other");
    let both = config(&[issuer, audience]).unwrap();
    let trusted = both.issuer().unwrap();
    assert_eq!(trusted.issuer, "https://issuer.example/");
    assert_eq!(trusted.audiences, ["stepscope", "other"]);
    let default_uri = "https://issuer.example/.well-known/jwks.json";
    assert_eq!(trusted.jwks_uri.as_str(), default_uri);
    assert_eq!(trusted.tenant_claim, "tenant");

    let more = [
        issuer,
        audience,
        ("STEPSCOPE_JWKS_URI", "http://127.0.0.1:9000/keys"),
        ("STEPSCOPE_TENANT_CLAIM", "custom:tenant"),
    ];
    let with_more = config(&more).unwrap();
    let trusted = with_more.issuer().unwrap();
    assert_eq!(trusted.jwks_uri.as_str(), "http://127.0.0.1:9000/keys");
    assert_eq!(trusted.tenant_claim, "custom:tenant");

    let error = config(&[issuer]).unwrap_err().to_string();
    assert!(error.starts_with("STEPSCOPE_AUDIENCE is not set, and STEPSCOPE_ISSUER is"));
    let error = config(&[audience]).unwrap_err().to_string();
    assert!(error.starts_with("STEPSCOPE_ISSUER is not set, and STEPSCOPE_AUDIENCE is"));
    for bad in [
        "http://issuer.example",
        "issuer",
        "https://u:p@issuer.example",
    ] {
        assert!(
            config(&[("STEPSCOPE_ISSUER", bad), audience]).is_err(),
            "{bad}"
        );
        assert!(config(&[issuer, audience, ("STEPSCOPE_JWKS_URI", bad)]).is_err());
    }
}

#[test]
fn allowed_addresses_are_hosts_with_ports() {
    let check = |text: &str, expected: Option<&[(&str, u16)]>| {
        let found = config(&[("STEPSCOPE_HTTP_ALLOW", text)]);
        let expected = expected.map(|pairs| {
            let pairs = pairs.iter().map(|(host, port)| AllowedAddress {
                host: (*host).to_owned(),
                port: *port,
            });
            pairs.collect::<Vec<_>>()
        });
        assert_eq!(
            found.ok().map(|config| config.http_allow),
            expected,
            "{text}"
        );
    };
    check(
        "127.0.0.1:8080, LOCALHOST:9000,[::1]:80",
        Some(&[("127.0.0.1", 8080), ("localhost", 9000), ("::1", 80)]),
    );
    for bad in [
        "localhost",
        "localhost:",
        "localhost:0",
        "localhost:70000",
        ":80",
        "a b:80",
        "::1",
    ] {
        check(bad, None);
    }
}

#[test]
fn the_otlp_endpoint_follows_the_specification() {
    let check = |values: &[(&str, &str)], expected: &str| {
        let otlp = config(values).unwrap().otlp.unwrap();
        assert_eq!(otlp.traces_url.as_str(), expected);
    };
    let base = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    check(&[(base, "http://h:4318")], "http://h:4318/v1/traces");
    check(&[(base, "http://h:4318/")], "http://h:4318/v1/traces");
    check(&[(base, "https://h/otlp/")], "https://h/otlp/v1/traces");
    check(&[(traces, "http://h:4318")], "http://h:4318/");
    check(&[(traces, "http://h:4318/in")], "http://h:4318/in");
    check(&[(base, "http://a"), (traces, "http://b/x")], "http://b/x");
    check(&[(base, "http://a"), (traces, "")], "http://a/v1/traces");
    assert!(config(&[(base, "h:4318")]).is_err());
    assert!(config(&[(base, "grpc://h:4317")]).is_err());
}

#[test]
fn otlp_headers_timeout_and_compression_follow_the_specification() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318");
    let plain = config(&[endpoint]).unwrap().otlp.unwrap();
    assert_eq!(plain.timeout, Duration::from_secs(10));
    assert_eq!(plain.compression, OtlpCompression::Gzip);
    assert!(plain.headers.is_empty());

    let otlp = config(&[
        endpoint,
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "X-Api-Key=a%20b%3D, other = c ,",
        ),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
    ]);
    let otlp = otlp.unwrap().otlp.unwrap();
    let headers: Vec<_> = otlp
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.reveal()))
        .collect();
    assert_eq!(headers, [("x-api-key", "a b="), ("other", "c")]);
    assert_eq!(otlp.timeout, Duration::from_millis(2500));
    assert_eq!(otlp.compression, OtlpCompression::None);
    assert!(!format!("{otlp:?}").contains("a b="));

    let specific = config(&[
        endpoint,
        ("OTEL_EXPORTER_OTLP_HEADERS", "general=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "specific=2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "not a number"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1"),
    ]);
    let specific = specific.unwrap().otlp.unwrap();
    assert_eq!(specific.headers.len(), 1);
    assert_eq!(specific.headers[0].0, "specific");
    assert_eq!(specific.timeout, Duration::from_millis(1));

    for bad in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no-value"),
    ] {
        let error = config(&[endpoint, bad]).unwrap_err().to_string();
        assert!(error.starts_with(bad.0), "{error}");
    }
}

#[test]
fn an_access_to_this_process_s_environment_finds_no_fault() {
    let found = Config::from_env();
    assert!(found.is_ok(), "{found:?}");
}

proptest! {
    #[test]
    fn no_value_makes_the_parser_panic(index in 0..Variable::ALL.len(), value in any::<String>()) {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318");
        let _ = config(&[endpoint, (Variable::ALL[index].name(), &value)]);
    }
}
