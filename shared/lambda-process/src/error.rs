use thiserror::Error;

use crate::variables::Variable;

/// What is wrong with the environment. Never shows the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    #[error("{variable} is not set; expected {}", .variable.expected())]
    Missing { variable: Variable },
    #[error("{variable} is not set, and {because} is; expected {}", .variable.expected())]
    MissingBeside {
        variable: Variable,
        because: Variable,
    },
    #[error("{variable} is {found}; expected {}", .variable.expected())]
    Invalid { variable: Variable, found: String },
    #[error("{variable} is not valid UTF-8; expected {}", .variable.expected())]
    NotUnicode { variable: Variable },
}

/// What keeps a process from starting, the environment apart.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    #[error("cannot make the HTTP client")]
    HttpClient(#[source] reqwest::Error),
    #[error("{variable} is no proxy's URL; expected, for example, `http://proxy.example:3128`")]
    Proxy {
        variable: &'static str,
        #[source]
        source: reqwest::Error,
    },
    #[error("{found:?} is no log filter; expected, for example, `info,trace_store=debug`")]
    LogFilter {
        found: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("logging was started before in this process")]
    LoggingStarted(#[source] tracing_subscriber::util::TryInitError),
}
