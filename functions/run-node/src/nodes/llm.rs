//! `llm`: one chat with a model, of any provider.

mod answer;
mod failure;
mod schema;
mod target;

use std::time::Duration;

use genai::chat::{ChatMessage, ChatOptions, ChatRequest, ChatRole, JsonSpec, Tool};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use trace_model::{Content, Usage};
use tracer::{ModelCall, message, model_call};

use super::NodeCall;
use crate::error::NodeError;
use crate::parameters;
use crate::template::{Escape, Templates};
use answer::{Answer, Delivery};
use schema::Schema;
pub(crate) use target::Models;

/// Longer than a function may run: the deadline is what ends a call.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(15);

const TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// A model's name, or `provider::name`.
    model: Option<String>,
    /// An endpoint in the OpenAI protocol, or in that of the model's provider.
    base_url: Option<String>,
    system: Option<String>,
    user: Option<String>,
    /// Before `user`, when both are given.
    messages: Option<Vec<MessageParameter>>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_tokens: Option<u32>,
    stop: Option<Vec<String>>,
    seed: Option<u64>,
    /// A JSON schema that the answer must fit.
    schema: Option<Value>,
    tools: Option<Vec<ToolParameter>>,
    stream: Option<bool>,
    timeout_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageParameter {
    role: Role,
    content: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    User,
    Assistant,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolParameter {
    name: String,
    description: Option<String>,
    /// A JSON schema of the arguments.
    parameters: Option<Value>,
}

/// What is said to the model, templates filled in.
struct Prompt {
    system: Option<String>,
    messages: Vec<(Role, String)>,
}

/// `{"text", "json"?, "tool_calls"?, "model", "usage", "finish_reason"}`.
pub(crate) async fn run(call: NodeCall<'_>) -> Result<Value, NodeError> {
    let parameters: Parameters = parameters::parse(call.parameters)?;
    let schema = parameters.schema.as_ref().map(Schema::new).transpose()?;
    let prompt = fill_in(&parameters, call.input)?;
    let timeout = call.deadline.within(timeout(&parameters)?);
    let target = call.environment.models().choose(
        parameters.model.as_deref(),
        parameters.base_url.as_deref(),
        call.environment.network(),
    )?;

    let span = model_call("chat", target.provider, &target.model);
    target.describe(&span);
    describe_request(&span, &parameters, &prompt);
    let delivery = match parameters.stream {
        Some(false) => Delivery::Whole,
        Some(true) | None => Delivery::Streamed,
    };
    let mut asked = Asked {
        span,
        answer: Answer::default(),
    };
    let asking = answer::ask(
        &target,
        request(&parameters, prompt),
        options(&parameters, schema.as_ref()),
        delivery,
        &mut asked,
    );
    let started = Instant::now();
    let outcome = match tokio::time::timeout(timeout, asking).await {
        Ok(outcome) => outcome,
        Err(_) => Err(NodeError::LlmTimeout {
            model: target.model.clone(),
            after: started.elapsed(),
        }),
    };
    let Asked { span, answer } = asked;
    // What came before a failure was generated, and is paid for.
    answer.describe(&span);
    let result = outcome.and_then(|()| {
        answer.check(&target.model)?;
        let json = schema.map(|schema| schema.read(&answer.text, &target.model));
        Ok(output(&answer, &target.model, json.transpose()?))
    });
    match &result {
        Ok(_) => span.finish(),
        Err(error) => span.fail(&error.name(), &error.to_string()),
    }
    result
}

/// A call in progress: what came so far stays when it is cut off.
struct Asked {
    span: ModelCall,
    answer: Answer,
}

fn fill_in(parameters: &Parameters, input: &Value) -> Result<Prompt, NodeError> {
    let templates = Templates::new(input, Escape::Nothing);
    let mut messages = Vec::new();
    for (index, message) in parameters.messages.iter().flatten().enumerate() {
        let name = format!("parameters.messages[{index}].content");
        messages.push((message.role, templates.render(&name, &message.content)?));
    }
    if let Some(user) = &parameters.user {
        messages.push((Role::User, templates.render("parameters.user", user)?));
    }
    if messages.is_empty() {
        let problem = "nothing is asked; expected parameters.user, or parameters.messages";
        return Err(NodeError::parameter("", problem));
    }
    let system = parameters.system.as_deref();
    Ok(Prompt {
        system: system
            .map(|system| templates.render("parameters.system", system))
            .transpose()?,
        messages,
    })
}

fn timeout(parameters: &Parameters) -> Result<Duration, NodeError> {
    let Some(seconds) = parameters.timeout_seconds else {
        return Ok(DEFAULT_TIMEOUT);
    };
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| {
            NodeError::parameter(
                "timeout_seconds",
                format!("{seconds} is not a time above 0"),
            )
        })
}

