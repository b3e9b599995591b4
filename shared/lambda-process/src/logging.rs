//! Logs: one line per event, as JSON or as text.
//!
//! Every value passes through the masking policy first. Control characters, ANSI escapes and
//! marks that turn the direction of text are written as escapes, so that no value can forge
//! a line or what a terminal shows.

mod entry;
pub(crate) mod escape;
mod layer;

use std::any::Any;
use std::io;
use std::panic;

use trace_model::Clock;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

pub use layer::{LogLayer, layer};

use crate::error::StartError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line on standard output, where Lambda picks it up.
    Json,
    /// For a person, on standard error: standard output belongs to the command's result.
    Text,
}

/// Starts logging for the whole process, panics included. `filter` is as in `STEPSCOPE_LOG`.
pub fn init(format: LogFormat, filter: &str, clock: Clock) -> Result<(), StartError> {
    let (filter, writer) = (parse_filter(filter)?, writer(format));
    tracing_subscriber::registry()
        .with(filter)
        .with(layer(format, clock, writer))
        .try_init()
        .map_err(StartError::LoggingStarted)?;
    log_panics();
    Ok(())
}

/// [`init`] with one more layer, whose filter is its own: what it takes in, the log need not
/// show.
pub fn init_with<L>(
    format: LogFormat,
    filter: &str,
    clock: Clock,
    more: L,
) -> Result<(), StartError>
where
    L: Layer<Registry> + Send + Sync,
{
    let (filter, writer) = (parse_filter(filter)?, writer(format));
    tracing_subscriber::registry()
        .with(more)
        .with(layer(format, clock, writer).with_filter(filter))
        .try_init()
        .map_err(StartError::LoggingStarted)?;
    log_panics();
    Ok(())
}

/// What these say is not for a log: `genai` prints whole answers of models, `s3s` reports each
/// refused request, a 404 included, as an error.
const NEVER: &str = "genai=off,s3s=off";

fn parse_filter(filter: &str) -> Result<EnvFilter, StartError> {
    EnvFilter::try_new(format!("{filter},{NEVER}")).map_err(|source| StartError::LogFilter {
        found: filter.to_owned(),
        source,
    })
}

fn writer(format: LogFormat) -> BoxMakeWriter {
    match format {
        LogFormat::Json => BoxMakeWriter::new(io::stdout),
        LogFormat::Text => BoxMakeWriter::new(io::stderr),
    }
}

pub(crate) fn is_filter(text: &str) -> bool {
    EnvFilter::try_new(text).is_ok()
}

/// The standard hook would print the panic's message unmasked.
fn log_panics() {
    panic::set_hook(Box::new(|information| {
        if entry::is_masking() {
            return;
        }
        let payload = panic_message(information.payload());
        let location = information.location().map(ToString::to_string);
        tracing::error!(panic = payload, location, "a panic");
    }));
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
