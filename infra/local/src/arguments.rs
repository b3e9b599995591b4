use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use trace_model::TenantId;
use url::Url;

use crate::command::export::SPANS_PER_SECOND;
use crate::command::import::EXECUTIONS_PER_SECOND;
use crate::command::keys::KeysArguments;
use crate::export::Header;
use crate::invoke::Function;
use crate::moment::{Moment, NoMoment};

/// Traces of AI workflows on AWS Step Functions, on one machine.
#[derive(Debug, Parser)]
#[command(name = "stepscope", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the local cloud: Step Functions, DynamoDB, S3, the recorder and the API.
    Dev(DevArguments),
    /// Run a workflow and show its trace; the exit status is the run's.
    Run(RunArguments),
    /// Say everything that is wrong with a definition, without running it; the exit status is 1 when
    /// there are errors.
    Check(CheckArguments),
    /// Stop a run; it ends as ABORTED.
    Stop(StopArguments),
    /// Take up a run that did not succeed, from where it failed, and show its trace; the exit status
    /// is the run's.
    Redrive(RedriveArguments),
    /// List what waits for a person.
    Approvals(ApprovalsArguments),
    /// Approve what waits for a person.
    Approve(DecideArguments),
    /// Reject what waits for a person.
    Reject(DecideArguments),
    /// List the latest runs.
    Executions(ExecutionsArguments),
    /// Show the trace of one run.
    Trace(TraceArguments),
    /// List the workflows.
    Workflows(WorkflowsArguments),
    /// Add what traces need to every Lambda task of a state machine's definition.
    Instrument(InstrumentArguments),
    /// Make, list and revoke API keys, with which other programs send spans.
    Keys(KeysArguments),
    /// Record executions that ran before anybody recorded them, from Step Functions' histories; the
    /// exit status is 1 when one of them could not be.
    Import(Box<ImportArguments>),
    /// Send the finished spans of stored runs to a collector once more; the exit status is 1 when
    /// it did not take them all.
    Export(Box<ExportArguments>),
    /// Run a function of the application on an event, with the handler that runs on Lambda, and
    /// print its answer; the exit status is 1 when it failed.
    Invoke(InvokeArguments),
    /// Print an access token of the local issuer.
    Token(TokenArguments),
}

/// Where the local cloud keeps its data unless something else is said.
pub(crate) const DEFAULT_DATA: &str = ".stepscope";

#[derive(Clone, Debug, Args)]
pub(crate) struct CloudArguments {
    /// Where the local cloud keeps its data.
    #[arg(
        long,
        value_name = "DIR",
        default_value = DEFAULT_DATA,
        env = "STEPSCOPE_DATA"
    )]
    pub data: PathBuf,
    /// Workflows of your own: a folder of *.asl.json files, beside the examples.
    #[arg(long, value_name = "DIR")]
    pub workflows: Option<PathBuf>,
    /// Lambda's Invoke API for functions that are not Stepscope's own, as `cargo lambda watch`,
    /// `sam local start-lambda` and emulators serve it.
    #[arg(long, value_name = "URL")]
    pub lambda_endpoint: Option<Url>,
}

#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// Port of the API on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 8787)]
    pub port: u16,
    /// Port of the AWS endpoint; without it the API's port plus one.
    #[arg(long, value_name = "PORT")]
    pub aws_port: Option<u16>,
    /// Run the example workflows first and show their traces.
    #[arg(long)]
    pub demo: bool,
    #[command(flatten)]
    pub cloud: CloudArguments,
}

/// Which local cloud to talk to.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// A running `stepscope dev`; without it the one on the data folder, or one started here.
    #[arg(long, value_name = "URL", env = "STEPSCOPE_URL")]
    pub url: Option<Url>,
    #[command(flatten)]
    pub cloud: CloudArguments,
}

