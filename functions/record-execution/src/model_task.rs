//! Tasks that call a model of Amazon Bedrock themselves, without a function: `InvokeModel` and
//! `Converse`, read from an attempt's recorded parameters and output.
//!
//! Each family of models has a body of its own. They are told apart by their members, not by the
//! model's name: what is there is taken, under the first of its names, and what is not stays
//! unknown. The attempt keeps parameters and output as they are in any case.

use serde_json::{Value, json};
use trace_model::{
    AttributeValue, CachedTokens, Content, OtelKind, Span, SpanKind, Usage, conventions,
};

const PROVIDER: &str = "aws.bedrock";

/// Where a prompt lies that Step Functions had Bedrock read from S3.
pub(crate) const INPUT_S3_URI: &str = "aws.bedrock.input.s3_uri";
pub(crate) const OUTPUT_S3_URI: &str = "aws.bedrock.output.s3_uri";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    /// A body of the model's own.
    InvokeModel,
    /// One form for all models.
    Converse,
}

/// A task's call of a model.
pub(crate) struct ModelTask {
    api: Api,
    model: String,
    parameters: Value,
}

impl ModelTask {
    /// `resource` is as the history has it: `bedrock:invokeModel`,
    /// `aws-sdk:bedrockruntime:converse`.
    pub(crate) fn of(resource: &str, parameters: &str) -> Option<Self> {
        let api = match resource {
            "bedrock:invokeModel" | "aws-sdk:bedrockruntime:invokeModel" => Api::InvokeModel,
            "aws-sdk:bedrockruntime:converse" => Api::Converse,
            _ => return None,
        };
        let parameters: Value = serde_json::from_str(parameters).ok()?;
        let model = member(&parameters, &["modelid"])?.as_str()?;
        Some(Self {
            api,
            // Of a foundation model's or an inference profile's ARN the name.
            model: model.rsplit('/').next().unwrap_or(model).to_owned(),
            parameters,
        })
    }

    pub(crate) fn kind(&self, output: Option<&Value>) -> SpanKind {
        match self.operation(output) {
            "embeddings" => SpanKind::Embedding,
            _ => SpanKind::Model,
        }
    }

    pub(crate) fn name(&self, output: Option<&Value>) -> String {
        format!("{} {}", self.operation(output), self.model)
    }

    /// Writes on a span what the call was and what came back.
    pub(crate) fn describe(&self, span: &mut Span, output: Option<&Value>) {
        span.otel_kind = OtelKind::Client;
        span.set(conventions::OPERATION_NAME, self.operation(output));
        span.set(conventions::PROVIDER_NAME, PROVIDER);
        span.set(conventions::REQUEST_MODEL, self.model.as_str());
        for (side, attribute) in [("input", INPUT_S3_URI), ("output", OUTPUT_S3_URI)] {
            let uri = member(&self.parameters, &[side]).and_then(|side| member(side, &["s3uri"]));
            if let Some(uri) = uri.and_then(Value::as_str) {
                span.set(attribute, uri);
            }
        }
        if let Some(request) = self.request() {
            describe_request(span, &request);
        }
        if let Some(response) = output.and_then(|output| self.response(output)) {
            describe_response(span, &response);
        }
    }

    fn operation(&self, output: Option<&Value>) -> &'static str {
        let response = output.and_then(|output| self.response(output));
        let is_embedding = |response: &Value| {
            let found = ["embedding", "embeddings", "embeddingsbytype"];
            member(response, &found).is_some()
        };
        if self.model.contains("embed") || response.as_ref().is_some_and(is_embedding) {
            return "embeddings";
        }
        let asks_with_a_text = self.request().is_some_and(|request| {
            messages_of(&request).is_none() && prompt_of(&request).is_some()
        });
        if asks_with_a_text {
            "text_completion"
        } else {
            "chat"
        }
    }

    fn request(&self) -> Option<Value> {
        match self.api {
            Api::Converse => Some(self.parameters.clone()),
            Api::InvokeModel => body(&self.parameters),
        }
    }

    fn response(&self, output: &Value) -> Option<Value> {
        match self.api {
            Api::Converse => Some(output.clone()),
            Api::InvokeModel => body(output),
        }
    }
}

