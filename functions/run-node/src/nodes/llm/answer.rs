use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use genai::chat::{
    ChatOptions, ChatRequest, ChatStreamEvent, FrameCtx, MessageContent, RawFrameRef, StopReason,
    ToolCall, Usage as GenaiUsage,
};
use serde_json::{Value, json};
use trace_model::Usage;
use tracer::ModelCall;

use super::Asked;
use super::failure::provider_failure;
use super::target::Target;
use crate::error::NodeError;

/// More than any model writes; an endpoint that sends for ever must not fill the memory.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Streamed,
    Whole,
}

/// What a model said, as far as it came.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    reasoning: String,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) usage: Usage,
    /// `stop`, `length`, `tool_calls`, `content_filter`, or the provider's own word.
    pub(super) finish_reason: Option<String>,
    /// As the provider names it, which may be more exact than as it was asked for.
    pub(super) model: Option<String>,
    id: Option<String>,
}

pub(super) async fn ask(
    target: &Target<'_>,
    request: ChatRequest,
    options: ChatOptions,
    delivery: Delivery,
    asked: &mut Asked,
) -> Result<(), NodeError> {
    match delivery {
        Delivery::Streamed => ask_streamed(target, request, options, asked).await,
        Delivery::Whole => ask_whole(target, request, options, asked).await,
    }
}

async fn ask_whole(
    target: &Target<'_>,
    request: ChatRequest,
    options: ChatOptions,
    asked: &mut Asked,
) -> Result<(), NodeError> {
    let response = target
        .client
        .exec_chat(target.spec.clone(), request, Some(&options))
        .await
        .map_err(|error| provider_failure(&target.model, &error))?;
    let answer = &mut asked.answer;
    answer.usage = usage(&response.usage);
    answer.finish_reason = response.stop_reason.as_ref().map(finish_reason);
    answer.reasoning = response.reasoning_content.unwrap_or_default();
    let identity = response.captured_raw_body.as_ref().and_then(Identity::of);
    answer.identify(identity);
    answer.take_content(response.content);
    if answer.is_empty() {
        let problem = "the response holds no answer".to_owned();
        let model = target.model.clone();
        return Err(NodeError::LlmProviderError { model, problem });
    }
    Ok(())
}

async fn ask_streamed(
    target: &Target<'_>,
    request: ChatRequest,
    options: ChatOptions,
    asked: &mut Asked,
) -> Result<(), NodeError> {
    let identity = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&identity);
    let options = options.with_raw_frame_fn(move |_: &FrameCtx, frame: RawFrameRef<'_>| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none() {
            *seen = frame.json().as_ref().and_then(Identity::of);
        }
    });
    let failed = |error: genai::Error| provider_failure(&target.model, &error);
    let mut stream = target
        .client
        .exec_chat_stream(target.spec.clone(), request, Some(&options))
        .await
        .map_err(failed)?
        .stream;
    let mut outcome = Err(NodeError::LlmInterrupted {
        model: target.model.clone(),
        problem: "the stream ended before the answer did".to_owned(),
    });
    let Asked { span, answer } = asked;
    while let Some(event) = stream.next().await {
        match event {
            Ok(ChatStreamEvent::End(end)) => {
                answer.usage = end.captured_usage.as_ref().map(usage).unwrap_or_default();
                answer.finish_reason = end.captured_stop_reason.as_ref().map(finish_reason);
                if let Some(content) = end.captured_content {
                    answer.take_content(content);
                }
                outcome = Ok(());
                break;
            }
            Ok(event) => answer.take_event(event, span),
            Err(error) => {
                outcome = Err(failed(error));
                break;
            }
        }
        if answer.text.len() + answer.reasoning.len() > LONGEST_ANSWER {
            outcome = Err(NodeError::LlmProviderError {
                model: target.model.clone(),
                problem: format!("the answer is longer than {LONGEST_ANSWER} bytes"),
            });
            break;
        }
    }
    let identity = identity
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    answer.identify(identity);
    outcome
}

impl Answer {
    pub(super) fn describe(&self, span: &ModelCall) {
        if !span.is_recording() {
            return;
        }
        span.usage(&self.usage);
        if let Some(reason) = &self.finish_reason {
            span.finish_reason(reason);
        }
        if let Some(model) = &self.model {
            span.response_model(model);
        }
        if let Some(id) = &self.id {
            span.response_id(id);
        }
        if !self.is_empty() {
            span.output_messages(&self.messages());
        }
    }

