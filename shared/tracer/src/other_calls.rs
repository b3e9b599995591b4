use serde_json::Value;
use trace_model::{AttributeValue, OtelKind, SpanKind, conventions};

use crate::handle::{SpanHandle, json_content};

const DB_SYSTEM: &str = "db.system.name";
const DB_OPERATION: &str = "db.operation.name";
const DB_COLLECTION: &str = "db.collection.name";
const TOOL_NAME: &str = "gen_ai.tool.name";
const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
const TOOL_RESULT: &str = "gen_ai.tool.call.result";

/// Opens the span of a storage operation: `storage_call("aws.dynamodb", "GetItem", "orders")`.
pub fn storage_call(system: &str, operation: &str, collection: &str) -> StorageCall {
    let name = format!("{operation} {collection}");
    StorageCall(SpanHandle::child(name, SpanKind::Storage, |span| {
        span.otel_kind = OtelKind::Client;
        span.set(DB_SYSTEM, system);
        span.set(DB_OPERATION, operation);
        span.set(DB_COLLECTION, collection);
    }))
}

/// Opens the span of a tool that a model or a workflow calls.
pub fn tool_call(tool: &str) -> ToolCall {
    let name = format!("execute_tool {tool}");
    ToolCall(SpanHandle::child(name, SpanKind::Tool, |span| {
        span.set(conventions::OPERATION_NAME, "execute_tool");
        span.set(TOOL_NAME, tool);
    }))
}

/// An open storage operation.
pub struct StorageCall(SpanHandle);

/// An open tool call.
pub struct ToolCall(SpanHandle);

impl StorageCall {
    pub fn set(&self, key: &str, value: impl Into<AttributeValue>) {
        self.0.set(key, value);
    }

    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        self.0.scope(work).await
    }

    pub fn finish(self) {
        self.0.finish();
    }

    pub fn fail(self, error_type: &str, message: &str) {
        self.0.fail(error_type, message);
    }
}

impl ToolCall {
    /// The id under which the model asked for it.
    pub fn call_id(&self, id: &str) {
        self.0.set(TOOL_CALL_ID, id);
    }

    pub fn arguments(&self, arguments: &Value) {
        self.0
            .change(|span| json_content(span, TOOL_ARGUMENTS, arguments));
    }

    pub fn result(&self, result: &Value) {
        self.0
            .change(|span| json_content(span, TOOL_RESULT, result));
    }

    pub fn set(&self, key: &str, value: impl Into<AttributeValue>) {
        self.0.set(key, value);
    }

    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        self.0.scope(work).await
    }

    pub fn finish(self) {
        self.0.finish();
    }

    pub fn fail(self, error_type: &str, message: &str) {
        self.0.fail(error_type, message);
    }
}
