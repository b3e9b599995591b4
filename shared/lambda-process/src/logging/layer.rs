use std::io::Write;

use redaction::Policy;
use trace_model::Clock;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::LogFormat;
use super::entry::{Entry, FieldVisitor, Fields};

/// Writes each event, with the fields of the spans around it, as one line.
#[derive(Debug)]
pub struct LogLayer<W> {
    format: LogFormat,
    clock: Clock,
    policy: Policy,
    writer: W,
}

/// The layer that [`super::init`] installs, for a subscriber of one's own.
pub fn layer<W>(format: LogFormat, clock: Clock, writer: W) -> LogLayer<W> {
    LogLayer {
        format,
        clock,
        policy: Policy::standard(),
        writer,
    }
}

impl<W> LogLayer<W> {
    fn visitor<'a>(&'a self, fields: &'a mut Fields) -> FieldVisitor<'a> {
        FieldVisitor {
            policy: &self.policy,
            fields,
        }
    }
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut self.visitor(&mut fields));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        // Before the span is locked: a value's `Debug` may log, or panic, in its turn.
        let mut recorded = Fields::default();
        values.record(&mut self.visitor(&mut recorded));
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            fields.extend(&recorded);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut entry = Entry {
            time: self.clock.now(),
            metadata: event.metadata(),
            fields: Fields::default(),
            spans: Vec::new(),
        };
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(Scope::from_root)
        {
            entry.spans.push(span.name());
            if let Some(fields) = span.extensions().get::<Fields>() {
                entry.fields.extend(fields);
            }
        }
        event.record(&mut self.visitor(&mut entry.fields));
        let line = match self.format {
            LogFormat::Json => entry.into_json_line(),
            LogFormat::Text => entry.into_text_line(),
        };
        // There is nowhere left to say that the log cannot be written.
        let _ = self.writer.make_writer().write_all(line.as_bytes());
    }
}