/// The optimized integration has the body as JSON, the SDK's as a text of JSON.
fn body(value: &Value) -> Option<Value> {
    match member(value, &["body"])? {
        Value::String(text) => serde_json::from_str(text).ok(),
        body => Some(body.clone()),
    }
}

fn describe_request(span: &mut Span, request: &Value) {
    let config = member(request, &["inferenceconfig", "textgenerationconfig"]).unwrap_or(request);
    let most = [
        "maxtokens",
        "maxnewtokens",
        "maxtokencount",
        "maxgenlen",
        "maxcompletiontokens",
    ];
    if let Some(tokens) = member(config, &most).and_then(Value::as_i64) {
        span.set(conventions::REQUEST_MAX_TOKENS, tokens);
    }
    if let Some(temperature) = member(config, &["temperature"]).and_then(Value::as_f64) {
        span.set(conventions::REQUEST_TEMPERATURE, temperature);
    }
    if let Some(system) = member(request, &["system"]) {
        keep(span, conventions::SYSTEM_INSTRUCTIONS, &parts(system));
    }
    let messages = messages_of(request).or_else(|| {
        let prompt = prompt_of(request)?;
        Some(json!([{"role": "user", "parts": parts(prompt)}]))
    });
    if let Some(messages) = messages {
        keep(span, conventions::INPUT_MESSAGES, &messages);
    }
}

fn messages_of(request: &Value) -> Option<Value> {
    let messages = member(request, &["messages"])?.as_array()?;
    Some(messages.iter().map(message).collect())
}

fn prompt_of(request: &Value) -> Option<&Value> {
    member(request, &["prompt", "inputtext", "message", "texts"])
}

fn describe_response(span: &mut Span, response: &Value) {
    for (name, attribute) in [
        ("id", conventions::RESPONSE_ID),
        ("model", conventions::RESPONSE_MODEL),
    ] {
        if let Some(text) = member(response, &[name]).and_then(Value::as_str) {
            span.set(attribute, text);
        }
    }
    let answers = answers(response);
    let reasons: Vec<AttributeValue> = answers
        .iter()
        .filter_map(|answer| answer.finish_reason)
        .map(AttributeValue::from)
        .collect();
    if !reasons.is_empty() {
        span.set(conventions::FINISH_REASONS, reasons);
    }
    if !answers.is_empty() {
        let messages: Value = answers.into_iter().map(|answer| answer.message).collect();
        keep(span, conventions::OUTPUT_MESSAGES, &messages);
    }
    usage(response).set_on(span);
}

struct Answer<'response> {
    message: Value,
    finish_reason: Option<&'response str>,
}

/// One for each that the model gave.
fn answers(response: &Value) -> Vec<Answer<'_>> {
    let reason = |value| {
        let names = ["stopreason", "finishreason", "completionreason"];
        member(value, &names).and_then(Value::as_str)
    };
    let of_assistant = |text: &Value| json!({"role": "assistant", "parts": parts(text)});
    let one = |message| {
        let finish_reason = reason(response);
        vec![Answer {
            message,
            finish_reason,
        }]
    };
    // Converse, Nova: {"output": {"message": {…}}}. Anthropic: a message at the top.
    let output = member(response, &["output"]).and_then(|output| member(output, &["message"]));
    if let Some(output) = output {
        return one(message(output));
    }
    if member(response, &["role"]).is_some() && member(response, &["content"]).is_some() {
        return one(message(response));
    }
    // Several answers, each with its own reason: OpenAI, Titan, Mistral, Cohere.
    let lists = ["choices", "results", "outputs", "generations"];
    if let Some(list) = member(response, &lists).and_then(Value::as_array) {
        return list
            .iter()
            .filter_map(|answer| {
                let whole = member(answer, &["message"]).map(message);
                let text = || member(answer, &["text", "outputtext"]).map(of_assistant);
                Some(Answer {
                    message: whole.or_else(text)?,
                    finish_reason: reason(answer),
                })
            })
            .collect();
    }
    // Llama: "generation"; Cohere's chat: "text"; the older Anthropic form: "completion".
    member(response, &["generation", "text", "completion"])
        .map(|text| one(of_assistant(text)))
        .unwrap_or_default()
}

