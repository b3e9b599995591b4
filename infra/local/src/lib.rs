//! The `stepscope` command: the local cloud in one process, and what a terminal shows of it.
//!
//! Holds no logic that AWS would need too: handlers, store, recorder and API are the crates that
//! run on Lambda. Here they are given embedded engines, a loopback address and a data folder.

mod api;
mod arguments;
mod cloud;
mod command;
mod connection;
mod demo;
mod deployment;
mod export;
mod instrument;
mod invoke;
mod moment;
mod progress;
mod terminal;
mod view;

use std::process::ExitCode;

pub use arguments::Arguments;
use arguments::Command;
use lambda_process::logging::{self, LogFormat};
use lambda_process::{Config, Variable};
use trace_model::Clock;

/// Runs the command; what goes wrong is one message on standard error and exit status 1.
pub fn main(arguments: Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(16)
        .build();
    let done = match runtime {
        Ok(runtime) => log().and_then(|()| runtime.block_on(command(arguments))),
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|error| {
        let style = anstyle::Style::new()
            .bold()
            .fg_color(Some(anstyle::AnsiColor::Red.into()));
        terminal::warn(&format!("{style}error{style:#} {error:#}"));
        ExitCode::FAILURE
    })
}

/// To standard error, and only what a person should act on unless `STEPSCOPE_LOG` says more.
fn log() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let filter = if config.log_filter == Variable::Log.default_value() {
        "warn"
    } else {
        &config.log_filter
    };
    Ok(logging::init(LogFormat::Text, filter, Clock::system())?)
}

async fn command(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Dev(arguments) => command::dev::dev(arguments).await,
        Command::Run(arguments) => command::run::run(arguments).await,
        Command::Check(arguments) => command::check::check(&arguments),
        Command::Stop(arguments) => command::stop::stop(arguments).await,
        Command::Redrive(arguments) => command::redrive::redrive(arguments).await,
        Command::Approvals(arguments) => command::approvals::approvals(arguments).await,
        Command::Approve(arguments) => {
            command::approvals::decide(arguments, command::approvals::Verdict::Approve).await
        }
        Command::Reject(arguments) => {
            command::approvals::decide(arguments, command::approvals::Verdict::Reject).await
        }
        Command::Executions(arguments) => command::executions::executions(arguments).await,
        Command::Trace(arguments) => command::trace::trace(arguments).await,
        Command::Workflows(arguments) => command::workflows::workflows(arguments).await,
        Command::Instrument(arguments) => command::instrument::instrument(&arguments),
        Command::Keys(arguments) => command::keys::keys(arguments).await,
        Command::Export(arguments) => command::export::export(arguments).await,
        Command::Import(arguments) => command::import::import(arguments).await,
        Command::Invoke(arguments) => command::invoke::invoke(arguments).await,
        Command::Token(arguments) => command::token::token(arguments).await,
    }
}
