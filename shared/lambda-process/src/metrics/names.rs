use std::fmt::Write;

/// Declares each metric once; its doc comment is its line in the reference page too.
macro_rules! metrics {
    ($(
        $(#[doc = $doc:literal])+
        $variant:ident $(($label:ident))?: $unit:ident by $scope:ident;
    )+) => {
        /// What is measured. A variant's name is the metric's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric<'a> {
            $($(#[doc = $doc])+ $variant $(($label<'a>))?,)+
        }

        impl<'a> Metric<'a> {
            /// Each once, with empty labels.
            pub const ALL: &'static [Metric<'static>] =
                &[$(Metric::$variant $(($label("")))?,)+];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($variant),)+
                }
            }

            pub const fn unit(self) -> Unit {
                match self {
                    $(Self::$variant { .. } => Unit::$unit,)+
                }
            }

            /// Whose it is: the function's, or all functions' together.
            const fn scope(self) -> Dimension {
                match self {
                    $(Self::$variant { .. } => Dimension::$scope,)+
                }
            }

            pub(super) fn label(self) -> Option<(Dimension, &'a str)> {
                match self {
                    $(Self::$variant $(($label(value)))? =>
                        None$(.or(Some((Dimension::$label, value))))?,)+
                }
            }

            fn description(self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

metrics! {
    /// Processes that were started: their first invocation was slower.
    ColdStarts: Count by FunctionName;

    /// Spans that the table took, each revision counted.
    SpansWritten: Count by FunctionName;
    /// What they came to in the table and the bucket, compressed.
    BytesWritten: Bytes by FunctionName;
    /// From the end of an invocation's work until its spans were written.
    FlushDuration: Milliseconds by FunctionName;
    /// Spans that waited when an invocation's flush ended, because the table refused them.
    SpansWaiting: Count by FunctionName;
    /// Spans that the table refused and the queue took: they come back.
    SpansQueued: Count by TableName;
    /// Spans that came back from the queue and were written.
    SpansRestored: Count by TableName;
    /// Spans that are gone: refused for good, or more than the memory holds.
    SpansLost: Count by TableName;
    /// Texts that are gone: the table refused their spans, and the queue takes none so large.
    TextsLost: Count by TableName;
    /// Values that were masked before anything was stored, by what they were.
    Redactions(Detector): Count by TableName;
    /// What the model calls cost whose spans were written, in US dollars, by list prices.
    ModelCost: None by TableName;

    /// Executions whose history was read and recorded.
    ExecutionsRecorded: Count by FunctionName;
    /// Pages of histories that were read for it: each is a call that Step Functions bills.
    HistoryPages: Count by FunctionName;
    /// From the end of an execution until it is recorded.
    RecordLag: Milliseconds by FunctionName;

    /// Runs whose totals were computed.
    RunsSummarised: Count by FunctionName;
    /// Runs whose totals could not be computed, and are tried again or given up.
    SummaryFailures: Count by FunctionName;
    /// From the writing of a change until the run's totals have it.
    SummaryLag: Milliseconds by FunctionName;

    /// Spans that the collector took.
    SpansExported: Count by FunctionName;
    /// Spans that the collector will never take: given up.
    SpansDropped: Count by FunctionName;
    /// Batches that the collector did not take, and that come again.
    ExportFailures: Count by FunctionName;
    /// From the writing of spans until the collector has them.
    ExportLag: Milliseconds by FunctionName;

    /// How long a request took, by the template of its route.
    RequestDuration(Route): Milliseconds by FunctionName;
    /// Requests that were answered, by the class of the answer's status.
    Responses(StatusClass): Count by FunctionName;

    /// Spans that came by OTLP and were stored.
    SpansReceived: Count by FunctionName;
    /// Spans that came by OTLP and were refused, with the reason in the answer.
    SpansRejected: Count by FunctionName;

    /// Executions that were looked for in the store.
    ExecutionsSeen: Count by FunctionName;
    /// Of these, those that had no trace, or an unfinished one, though they were over.
    ExecutionsMissing: Count by FunctionName;
    /// Executions without a trace that were recorded after all.
    ExecutionsRepaired: Count by FunctionName;
    /// Open spans that were ended because their function is gone.
    SpansAbandoned: Count by FunctionName;
    /// Runs whose totals were lost, and are computed again.
    SummariesRepaired: Count by FunctionName;
    /// Objects in the bucket that nothing points to, deleted.
    ObjectsOrphaned: Count by FunctionName;
}

/// What of a value was masked: a detector's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detector<'a>(pub &'a str);

/// The template of a route, such as `/executions/{id}`: never a path that somebody called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a>(pub &'a str);

/// `2xx` to `5xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusClass<'a>(pub &'a str);

impl StatusClass<'static> {
    pub const fn of(status: u16) -> Self {
        Self(match status {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500..600 => "5xx",
            _ => "1xx",
        })
    }
}

/// What a metric is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// As Lambda names the function, like Lambda's own metrics.
    FunctionName,
    /// The table of the traces: all functions of one deployment together.
    TableName,
    Detector,
    Route,
    StatusClass,
}

