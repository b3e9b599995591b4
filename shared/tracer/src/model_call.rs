use std::time::Duration;

use serde_json::{Value, json};
use trace_model::{
    AttributeValue, Content, OtelKind, SpanKind, Timestamp, Traceparent, Usage, conventions,
};

use crate::handle::{SpanHandle, json_content, set_some};

/// How many pieces a streamed answer came in.
const RESPONSE_CHUNKS: &str = "stepscope.response.chunks";

/// Opens the span of a call to a model: `chat gpt-4o`. `operation` and `provider` are
/// OpenTelemetry's words: `chat`, `embeddings`, …; `openai`, `anthropic`, `gcp.gemini`, ….
pub fn model_call(operation: &str, provider: &str, model: &str) -> ModelCall {
    let kind = match operation {
        "embeddings" => SpanKind::Embedding,
        _ => SpanKind::Model,
    };
    let handle = SpanHandle::child(format!("{operation} {model}"), kind, |span| {
        span.otel_kind = OtelKind::Client;
        span.set(conventions::OPERATION_NAME, operation);
        span.set(conventions::PROVIDER_NAME, provider);
        span.set(conventions::REQUEST_MODEL, model);
    });
    ModelCall {
        started: handle.now(),
        handle,
        chunks: 0,
    }
}

/// A message in OpenTelemetry's shape, for a prompt or an answer.
pub fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "parts": [{"type": "text", "content": text}]})
}

/// An open model call. Its cost is worked out from usage and model when it ends.
pub struct ModelCall {
    handle: SpanHandle,
    started: Option<Timestamp>,
    chunks: u64,
}

impl ModelCall {
    pub fn temperature(&self, temperature: f64) {
        self.set(conventions::REQUEST_TEMPERATURE, temperature);
    }

    pub fn max_tokens(&self, tokens: u32) {
        self.set(conventions::REQUEST_MAX_TOKENS, tokens);
    }

    pub fn streamed(&self) {
        self.set(conventions::REQUEST_STREAM, true);
    }

    /// `json`, `text`, …
    pub fn output_type(&self, output_type: &str) {
        self.set(conventions::OUTPUT_TYPE, output_type);
    }

    pub fn system_instructions(&self, text: &str) {
        let parts = json!([{"type": "text", "content": text}]);
        self.handle
            .change(|span| json_content(span, conventions::SYSTEM_INSTRUCTIONS, &parts));
    }

    /// An array of messages, each as [`message`] makes them.
    pub fn input_messages(&self, messages: &Value) {
        self.handle
            .change(|span| json_content(span, conventions::INPUT_MESSAGES, messages));
    }

    pub fn output_messages(&self, messages: &Value) {
        self.handle
            .change(|span| json_content(span, conventions::OUTPUT_MESSAGES, messages));
    }

    /// One piece of a streamed answer came; the first gives the time to first chunk.
    pub fn chunk(&mut self) {
        self.chunks += 1;
        let now = self.handle.now();
        if let (1, Some(started), Some(now)) = (self.chunks, self.started, now) {
            self.time_to_first_chunk(now.since(started));
        }
    }

    pub fn time_to_first_chunk(&self, time: Duration) {
        self.set(conventions::TIME_TO_FIRST_CHUNK, time.as_secs_f64());
    }

    pub fn response_id(&self, id: &str) {
        self.set(conventions::RESPONSE_ID, id);
    }

    pub fn response_model(&self, model: &str) {
        self.set(conventions::RESPONSE_MODEL, model);
    }

    pub fn finish_reason(&self, reason: &str) {
        self.set(
            conventions::FINISH_REASONS,
            vec![AttributeValue::from(reason)],
        );
    }

    pub fn usage(&self, usage: &Usage) {
        self.handle.change(|span| {
            let counts = [
                (conventions::USAGE_INPUT_TOKENS, usage.input_tokens),
                (conventions::USAGE_OUTPUT_TOKENS, usage.output_tokens),
                (conventions::USAGE_CACHE_READ, usage.cached_tokens),
                (conventions::USAGE_CACHE_CREATION, usage.cache_write_tokens),
                (conventions::USAGE_REASONING, usage.reasoning_tokens),
            ];
            for (key, tokens) in counts {
                set_some(span, key, tokens);
            }
        });
    }

    pub fn set(&self, key: &str, value: impl Into<AttributeValue>) {
        self.handle.set(key, value);
    }

    /// A large value, kept whole and apart from the structure.
    pub fn content(&self, field: &str, content: Content) {
        self.handle.content(field, content);
    }

    pub const fn is_recording(&self) -> bool {
        self.handle.is_recording()
    }

    pub fn traceparent(&self) -> Option<Traceparent> {
        self.handle.traceparent()
    }

    /// Runs `work` inside this call's span: what it opens becomes a child.
    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        self.handle.scope(work).await
    }

    pub fn finish(self) {
        self.closing().finish();
    }

    pub fn fail(self, error_type: &str, message: &str) {
        self.closing().fail(error_type, message);
    }

    fn closing(self) -> SpanHandle {
        if self.chunks > 0 {
            self.set(RESPONSE_CHUNKS, self.chunks);
        }
        self.handle
    }
}