fn request(parameters: &Parameters, prompt: Prompt) -> ChatRequest {
    let messages = prompt.messages.into_iter();
    let messages = messages.map(|(role, text)| ChatMessage::new(role.chat_role(), text));
    let mut request = ChatRequest::new(messages.collect());
    request.system = prompt.system;
    let tools = parameters.tools.iter().flatten().map(|parameter| {
        let mut tool = Tool::new(parameter.name.clone());
        tool.description.clone_from(&parameter.description);
        tool.schema.clone_from(&parameter.parameters);
        tool
    });
    match parameters.tools {
        Some(_) => request.with_tools(tools),
        None => request,
    }
}

fn options(parameters: &Parameters, schema: Option<&Schema>) -> ChatOptions {
    let mut options = ChatOptions {
        temperature: parameters.temperature,
        top_p: parameters.top_p,
        max_tokens: parameters.max_tokens,
        stop_sequences: parameters.stop.clone().unwrap_or_default(),
        seed: parameters.seed,
        ..ChatOptions::default()
    }
    .with_capture_usage(true)
    .with_capture_tool_calls(true)
    .with_capture_reasoning_content(true)
    .with_capture_raw_body(true);
    if let Some(schema) = schema {
        options = options.with_response_format(JsonSpec::new("answer", schema.source().clone()));
    }
    options
}

fn describe_request(span: &ModelCall, parameters: &Parameters, prompt: &Prompt) {
    if !span.is_recording() {
        return;
    }
    if let Some(temperature) = parameters.temperature {
        span.temperature(temperature);
    }
    if let Some(tokens) = parameters.max_tokens {
        span.max_tokens(tokens);
    }
    if let Some(top_p) = parameters.top_p {
        span.set("gen_ai.request.top_p", top_p);
    }
    if let Some(seed) = parameters.seed.and_then(|seed| i64::try_from(seed).ok()) {
        span.set("gen_ai.request.seed", seed);
    }
    if let Some(stop) = &parameters.stop {
        span.set("gen_ai.request.stop_sequences", stop.clone());
    }
    if parameters.stream != Some(false) {
        span.streamed();
    }
    span.output_type(if parameters.schema.is_some() {
        "json"
    } else {
        "text"
    });
    if let Some(system) = &prompt.system {
        span.system_instructions(system);
    }
    let messages = prompt.messages.iter();
    let messages = messages.map(|(role, text)| message(role.as_str(), text));
    span.input_messages(&Value::Array(messages.collect()));
    if let Some(tools) = &parameters.tools {
        let definitions = tools.iter().map(|tool| {
            json!({"type": "function", "name": tool.name, "description": tool.description,
                   "parameters": tool.parameters})
        });
        let definitions = Value::Array(definitions.collect());
        span.content(TOOL_DEFINITIONS, Content::json(&definitions));
    }
}

fn output(answer: &Answer, model: &str, json: Option<Value>) -> Value {
    let mut output = Map::new();
    output.insert("text".to_owned(), answer.text.as_str().into());
    if let Some(json) = json {
        output.insert("json".to_owned(), json);
    }
    if !answer.tool_calls.is_empty() {
        let calls = answer.tool_calls.iter().map(|call| {
            json!({"id": call.call_id, "name": call.fn_name, "arguments": call.fn_arguments})
        });
        output.insert("tool_calls".to_owned(), calls.collect());
    }
    let model = answer.model.as_deref().unwrap_or(model);
    output.insert("model".to_owned(), model.into());
    output.insert("usage".to_owned(), usage_output(&answer.usage));
    output.insert(
        "finish_reason".to_owned(),
        answer.finish_reason.clone().into(),
    );
    Value::Object(output)
}

/// Counts that the provider did not give are left out: unknown is not zero.
fn usage_output(usage: &Usage) -> Value {
    let counts = [
        ("input_tokens", usage.input_tokens),
        ("output_tokens", usage.output_tokens),
        ("cached_tokens", usage.cached_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
    ];
    let counts = counts
        .into_iter()
        .filter_map(|(name, count)| Some((name.to_owned(), count?.into())));
    Value::Object(counts.collect())
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }

    const fn chat_role(self) -> ChatRole {
        match self {
            Self::System => ChatRole::System,
            Self::User => ChatRole::User,
            Self::Assistant => ChatRole::Assistant,
        }
    }
}