/// Whose table and bucket: a deployed stack's, or the local cloud's.
#[derive(Clone, Debug, Args)]
pub(crate) struct Deployment {
    /// The table of a deployed stack, its output `TableName`: reached with your AWS credentials, in
    /// `AWS_REGION`. Without it the local cloud is meant.
    #[arg(
        long,
        value_name = "NAME",
        env = "STEPSCOPE_TABLE",
        requires = "bucket"
    )]
    pub table: Option<String>,
    /// The bucket beside it, the output `BucketName`.
    #[arg(
        long,
        value_name = "NAME",
        env = "STEPSCOPE_BUCKET",
        requires = "table"
    )]
    pub bucket: Option<String>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// A workflow's name, or a file that ends in .asl.json.
    #[arg(value_name = "WORKFLOW|FILE")]
    pub workflow: String,
    /// The input: JSON, or @FILE; a workflow run by name takes its example input without it.
    #[arg(long, value_name = "JSON|@FILE")]
    pub input: Option<String>,
    /// Whose run it is.
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// The execution's name; the same name and input start no second run.
    #[arg(long)]
    pub name: Option<String>,
    /// Print one JSON object at the end instead.
    #[arg(long)]
    pub json: bool,
    /// Show every iteration of a Map.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// State machine definitions: files, folders of *.asl.json files, or - for standard input.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArguments {
    /// The run: MACHINE:NAME, its ARN, or its trace id.
    pub execution: String,
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// The error name that the run ends with.
    #[arg(long)]
    pub error: Option<String>,
    /// Why; who stopped it, without both.
    #[arg(long)]
    pub cause: Option<String>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct RedriveArguments {
    /// The run: MACHINE:NAME, its ARN, or its trace id.
    pub execution: String,
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// Print one JSON object at the end instead.
    #[arg(long)]
    pub json: bool,
    /// Show every iteration of a Map.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct ApprovalsArguments {
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct DecideArguments {
    /// The span id of what waits, or how it begins, as `stepscope approvals` lists it.
    pub span: String,
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// Why, for the workflow and for whoever reads the trace.
    #[arg(long)]
    pub comment: Option<String>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct ExecutionsArguments {
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// Only runs of this workflow.
    #[arg(long)]
    pub workflow: Option<String>,
    /// Only runs in this status: `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
    #[arg(long)]
    pub status: Option<String>,
    /// How many, newest first.
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
    /// Print the API's answer.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct TraceArguments {
    /// The run: MACHINE:NAME, its ARN, or its trace id.
    pub execution: String,
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// Print the API's answer.
    #[arg(long)]
    pub json: bool,
    /// Show every iteration of a Map.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowsArguments {
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// Print the API's answer.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// What it may do, such as traces:read; may be repeated; all scopes without it.
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// Runs that started since then: 24h, 7d, or a time such as 2026-03-01T12:00:00Z.
    #[arg(long, value_name = "AGO|TIME", value_parser = moment, required_unless_present = "execution")]
    pub since: Option<String>,
    /// Runs that started before then; without it, all until now.
    #[arg(long, value_name = "AGO|TIME", value_parser = moment, conflicts_with = "execution")]
    pub until: Option<String>,
    /// Only this run: MACHINE:NAME, its ARN, or its trace id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["since", "resume"])]
    pub execution: Option<String>,
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// The collector, to whose URL /v1/traces is added; without it `OTEL_EXPORTER_OTLP_ENDPOINT`
    /// and what goes with it.
    #[arg(long, value_name = "URL")]
    pub to: Option<Url>,
    /// A header of each request, such as an API key; may be repeated. With it, or with --to, those
    /// of `OTEL_EXPORTER_OTLP_HEADERS` are not sent.
    #[arg(long, value_name = "NAME=VALUE")]
    pub header: Vec<Header>,
    /// Which texts go with their spans; without it `STEPSCOPE_EXPORT_CONTENT`.
    #[arg(long, value_parser = ["none", "inline", "all"])]
    pub content: Option<String>,
    /// Spans a second, at most.
    #[arg(long, value_name = "SPANS", default_value_t = SPANS_PER_SECOND)]
    pub rate: NonZeroU32,
    /// Keeps the position in this file: the same command goes on where it was interrupted.
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
    /// Print one JSON object at the end instead.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub deployment: Deployment,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// A state machine's name or ARN.
    pub machine: String,
    /// Executions that started since then: 24h, 7d, or a time such as 2026-03-01T12:00:00Z; 90 days
    /// back at most.
    #[arg(long, value_name = "AGO|TIME", value_parser = moment, default_value = "7d")]
    pub since: String,
    /// Executions that started before then; without it, all until now.
    #[arg(long, value_name = "AGO|TIME", value_parser = moment)]
    pub until: Option<String>,
    /// Only executions in this status.
    #[arg(long, value_parser = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])]
    pub status: Option<String>,
    /// Whose executions they are where neither their input nor their tasks say so.
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    /// Executions a second, at most.
    #[arg(long, value_name = "EXECUTIONS", default_value_t = EXECUTIONS_PER_SECOND)]
    pub rate: NonZeroU32,
    /// Only count them.
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object at the end instead.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub deployment: Deployment,
}

#[derive(Debug, Args)]
pub(crate) struct InvokeArguments {
    pub function: Function,
    /// The event, in JSON; `-` is standard input. What the table's stream gave up and Lambda left
    /// in the bucket is an event too.
    #[arg(short, long, value_name = "FILE")]
    pub event: PathBuf,
    /// Whose token the local cloud puts where a request says `Bearer TOKEN`.
    #[arg(long, default_value_t)]
    pub tenant: TenantId,
    #[command(flatten)]
    pub deployment: Deployment,
}

/// Checked, and kept as it was written.
fn moment(text: &str) -> Result<String, NoMoment> {
    text.parse::<Moment>().map(|_| text.to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct InstrumentArguments {
    /// The definition, JSONata or JSONPath; it is rewritten in place.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write nothing; the exit status is 1 when something would be added.
    #[arg(long, conflicts_with = "output")]
    pub check: bool,
    /// Whose runs these are: a constant in every payload. Without it the run's input says so.
    #[arg(long)]
    pub tenant: Option<TenantId>,
    /// Where to write instead; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Add to JSONPath payloads that are a path or a Map's bare item, too: they are always
    /// objects. Where one is not, the state fails.
    #[arg(long)]
    pub assume_objects: bool,
    /// Where a JSONPath payload is the input and has `headers` or `stepscope` already, put
    /// these in their place instead of leaving them.
    #[arg(long)]
    pub replace_input_headers: bool,
}
