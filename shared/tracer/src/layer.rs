use std::fmt;
use std::sync::Arc;

use trace_model::{AttributeValue, Attributes, SpanKind, conventions};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes as NewSpan, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::current::{self, Entry};
use crate::open_span::{OpenSpan, mark_error};

/// The `tracing` spans that stand for our own handles' scopes.
const SCOPE_TARGET: &str = "stepscope::scope";

/// Crates that tell of themselves and not of the work; a trailing `_` stands for a family.
const LIBRARIES: &[&str] = &[
    "aws_",
    "axum",
    "genai",
    "h2",
    "hyper",
    "hyper_",
    "lambda_",
    "mio",
    "opentelemetry",
    "opentelemetry_",
    "quinn",
    "redaction",
    "reqwest",
    "rustls",
    "rustls_",
    "sqlx",
    "sqlx_",
    "tokio",
    "tokio_",
    "tonic",
    "tower",
    "tower_",
    "trace_model",
    "trace_store",
    "tracer",
    "tracing",
    "tracing_",
    "ureq",
    "want",
];

/// What of `tracing` becomes part of a trace.
#[derive(Clone, Debug)]
pub struct Capture {
    level: Level,
    ignored: Vec<String>,
}

impl Default for Capture {
    /// `INFO` and above, less well-known libraries.
    fn default() -> Self {
        Self {
            level: Level::INFO,
            ignored: LIBRARIES.iter().copied().map(str::to_owned).collect(),
        }
    }
}

impl Capture {
    /// Takes more in (`Level::DEBUG`), or less.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Leaves out a crate, or a family of crates whose names begin so if it ends in `_`.
    #[must_use]
    pub fn ignoring(mut self, library: impl Into<String>) -> Self {
        self.ignored.push(library.into());
        self
    }

    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        if target == SCOPE_TARGET {
            return true;
        }
        let library = target.split("::").next().unwrap_or(target);
        let is_ignored = |ignored: &String| {
            library == ignored || (ignored.ends_with('_') && library.starts_with(ignored.as_str()))
        };
        *metadata.level() <= self.level && !self.ignored.iter().any(is_ignored)
    }
}

/// Makes child spans of `#[instrument]` functions that run inside a node, and span events of
/// what they log. Its filter is its own: add it beside a log layer that has another.
pub fn layer<S>(capture: Capture) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let most = LevelFilter::from_level(capture.level);
    let filter = tracing_subscriber::filter::filter_fn(move |metadata| capture.takes(metadata))
        .with_max_level_hint(most);
    NodeLayer.with_filter(filter)
}

/// Level `ERROR`, because no filter for levels turns that off.
pub(crate) fn scope_span(span: &Arc<OpenSpan>) -> tracing::Span {
    let _scope = current::Scope::enter(span);
    tracing::error_span!(
        target: SCOPE_TARGET,
        "node",
        trace_id = %span.trace().trace_id,
        span_id = %span.traceparent().span_id,
    )
}

struct NodeLayer;

/// Kept with a `tracing` span that belongs to a node.
struct Captured {
    open: Arc<OpenSpan>,
    ends: Ends,
}

/// Whether our span ends with `tracing`'s.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    WithIt,
    /// It is a handle's scope: the handle ends it.
    Elsewhere,
}

impl<S> Layer<S> for NodeLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &NewSpan<'_>, id: &Id, context: Context<'_, S>) {
        let parent = attributes
            .parent()
            .and_then(|parent| captured(parent, &context))
            .or_else(current::current);
        let (Some(parent), Some(span)) = (parent, context.span(id)) else {
            return;
        };
        let metadata = attributes.metadata();
        let captured = if metadata.target() == SCOPE_TARGET {
            Captured {
                open: parent,
                ends: Ends::Elsewhere,
            }
        } else {
            let open = parent.open_child(metadata.name(), SpanKind::Internal, |span| {
                metadata.target().clone_into(&mut span.scope.0);
                attributes.record(&mut Fields(&mut span.attributes));
            });
            Captured {
                open,
                ends: Ends::WithIt,
            }
        };
        span.extensions_mut().insert(captured);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(open) = captured(id, &context) {
            open.change(|span| values.record(&mut Fields(&mut span.attributes)));
        }
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let Some(open) = current::current() else {
            return;
        };
        let mut attributes = Attributes::new();
        event.record(&mut Fields(&mut attributes));
        let metadata = event.metadata();
        let message = attributes
            .shift_remove("message")
            .and_then(|message| message.as_str().map(str::to_owned));
        attributes.insert("level".to_owned(), metadata.level().as_str().into());
        attributes.insert("target".to_owned(), metadata.target().into());
        if *metadata.level() == Level::ERROR {
            let error = attributes.get("error").and_then(AttributeValue::as_str);
            let words = message.as_deref().or(error).unwrap_or(metadata.name());
            open.change(|span| {
                let error_type = span
                    .text(conventions::ERROR_TYPE)
                    .unwrap_or("error")
                    .to_owned();
                mark_error(span, &error_type, words);
            });
        }
        let name = message.unwrap_or_else(|| metadata.name().to_owned());
        open.event(name, attributes);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(open) = captured(id, &context) {
            current::enter(Entry::Tracing(id.into_u64()), open);
        }
    }

    fn on_exit(&self, id: &Id, _context: Context<'_, S>) {
        current::exit(Entry::Tracing(id.into_u64()));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let captured = span.extensions_mut().remove::<Captured>();
        if let Some(Captured {
            open,
            ends: Ends::WithIt,
        }) = captured
        {
            open.end(|_| {});
        }
    }
}

fn captured<S>(id: &Id, context: &Context<'_, S>) -> Option<Arc<OpenSpan>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let span = context.span(id)?;
    let extensions = span.extensions();
    let captured = extensions.get::<Captured>()?;
    Some(Arc::clone(&captured.open))
}

struct Fields<'a>(&'a mut Attributes);

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: impl Into<AttributeValue>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}
