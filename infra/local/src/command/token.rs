use std::process::ExitCode;

use anyhow::Context as _;
use identity::Scope;

use crate::arguments::TokenArguments;
use crate::connection;
use crate::terminal::{say, warn};

/// Prints the token alone, so that `$(stepscope token)` is one.
pub(crate) async fn token(arguments: TokenArguments) -> anyhow::Result<ExitCode> {
    for scope in &arguments.scope {
        scope.parse::<Scope>()?;
    }
    let http = lambda_process::http_client()?;
    let endpoints = match &arguments.target.url {
        Some(url) => connection::find(&http, url).await?,
        None => connection::find_running(&arguments.target.cloud.data)?.with_context(|| {
            format!(
                "no local cloud serves {}: start one with `stepscope dev`, or name one with --url",
                arguments.target.cloud.data.display()
            )
        })?,
    };
    let scopes = &arguments.scope;
    let token = connection::token(&http, &endpoints.url, &arguments.tenant, scopes).await?;
    say(&token);
    warn(&format!(
        "for the tenant {} at {}, good for 12 hours",
        arguments.tenant, endpoints.url
    ));
    Ok(ExitCode::SUCCESS)
}
