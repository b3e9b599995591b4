use serde_json::{Value, json};
use trace_model::{Span, SpanId, SpanKind, Timestamp, TraceId, Usage, conventions};

use super::ModelTask;

const OPTIMIZED: &str = "bedrock:invokeModel";
const SDK: &str = "aws-sdk:bedrockruntime:invokeModel";
const CONVERSE: &str = "aws-sdk:bedrockruntime:converse";

fn described(resource: &str, parameters: &Value, output: &Value) -> Span {
    let task = ModelTask::of(resource, &parameters.to_string()).unwrap();
    let mut span = Span::open(
        TraceId::from_bytes([1; 16]).unwrap(),
        SpanId::from_bytes([1; 8]).unwrap(),
        None,
        task.name(Some(output)),
        task.kind(Some(output)),
        Timestamp::default(),
    );
    task.describe(&mut span, Some(output));
    span
}

struct Expected {
    name: &'static str,
    prompt: &'static str,
    answer: &'static str,
    finish_reason: Option<&'static str>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

#[track_caller]
fn check(resource: &str, parameters: &Value, output: &Value, expected: &Expected) {
    let span = described(resource, parameters, output);
    assert_eq!(span.name, expected.name);
    let text = |field| {
        span.content
            .get(field)
            .and_then(|content| content.as_text())
    };
    let prompt = text(conventions::INPUT_MESSAGES).unwrap_or_default();
    assert!(prompt.contains(expected.prompt), "{prompt}");
    let answer = text(conventions::OUTPUT_MESSAGES).unwrap_or_default();
    assert!(answer.contains(expected.answer), "{answer}");
    let reasons = span.attributes.get(conventions::FINISH_REASONS).cloned();
    let reason = expected
        .finish_reason
        .map(|reason| vec![trace_model::AttributeValue::from(reason)].into());
    assert_eq!(reasons, reason, "{}", expected.name);
    let usage = Usage::of(&span).unwrap_or_default();
    assert_eq!(
        usage.input_tokens, expected.input_tokens,
        "{}",
        expected.name
    );
    assert_eq!(
        usage.output_tokens, expected.output_tokens,
        "{}",
        expected.name
    );
}

#[test]
fn anthropic_messages() {
    let body = json!({
        "anthropic_version": "bedrock-2023-05-31", "max_tokens": 300, "temperature": 0.5,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "How are you?"}]}],
    });
    let answer = json!({
        "id": "msg_01", "type": "message", "role": "assistant",
        "content": [{"type": "text", "text": "Well."}], "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 10, "output_tokens": 4,
            "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20,
        },
    });
    let expected = Expected {
        name: "chat anthropic.claude-3-5-haiku-20241022-v1:0",
        prompt: "How are you?",
        answer: r#"{"role":"assistant","parts":[{"type":"text","content":"Well."}]}"#,
        finish_reason: Some("end_turn"),
        // Bedrock counts the cached ones beside.
        input_tokens: Some(130),
        output_tokens: Some(4),
    };
    let model = "anthropic.claude-3-5-haiku-20241022-v1:0";
    let arn = format!("arn:aws:bedrock:us-east-1::foundation-model/{model}");
    let parsed = json!({"Body": answer, "ContentType": "application/json"});
    let parameters = json!({"ModelId": arn, "Body": body});
    check(OPTIMIZED, &parameters, &parsed, &expected);
    let as_text = json!({"Body": answer.to_string(), "ContentType": "application/json"});
    let parameters = json!({"ModelId": model, "Body": body.to_string()});
    check(SDK, &parameters, &as_text, &expected);

    let span = described(OPTIMIZED, &parameters, &parsed);
    assert_eq!(span.int(conventions::REQUEST_MAX_TOKENS), Some(300));
    assert_eq!(span.text(conventions::RESPONSE_ID), Some("msg_01"));
    let system = span.content[conventions::SYSTEM_INSTRUCTIONS].as_text();
    assert_eq!(system, Some(r#"[{"type":"text","content":"Be brief."}]"#));
}

#[test]
fn converse_with_a_tool() {
    let parameters = json!({
        "ModelId": "us.amazon.nova-lite-v1:0",
        "System": [{"Text": "Be brief."}],
        "Messages": [
            {"Role": "user", "Content": [{"Text": "The weather in Bern?"}]},
            {"Role": "assistant", "Content": [
                {"ToolUse": {"ToolUseId": "t-1", "Name": "weather", "Input": {"city": "Bern"}}}
            ]},
            {"Role": "user", "Content": [
                {"ToolResult": {"ToolUseId": "t-1", "Content": [{"Json": {"sun": true}}]}}
            ]},
        ],
        "InferenceConfig": {"MaxTokens": 50, "Temperature": 0.0},
    });
    let output = json!({
        "Output": {"Message": {"Role": "assistant", "Content": [{"Text": "Sunny."}]}},
        "StopReason": "end_turn",
        "Usage": {"InputTokens": 30, "OutputTokens": 3, "TotalTokens": 33},
        "Metrics": {"LatencyMs": 500},
    });
    let expected = Expected {
        name: "chat us.amazon.nova-lite-v1:0",
        prompt: r#"{"type":"tool_call","id":"t-1","name":"weather","arguments":{"city":"Bern"}}"#,
        answer: "Sunny.",
        finish_reason: Some("end_turn"),
        input_tokens: Some(30),
        output_tokens: Some(3),
    };
    check(CONVERSE, &parameters, &output, &expected);
    let mut span = described(CONVERSE, &parameters, &output);
    assert_eq!(span.int(conventions::REQUEST_MAX_TOKENS), Some(50));
    let prompt = span.content[conventions::INPUT_MESSAGES].as_text().unwrap();
    assert!(
        prompt.contains(r#""type":"tool_call_response","id":"t-1""#),
        "{prompt}"
    );
    trace_model::apply_cost(&mut span);
    // 30 tokens at 0.06 and 3 at 0.24 dollars a million.
    assert_eq!(span.int(conventions::COST_PICO_USD), Some(2_520_000));
}

#[test]
fn bodies_of_other_families() {
    let invoke = |model: &str, body: Value| json!({"ModelId": model, "Body": body});
    let answered = |body: Value| json!({"Body": body, "ContentType": "application/json"});
    check(
        OPTIMIZED,
        &invoke(
            "amazon.titan-text-express-v1",
            json!({"inputText": "Hello?", "textGenerationConfig": {"maxTokenCount": 9}}),
        ),
        &answered(json!({
            "inputTextTokenCount": 2,
            "results": [{"tokenCount": 5, "outputText": "Hi!", "completionReason": "FINISH"}],
        })),
        &Expected {
            name: "text_completion amazon.titan-text-express-v1",
            prompt: "Hello?",
            answer: "Hi!",
            finish_reason: Some("FINISH"),
            input_tokens: Some(2),
            output_tokens: Some(5),
        },
    );
    check(
        OPTIMIZED,
        &invoke(
            "meta.llama3-8b-instruct-v1:0",
            json!({"prompt": "Hello?", "max_gen_len": 9}),
        ),
        &answered(json!({
            "generation": "Hi!", "prompt_token_count": 2, "generation_token_count": 5,
            "stop_reason": "stop",
        })),
        &Expected {
            name: "text_completion meta.llama3-8b-instruct-v1:0",
            prompt: "Hello?",
            answer: "Hi!",
            finish_reason: Some("stop"),
            input_tokens: Some(2),
            output_tokens: Some(5),
        },
    );
    check(
        OPTIMIZED,
        &invoke(
            "mistral.mistral-7b-instruct-v0:2",
            json!({"prompt": "Hello?"}),
        ),
        &answered(json!({"outputs": [{"text": "Hi!", "stop_reason": "length"}]})),
        &Expected {
            name: "text_completion mistral.mistral-7b-instruct-v0:2",
            prompt: "Hello?",
            answer: "Hi!",
            finish_reason: Some("length"),
            input_tokens: None,
            output_tokens: None,
        },
    );
    check(
        OPTIMIZED,
        &invoke("cohere.command-r-v1:0", json!({"message": "Hello?"})),
        &answered(json!({"text": "Hi!", "finish_reason": "COMPLETE"})),
        &Expected {
            name: "text_completion cohere.command-r-v1:0",
            prompt: "Hello?",
            answer: "Hi!",
            finish_reason: Some("COMPLETE"),
            input_tokens: None,
            output_tokens: None,
        },
    );
    check(
        OPTIMIZED,
        &invoke(
            "openai.gpt-oss-20b-1:0",
            json!({"messages": [{"role": "user", "content": "Hello?"}]}),
        ),
        &answered(json!({
            "choices": [{"message": {"role": "assistant", "content": "Hi!"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 5},
        })),
        &Expected {
            name: "chat openai.gpt-oss-20b-1:0",
            prompt: "Hello?",
            answer: "Hi!",
            finish_reason: Some("stop"),
            input_tokens: Some(2),
            output_tokens: Some(5),
        },
    );
}

#[test]
fn embeddings_keep_no_vector() {
    let parameters =
        json!({"ModelId": "amazon.titan-embed-text-v2:0", "Body": {"inputText": "Hello"}});
    let output = json!({"Body": {"embedding": [0.1, 0.2], "inputTextTokenCount": 1}});
    let span = described(OPTIMIZED, &parameters, &output);
    assert_eq!(span.kind, SpanKind::Embedding);
    assert_eq!(span.name, "embeddings amazon.titan-embed-text-v2:0");
    assert_eq!(Usage::of(&span).unwrap().input_tokens, Some(1));
    assert!(!span.content.contains_key(conventions::OUTPUT_MESSAGES));
}

#[test]
fn a_prompt_in_a_bucket_is_told_and_not_read() {
    let parameters = json!({
        "ModelId": "amazon.nova-lite-v1:0",
        "Input": {"S3Uri": "s3://prompts/one.json"}, "Output": {"S3Uri": "s3://answers/one.json"},
    });
    let span = described(
        OPTIMIZED,
        &parameters,
        &json!({"ContentType": "application/json"}),
    );
    assert_eq!(
        span.text(super::INPUT_S3_URI),
        Some("s3://prompts/one.json")
    );
    assert_eq!(
        span.text(super::OUTPUT_S3_URI),
        Some("s3://answers/one.json")
    );
    assert!(span.content.is_empty());
}

#[test]
fn what_is_no_call_of_a_model_is_none() {
    let parameters = json!({"ModelId": "m", "Body": {}}).to_string();
    for resource in [
        "lambda:invoke",
        "bedrock:createModelCustomizationJob",
        "aws-sdk:s3:getObject",
    ] {
        assert!(ModelTask::of(resource, &parameters).is_none(), "{resource}");
    }
    for parameters in ["", "[]", "{\"ModelId\": 7}", "{}"] {
        assert!(
            ModelTask::of(OPTIMIZED, parameters).is_none(),
            "{parameters}"
        );
    }
}

#[test]
fn odd_bodies_are_described_as_far_as_they_go() {
    for body in [
        json!(null),
        json!("no JSON"),
        json!([1]),
        json!({"messages": 1}),
        json!({}),
    ] {
        let parameters = json!({"ModelId": "own-model", "Body": body});
        for output in [
            json!(null),
            json!({"Body": body}),
            json!({"Body": {"results": 1}}),
        ] {
            let span = described(OPTIMIZED, &parameters, &output);
            assert_eq!(span.text(conventions::REQUEST_MODEL), Some("own-model"));
        }
    }
}
