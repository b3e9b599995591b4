use std::fmt::{self, Write};

/// Declares each variable once; its doc comment is its line in the reference table too.
macro_rules! variables {
    ($(
        $(#[doc = $doc:literal])+
        $variant:ident = $name:literal,
        expected: $expected:literal,
        default: $default:literal,
        $secrecy:ident;
    )+) => {
        /// The environment variables that this application reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Variable {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Variable {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What a good value is, to end a sentence with.
            pub const fn expected(self) -> &'static str {
                match self {
                    $(Self::$variant => $expected,)+
                }
            }

            /// Empty: none.
            pub const fn default_value(self) -> &'static str {
                match self {
                    $(Self::$variant => $default,)+
                }
            }

            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+),)+
                }
            }

            pub(crate) const fn secrecy(self) -> Secrecy {
                match self {
                    $(Self::$variant => Secrecy::$secrecy,)+
                }
            }
        }
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    Plain,
    Secret,
}

variables! {
    /// The DynamoDB table of runs, structure and content.
    Table = "STEPSCOPE_TABLE",
        expected: "a table's name: 3 to 255 of letters, digits, `_`, `-` and `.`",
        default: "", Plain;
    /// The S3 bucket of large content and artifacts.
    Bucket = "STEPSCOPE_BUCKET",
        expected: "a bucket's name: 3 to 63 of lower-case letters, digits, `-` and `.`",
        default: "", Plain;
    /// The SQS queue of masked spans that the table or the bucket refuses; `restore-spans` writes
    /// them later. Without it they are kept in memory, which ends with the process.
    SpanQueueUrl = "STEPSCOPE_SPAN_QUEUE_URL",
        expected: "an http or https URL without credentials",
        default: "", Plain;
    /// The tenant of runs that name none.
    Tenant = "STEPSCOPE_TENANT",
        expected: "a tenant: 1 to 63 of a-z, 0-9, `_` and `-`, beginning with a letter or digit",
        default: "default", Plain;
    /// How long what is stored is kept, each part from its own writing: the last spans of a long
    /// run stay longer than its first.
    RetentionDays = "STEPSCOPE_RETENTION_DAYS",
        expected: "a number of days from 1 to 3650",
        default: "30", Plain;
    /// The region of the state machines; with the account it turns an execution's id into
    /// its ARN. Lambda sets it.
    Region = "AWS_REGION",
        expected: "a region, such as us-east-1",
        default: "", Plain;
    /// The account of the state machines.
    AccountId = "STEPSCOPE_ACCOUNT_ID",
        expected: "an AWS account's 12 digits",
        default: "", Plain;
    /// Whose access tokens the API accepts: compared with `iss` byte for byte.
    Issuer = "STEPSCOPE_ISSUER",
        expected: "an issuer's URL, https or loopback",
        default: "", Plain;
    /// What the tokens must be meant for; for Amazon Cognito the app clients' ids.
    Audience = "STEPSCOPE_AUDIENCE",
        expected: "one or more audiences, separated by commas",
        default: "", Plain;
    /// Where the issuer's keys are; by default the issuer with `/.well-known/jwks.json`.
    JwksUri = "STEPSCOPE_JWKS_URI",
        expected: "an https URL without credentials, or an http one on loopback",
        default: "", Plain;
    /// The claim that names the caller's tenant.
    TenantClaim = "STEPSCOPE_TENANT_CLAIM",
        expected: "a claim's name",
        default: "tenant", Plain;
    /// Seals the API's cursors; the same in every process that serves the API.
    CursorKey = "STEPSCOPE_CURSOR_KEY",
        expected: "32 to 256 random characters",
        default: "", Secret;
    /// The role that the API reads traces with, in a session for each tenant; by default its own.
    TenantRole = "STEPSCOPE_TENANT_ROLE",
        expected: "an IAM role's ARN",
        default: "", Plain;
    /// Which state machines are traced: those whose names begin so; by default all.
    StateMachinePrefix = "STEPSCOPE_STATE_MACHINE_PREFIX",
        expected: "up to 40 of letters, digits, `_` and `-`",
        default: "", Plain;
    /// The queue of execution status changes, which the recorder reads.
    StatusQueueUrl = "STEPSCOPE_STATUS_QUEUE_URL",
        expected: "a queue's URL",
        default: "", Plain;
    /// The model that an `llm` node calls when it names none.
    Model = "STEPSCOPE_MODEL",
        expected: "a model's name, such as gpt-4o-mini",
        default: "", Plain;
    /// Where the model is served, in the OpenAI protocol, instead of at its provider.
    ModelBaseUrl = "STEPSCOPE_MODEL_BASE_URL",
        expected: "an http or https URL without credentials",
        default: "", Plain;
    /// Addresses that an `http` node may reach although they are private.
    HttpAllow = "STEPSCOPE_HTTP_ALLOW",
        expected: "HOST:PORT pairs, separated by commas, such as 127.0.0.1:8080,[::1]:8080",
        default: "", Plain;
    /// The collector that finished spans are exported to; `/v1/traces` is added. Nothing is
    /// exported without it.
    OtlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT",
        expected: "an http or https URL without credentials (those go into \
                   OTEL_EXPORTER_OTLP_HEADERS)",
        default: "", Plain;
    /// The same, as it stands, with nothing added; it goes before the general one.
    OtlpTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        expected: "an http or https URL without credentials (those go into \
                   OTEL_EXPORTER_OTLP_HEADERS)",
        default: "", Plain;
    /// Headers of each export request, such as a collector's API key.
    OtlpHeaders = "OTEL_EXPORTER_OTLP_HEADERS",
        expected: "NAME=VALUE pairs, separated by commas, values percent-encoded",
        default: "", Secret;
    /// The same for traces; it goes before the general one.
    OtlpTracesHeaders = "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        expected: "NAME=VALUE pairs, separated by commas, values percent-encoded",
        default: "", Secret;
    /// How long one export request may take, in milliseconds.
    OtlpTimeout = "OTEL_EXPORTER_OTLP_TIMEOUT",
        expected: "milliseconds from 1 to 600000",
        default: "10000", Plain;
    /// The same for traces; it goes before the general one.
    OtlpTracesTimeout = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        expected: "milliseconds from 1 to 600000",
        default: "", Plain;
    /// How export requests are compressed.
    OtlpCompression = "OTEL_EXPORTER_OTLP_COMPRESSION",
        expected: "gzip or none",
        default: "gzip", Plain;
    /// The same for traces; it goes before the general one.
    OtlpTracesCompression = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        expected: "gzip or none",
        default: "", Plain;
    /// The protocol of export requests. There is one, and naming another is an error rather
    /// than spans sent where nobody understands them.
    OtlpProtocol = "OTEL_EXPORTER_OTLP_PROTOCOL",
        expected: "http/protobuf, the only protocol spoken (collectors take it on port 4318)",
        default: "http/protobuf", Plain;
    /// The same for traces; it goes before the general one.
    OtlpTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        expected: "http/protobuf, the only protocol spoken (collectors take it on port 4318)",
        default: "", Plain;
    /// Which prompts, answers and other masked texts are exported as attributes of their spans:
    /// none, those of up to 4 KB, or all of up to 1 MB, at the price of a read for each larger one.
    ExportContent = "STEPSCOPE_EXPORT_CONTENT",
        expected: "none, inline or all",
        default: "inline", Plain;
    /// Whether metrics are written to standard output, in CloudWatch's embedded metric format.
    /// By default on Lambda, and not elsewhere.
    Metrics = "STEPSCOPE_METRICS",
        expected: "emf or none",
        default: "", Plain;
    /// The function's name in its metrics. Lambda sets it.
    FunctionName = "AWS_LAMBDA_FUNCTION_NAME",
        expected: "a function's name",
        default: "", Plain;
    /// What is logged: a level, or levels by crate.
    Log = "STEPSCOPE_LOG",
        expected: "a filter such as info or warn,trace_store=debug",
        default: "info", Plain;
}

impl fmt::Display for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// `docs/reference/environment.md`, whole.
pub fn reference_table() -> String {
    let mut page = String::from(
        "# Environment variables\n\n\
         Read once, when a process starts. An empty value counts as none. The page is \
         generated from `shared/lambda-process/src/variables.rs`.\n\n\
         | variable | what it is | expected | default |\n|---|---|---|---|\n",
    );
    for variable in Variable::ALL {
        let default = match variable.default_value() {
            "" => "–".to_owned(),
            value => format!("`{value}`"),
        };
        let secret = match variable.secrecy() {
            Secrecy::Plain => "",
            Secrecy::Secret => " A secret: never shown or logged.",
        };
        let description = variable.description().trim();
        let expected = variable.expected();
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| `{variable}` | {description}{secret} | {expected} | {default} |"
        );
    }
    page.push_str(
        "\nThe keys of model providers (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, \
         `GEMINI_API_KEY` and so on) are read by the model client of the `llm` node, and \
         AWS's own (`AWS_PROFILE`, `AWS_ENDPOINT_URL` and so on) by the AWS SDK, as their \
         documentation says.\n",
    );
    page
}