    /// A filter that left nothing is a failure; one that cut the text short is in the reason.
    pub(super) fn check(&self, model: &str) -> Result<(), NodeError> {
        let is_filtered = self.finish_reason.as_deref() == Some("content_filter");
        if is_filtered && self.text.is_empty() && self.tool_calls.is_empty() {
            return Err(NodeError::LlmContentFiltered {
                model: model.to_owned(),
                reason: "its content filter left no text".to_owned(),
            });
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
            && self.reasoning.is_empty()
            && self.tool_calls.is_empty()
            && self.finish_reason.is_none()
    }

    fn take_event(&mut self, event: ChatStreamEvent, span: &mut ModelCall) {
        match event {
            ChatStreamEvent::Chunk(chunk) => {
                span.chunk();
                self.text.push_str(&chunk.content);
            }
            ChatStreamEvent::ReasoningChunk(chunk) => {
                span.chunk();
                self.reasoning.push_str(&chunk.content);
            }
            ChatStreamEvent::ToolCallChunk(_) => span.chunk(),
            ChatStreamEvent::Start
            | ChatStreamEvent::ThoughtSignatureChunk(_)
            | ChatStreamEvent::Heartbeat
            | ChatStreamEvent::End(_) => {}
        }
    }

    fn take_content(&mut self, content: MessageContent) {
        if self.text.is_empty() {
            self.text = content.texts().concat();
        }
        self.tool_calls = content.into_tool_calls();
    }

    fn identify(&mut self, identity: Option<Identity>) {
        if let Some(identity) = identity {
            self.id = identity.id;
            self.model = identity.model;
        }
    }

    /// In OpenTelemetry's shape.
    fn messages(&self) -> Value {
        let mut parts = Vec::new();
        if !self.reasoning.is_empty() {
            parts.push(json!({"type": "reasoning", "content": self.reasoning}));
        }
        if !self.text.is_empty() {
            parts.push(json!({"type": "text", "content": self.text}));
        }
        parts.extend(self.tool_calls.iter().map(|call| {
            json!({"type": "tool_call", "id": call.call_id, "name": call.fn_name,
                   "arguments": call.fn_arguments})
        }));
        let reason = self.finish_reason.as_deref().unwrap_or("error");
        json!([{"role": "assistant", "parts": parts, "finish_reason": reason}])
    }
}

/// What a response says of itself.
#[derive(Debug)]
struct Identity {
    id: Option<String>,
    model: Option<String>,
}

impl Identity {
    /// OpenAI, Anthropic whole and streamed, OpenAI's responses, Gemini.
    fn of(body: &Value) -> Option<Self> {
        let text = |pointers: &[&str]| {
            pointers
                .iter()
                .find_map(|pointer| body.pointer(pointer)?.as_str())
                .map(str::to_owned)
        };
        let id = text(&["/id", "/message/id", "/response/id", "/responseId"]);
        let model = text(&[
            "/model",
            "/message/model",
            "/response/model",
            "/modelVersion",
        ]);
        (id.is_some() || model.is_some()).then_some(Self { id, model })
    }
}

/// genai counts as OpenTelemetry does: input tokens with those that a cache served.
fn usage(usage: &GenaiUsage) -> Usage {
    let count = |tokens: Option<i32>| tokens.and_then(|tokens| u64::try_from(tokens).ok());
    let prompt = usage.prompt_tokens_details.as_ref();
    let completion = usage.completion_tokens_details.as_ref();
    Usage {
        input_tokens: count(usage.prompt_tokens),
        output_tokens: count(usage.completion_tokens),
        cached_tokens: count(prompt.and_then(|details| details.cached_tokens)),
        cache_write_tokens: count(prompt.and_then(|details| details.cache_creation_tokens)),
        reasoning_tokens: count(completion.and_then(|details| details.reasoning_tokens)),
    }
}

fn finish_reason(reason: &StopReason) -> String {
    match reason {
        StopReason::Completed(_) | StopReason::StopSequence(_) => "stop".to_owned(),
        StopReason::MaxTokens(_) => "length".to_owned(),
        StopReason::ToolCall(_) => "tool_calls".to_owned(),
        StopReason::ContentFilter(_) => "content_filter".to_owned(),
        StopReason::Other(reason) => reason.clone(),
    }
}