fn usage(response: &Value) -> Usage {
    let counts = member(response, &["usage"]).unwrap_or(response);
    let count = |names: &[&str]| member(counts, names).and_then(Value::as_u64);
    let of_results = || {
        let results = member(response, &["results"])?.as_array()?;
        results
            .iter()
            .map(|result| member(result, &["tokencount"])?.as_u64())
            .sum()
    };
    let input = [
        "inputtokens",
        "prompttokens",
        "prompttokencount",
        "inputtexttokencount",
    ];
    let output = ["outputtokens", "completiontokens", "generationtokencount"];
    let usage = Usage {
        input_tokens: count(&input),
        output_tokens: count(&output).or_else(of_results),
        cached_tokens: count(&["cachereadinputtokens", "cachereadinputtokencount"]),
        cache_write_tokens: count(&[
            "cachewriteinputtokens",
            "cachewriteinputtokencount",
            "cachecreationinputtokens",
        ]),
        reasoning_tokens: None,
    };
    Usage::reported(usage, CachedTokens::in_answers_of(PROVIDER))
}

/// A message in OpenTelemetry's shape.
fn message(message: &Value) -> Value {
    let role = member(message, &["role"]).and_then(Value::as_str);
    let content = member(message, &["content"]).unwrap_or(&Value::Null);
    json!({"role": role.unwrap_or("assistant"), "parts": parts(content)})
}

fn parts(content: &Value) -> Value {
    match content {
        Value::Null => json!([]),
        Value::Array(blocks) => blocks.iter().map(part).collect(),
        content => json!([part(content)]),
    }
}

fn part(block: &Value) -> Value {
    let text = match block {
        Value::String(_) => Some(block),
        block => member(block, &["text"]).filter(|text| text.is_string()),
    };
    if let Some(text) = text {
        return json!({"type": "text", "content": text});
    }
    // Anthropic names a block's kind in `type`, Converse by the member that holds it.
    let kind = member(block, &["type"]).and_then(Value::as_str);
    let call = member(block, &["tooluse"]).or_else(|| (kind == Some("tool_use")).then_some(block));
    if let Some(call) = call {
        return json!({
            "type": "tool_call",
            "id": member(call, &["id", "tooluseid"]),
            "name": member(call, &["name"]),
            "arguments": member(call, &["input"]),
        });
    }
    let result =
        member(block, &["toolresult"]).or_else(|| (kind == Some("tool_result")).then_some(block));
    if let Some(result) = result {
        return json!({
            "type": "tool_call_response",
            "id": member(result, &["tooluseid", "id"]),
            "result": member(result, &["content"]),
        });
    }
    json!({"type": kind.unwrap_or("blob"), "content": block})
}

fn keep(span: &mut Span, field: &str, value: &Value) {
    span.content.insert(field.to_owned(), Content::json(value));
}

/// The first of these members that is there. Families differ in case and underscores:
/// `MaxTokens`, `maxTokens`, `max_tokens` are one name.
fn member<'value>(value: &'value Value, names: &[&str]) -> Option<&'value Value> {
    let members = value.as_object()?;
    names.iter().find_map(|name| {
        let found = members.iter().find(|(key, value)| {
            let mut letters = key
                .chars()
                .filter(|letter| *letter != '_')
                .map(|letter| letter.to_ascii_lowercase());
            !value.is_null()
                && name.chars().all(|one| letters.next() == Some(one))
                && letters.next().is_none()
        });
        found.map(|(_, value)| value)
    })
}

#[cfg(test)]
mod tests;
