//! Metrics in `CloudWatch`'s embedded metric format: one line of JSON on standard output for
//! each invocation, of which `CloudWatch` makes metrics. No request, no waiting.
//!
//! ```
//! # use std::time::Duration;
//! # use lambda_process::metrics::{Detector, Metric, Metrics};
//! # let metrics = Metrics::off();
//! // Once a process: let metrics = Metrics::of_process(&config, "export-spans", clock.clone());
//! // Once an invocation: what is added is written when the batch goes out of scope.
//! let mut batch = metrics.batch();
//! batch.add(Metric::SpansExported, 12_u64);
//! batch.add(Metric::ExportLag, Duration::from_millis(1_250));
//! batch.add(Metric::Redactions(Detector("email")), 3_u64);
//! ```
//!
//! On Lambda they are on, elsewhere off, unless `STEPSCOPE_METRICS` says otherwise. What a
//! metric is called, counts and is told by stands in [`Metric`], and nowhere else;
//! `docs/reference/metrics.md` is made of it. A value never holds anything of a trace.
//!
//! - Counts of one batch are added up; durations are kept one by one, for percentiles.
//! - A count of zero is not sent: a metric costs money in each hour in which it is.
//! - A cold start is counted with the first batch that says anything.
//!
//! The lines are made here and not by `metrics_cloudwatch_embedded`, because that has one
//! recorder for the process and takes any text for a name: the local cloud runs all functions
//! in one process, and a metric that an alarm waits for under another name never rings.

mod captured;
mod line;
mod names;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use trace_model::{Clock, Timestamp};

pub use captured::Captured;
pub use names::{Detector, Dimension, Metric, Route, StatusClass, Unit, reference_page};

use crate::Config;
use line::Line;

/// The namespace of all of them.
pub const NAMESPACE: &str = "Stepscope";

/// `CloudWatch` takes numbers up to 2^360.
const LARGEST: f64 = 1e100;

/// Whether a process writes metrics: `STEPSCOPE_METRICS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsFormat {
    /// The embedded metric format.
    #[default]
    Emf,
    None,
}

/// A function's metrics. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Option<Arc<Function>>);

/// What one invocation has to say. Written when it is dropped, also by a panic or when the
/// invocation is cut off.
#[derive(Debug)]
#[must_use = "what is added to it is written when it is dropped"]
pub struct MetricBatch {
    function: Option<Arc<Function>>,
    lines: Vec<Line>,
}

/// A metric's value.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Amount(f64);

struct Function {
    name: String,
    table: String,
    clock: Clock,
    cold: AtomicBool,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl MetricsFormat {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "emf" => Some(Self::Emf),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

impl Metrics {
    /// As the environment says. `name` is the function's where Lambda gives it none.
    pub fn of_process(config: &Config, name: &str, clock: Clock) -> Self {
        let on_lambda = config.function_name.as_deref();
        let format = config.metrics.unwrap_or(match on_lambda {
            Some(_) => MetricsFormat::Emf,
            None => MetricsFormat::None,
        });
        match format {
            MetricsFormat::Emf => Self::to_writer(
                on_lambda.unwrap_or(name),
                config.table().unwrap_or_default(),
                clock,
                io::stdout(),
            ),
            MetricsFormat::None => Self::off(),
        }
    }

    /// Nothing is written.
    pub const fn off() -> Self {
        Self(None)
    }

    pub fn to_writer(
        function_name: &str,
        table_name: &str,
        clock: Clock,
        writer: impl Write + Send + 'static,
    ) -> Self {
        Self(Some(Arc::new(Function {
            name: line::dimension_value(function_name),
            table: line::dimension_value(table_name),
            clock,
            cold: AtomicBool::new(true),
            writer: Mutex::new(Box::new(writer)),
        })))
    }

    /// One for each invocation.
    pub fn batch(&self) -> MetricBatch {
        MetricBatch {
            function: self.0.clone(),
            lines: Vec::new(),
        }
    }
}

impl MetricBatch {
    /// Counts add up; durations stand one by one.
    pub fn add(&mut self, metric: Metric<'_>, amount: impl Into<Amount>) {
        let Amount(amount) = amount.into();
        let is_nothing = amount == 0.0 && metric.unit().adds_up();
        if self.function.is_none() || is_nothing || amount.abs() > LARGEST || amount.is_nan() {
            return;
        }
        // A line has one value for each label; what differs goes into another.
        let taken = self.lines.iter_mut().any(|line| line.take(metric, amount));
        if !taken {
            let mut line = Line::default();
            line.take(metric, amount);
            self.lines.push(line);
        }
    }

    /// The time from then until now.
    pub fn add_lag(&mut self, metric: Metric<'_>, since: Timestamp) {
        let now = self.function.as_ref().map(|function| function.clock.now());
        if let Some(now) = now {
            self.add(metric, now.since(since));
        }
    }
}

impl Drop for MetricBatch {
    fn drop(&mut self) {
        let Some(function) = self.function.clone() else {
            return;
        };
        if self.lines.is_empty() {
            return;
        }
        if function.cold.swap(false, Ordering::Relaxed) {
            self.add(Metric::ColdStarts, 1_u64);
        }
        let now = function.clock.now();
        let mut text = String::new();
        for line in &self.lines {
            text += &line.to_emf(&function.name, &function.table, now);
        }
        let mut writer = function
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // As with a log line, there is nobody to tell that it cannot be written.
        let _ = writer
            .write_all(text.as_bytes())
            .and_then(|()| writer.flush());
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Function")
            .field("name", &self.name)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl From<u64> for Amount {
    #[expect(
        clippy::cast_precision_loss,
        reason = "CloudWatch keeps doubles; counts beyond 2^53 do not occur"
    )]
    fn from(count: u64) -> Self {
        Self(count as f64)
    }
}

impl From<usize> for Amount {
    fn from(count: usize) -> Self {
        Self::from(count as u64)
    }
}

impl From<f64> for Amount {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

/// In milliseconds.
impl From<Duration> for Amount {
    fn from(duration: Duration) -> Self {
        Self(duration.as_secs_f64() * 1_000.0)
    }
}