impl Dimension {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FunctionName => "FunctionName",
            Self::TableName => "TableName",
            Self::Detector => "Detector",
            Self::Route => "Route",
            Self::StatusClass => "StatusClass",
        }
    }
}

/// Of `CloudWatch`'s units, those that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Bytes,
    Milliseconds,
    None,
}

impl Unit {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Milliseconds => "Milliseconds",
            Self::None => "None",
        }
    }

    pub(super) const fn adds_up(self) -> bool {
        !matches!(self, Self::Milliseconds)
    }
}

impl Metric<'_> {
    /// All of its one dimension set.
    pub fn dimensions(self) -> Vec<Dimension> {
        let label = self.label().map(|(dimension, _)| dimension);
        [self.scope()].into_iter().chain(label).collect()
    }
}

/// `docs/reference/metrics.md`, whole.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         The functions write them to their logs in CloudWatch's embedded metric format, one line \
         for each invocation, in the namespace `Stepscope`. A metric never holds anything of a \
         trace. The page is generated from `shared/lambda-process/src/metrics/names.rs`.\n\n\
         | metric | unit | dimensions | what it is |\n|---|---|---|---|\n",
    );
    for metric in Metric::ALL {
        let dimensions = metric.dimensions();
        let dimensions: Vec<_> = dimensions
            .iter()
            .map(|dimension| format!("`{}`", dimension.as_str()))
            .collect();
        let unit = match metric.unit() {
            Unit::None => "US dollars",
            unit => unit.as_str(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| `{}` | {unit} | {} | {} |",
            metric.name(),
            dimensions.join(", "),
            metric.description()
        );
    }
    page.push_str(
        "\n`FunctionName` is as Lambda names the function, `TableName` is the table of the traces: \
         a metric by that is the sum over all functions of one deployment, your own included. \
         Every line has both, so a log query finds the function:\n\n\
         ```\n\
         filter ispresent(_aws.Timestamp) and SpansLost > 0\n\
         | stats sum(SpansLost) by FunctionName, bin(5m)\n\
         ```\n\n\
         ## What they cost\n\n\
         CloudWatch bills each combination of a name and its dimensions' values as a metric: 0.30 \
         US dollars a month, the first ten free, and only for the hours in which it was sent. So a \
         count of zero is not sent, and what nobody uses costs nothing. A deployment in which all \
         functions are busy all month sends about 60, which is 15 dollars; one that is busy two \
         hours a day pays a twelfth of it. A function of your own adds up to five. The lines \
         themselves are log data, about 500 bytes for each invocation.\n\n\
         `STEPSCOPE_METRICS=none` (the parameter `Metrics` of the template) turns them off: then \
         the alarms that are about them stay silent, and those about AWS's own metrics remain. \
         Outside of Lambda they are off, unless `STEPSCOPE_METRICS=emf` asks for them.\n",
    );
    page
}
