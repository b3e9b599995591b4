//! The attribute and content names we write, each once. `gen_ai.*` and `http.*` are
//! OpenTelemetry's; `workflow.*` and `stepscope.*` are ours.

/// What starts with this is ours to write.
pub const OWN_PREFIX: &str = "stepscope.";

/// Our own bookkeeping on a stored span.
pub const SPAN_KIND: &str = "stepscope.span.kind";
pub const REVISION: &str = "stepscope.revision";
pub const REDACTION_POLICY: &str = "stepscope.redaction.policy";
pub const REDACTIONS: &str = "stepscope.redactions";
pub const CONTENT: &str = "stepscope.content";
pub const COST_USD: &str = "stepscope.cost.usd";
pub const COST_PICO_USD: &str = "stepscope.cost.pico_usd";
pub const COST_UNKNOWN: &str = "stepscope.cost.unknown";
pub const PRICE_TABLE: &str = "stepscope.cost.price_table";
pub const FLAGS: &str = "stepscope.flags";
/// On a received span: which canonical attribute was filled from which other.
pub const MAPPED: &str = "stepscope.mapped";
/// The input tokens as they were received, where cached ones were counted beside them.
pub const REPORTED_INPUT_TOKENS: &str = "stepscope.reported.input_tokens";
/// On a received span whose parent is another process's.
pub const PARENT_IS_REMOTE: &str = "stepscope.parent.is_remote";

/// What `stepscope.flags` may say of a span.
pub const FLAG_ABANDONED: &str = "abandoned";
pub const FLAG_CONTENT_LOST: &str = "content_lost";
pub const FLAG_END_BEFORE_START: &str = "end_before_start";
pub const FLAG_INVALID_PARENT: &str = "invalid_parent_span_id";
pub const FLAG_INVALID_LINK: &str = "invalid_link_dropped";
pub const FLAG_NO_START: &str = "no_start_time";
pub const FLAG_OWN_ATTRIBUTES_DROPPED: &str = "stepscope_attributes_dropped";

/// OpenTelemetry's names for what OTLP says beside the attributes.
pub const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";
pub const DROPPED_EVENTS: &str = "otel.dropped_events_count";
pub const DROPPED_LINKS: &str = "otel.dropped_links_count";
pub const TRACE_STATE: &str = "w3c.tracestate";
pub const SCOPE_ATTRIBUTES: &str = "otel.scope.attributes";
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";

/// The workflow's side of a span.
pub const STATE_MACHINE_ARN: &str = "aws.step_functions.state_machine.arn";
pub const EXECUTION_ARN: &str = "aws.step_functions.execution.arn";
pub const WORKFLOW_NAME: &str = "workflow.name";
pub const WORKFLOW_STATE: &str = "workflow.state.name";
pub const WORKFLOW_STATE_TYPE: &str = "workflow.state.type";
/// The history event that the span began with. Histories count milliseconds, so of states that
/// begin together this tells the order.
pub const WORKFLOW_EVENT_ID: &str = "workflow.event.id";
pub const WORKFLOW_ATTEMPT: &str = "workflow.attempt";
pub const WORKFLOW_ITERATION: &str = "workflow.map.iteration";
pub const WORKFLOW_BRANCH: &str = "workflow.parallel.branch";
pub const WORKFLOW_NEXT: &str = "workflow.state.next";
pub const WORKFLOW_RESOURCE: &str = "workflow.task.resource";
pub const WORKFLOW_RETRY_DELAY_MS: &str = "workflow.retry.delay_ms";
pub const WORKFLOW_QUEUE_MS: &str = "workflow.attempt.queue_ms";
/// How long the attempt ran until it had handed over what is answered elsewhere: a job's end, or
/// a task token.
pub const WORKFLOW_RUN_MS: &str = "workflow.attempt.run_ms";
/// How long that answer was waited for.
pub const WORKFLOW_WAIT_MS: &str = "workflow.attempt.wait_ms";
/// What a person decided, who, and when (RFC 3339).
pub const APPROVAL_APPROVED: &str = "workflow.approval.approved";
pub const APPROVAL_BY: &str = "workflow.approval.by";
pub const APPROVAL_AT: &str = "workflow.approval.at";
/// Executions that started one another: also links.
pub const CHILD_EXECUTION_ARN: &str = "aws.step_functions.child_execution.arn";
pub const PARENT_EXECUTION_ARN: &str = "aws.step_functions.parent_execution.arn";
pub const REDRIVE_COUNT: &str = "stepscope.redrive.count";
pub const NODE_KIND: &str = "workflow.node.kind";
pub const ERROR_TYPE: &str = "error.type";
pub const ERROR_MESSAGE: &str = "error.message";

/// What a node made, waits for, or took by reference.
pub const ARTIFACT_ID: &str = "stepscope.artifact.id";
pub const ARTIFACT_NAME: &str = "stepscope.artifact.name";
pub const ARTIFACT_CONTENT_TYPE: &str = "stepscope.artifact.content_type";
pub const ARTIFACT_BYTES: &str = "stepscope.artifact.bytes";
pub const ARTIFACT_SHA256: &str = "stepscope.artifact.sha256";
pub const APPROVAL_QUESTION: &str = "workflow.approval.question";
pub const REFERENCE_BYTES: &str = "stepscope.reference.bytes";
pub const REFERENCE_SHA256: &str = "stepscope.reference.sha256";
pub const REFERENCE_CONTENT_TYPE: &str = "stepscope.reference.content_type";

/// Content fields.
pub const APPROVAL_DETAILS: &str = "workflow.approval.details";
pub const INPUT: &str = "workflow.input";
pub const OUTPUT: &str = "workflow.output";
pub const ERROR_CAUSE: &str = "workflow.error.cause";
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
pub const HTTP_REQUEST_BODY: &str = "http.request.body";
pub const HTTP_RESPONSE_BODY: &str = "http.response.body";

/// Model calls.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub const RESPONSE_ID: &str = "gen_ai.response.id";
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
pub const OUTPUT_TYPE: &str = "gen_ai.output.type";
pub const USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub const USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub const USAGE_CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
pub const USAGE_CACHE_CREATION: &str = "gen_ai.usage.cache_creation.input_tokens";
pub const USAGE_REASONING: &str = "gen_ai.usage.reasoning.output_tokens";
