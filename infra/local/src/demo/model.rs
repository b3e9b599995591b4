//! `demo-model`: answers by rules, the same for the same question, in the `OpenAI` protocol.
//! It is no language model and says so in every answer that is prose.

use std::convert::Infallible;

use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::text::{count_tokens, overlap, sentences, summary};

const MODEL: &str = "demo-model";

pub(super) fn router() -> Router {
    Router::new()
        .route("/models", get(models))
        .route("/chat/completions", post(chat_completions))
}

#[derive(Deserialize)]
struct ChatRequest {
    #[serde(default)]
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    response_format: Option<Value>,
    #[serde(alias = "max_completion_tokens")]
    max_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

/// What the model says, and why it stopped.
struct Answer {
    text: String,
    finish_reason: &'static str,
    prompt_tokens: u64,
}

async fn models() -> Json<Value> {
    Json(json!({"object": "list", "data": [{
        "id": MODEL,
        "object": "model",
        "owned_by": "stepscope",
        "description": "rule-based and deterministic: no language model",
    }]}))
}

async fn chat_completions(request: Result<Json<ChatRequest>, JsonRejection>) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(rejection) => return refuse(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    if request.model != MODEL {
        let reason = format!(
            "the demo model serves {MODEL:?} only, not {:?}; set STEPSCOPE_MODEL_BASE_URL or a \
             provider's key to reach another model",
            request.model
        );
        return refuse(StatusCode::NOT_FOUND, &reason);
    }
    let answer = answer(&request);
    if request.stream {
        let with_usage = request
            .stream_options
            .is_some_and(|options| options.include_usage);
        let chunks = chunks(&answer, with_usage).into_iter();
        Sse::new(stream::iter(chunks.map(Ok::<_, Infallible>))).into_response()
    } else {
        Json(json!({
            "id": completion_id(&answer),
            "object": "chat.completion",
            "model": MODEL,
            "system_fingerprint": "rule-based",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": answer.finish_reason,
            }],
            "usage": usage(&answer),
        }))
        .into_response()
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let error = json!({"error": {"message": message, "type": "invalid_request_error"}});
    (status, Json(error)).into_response()
}

fn answer(request: &ChatRequest) -> Answer {
    let texts: Vec<(&str, String)> = request
        .messages
        .iter()
        .map(|message| (message.role.as_str(), text_of(&message.content)))
        .collect();
    let prompt_tokens = texts.iter().map(|(_, text)| count_tokens(text) + 4).sum();
    let of_role = |wanted: &str| {
        let mut matching = texts.iter().filter(|(role, _)| *role == wanted);
        matching.next_back().map_or("", |(_, text)| text.as_str())
    };
    let (system, user) = (of_role("system"), of_role("user"));
    let schema = request
        .response_format
        .as_ref()
        .and_then(|format| format.pointer("/json_schema/schema"));
    let mut text = match schema {
        Some(schema) => fill(schema, user, 0).to_string(),
        None => prose(system, user),
    };
    let mut finish_reason = "stop";
    if let Some(limit) = request.max_tokens
        && count_tokens(&text) > limit
    {
        let characters = usize::try_from(limit.saturating_mul(4)).unwrap_or(usize::MAX);
        text = text.chars().take(characters).collect();
        finish_reason = "length";
    }
    Answer {
        text,
        finish_reason,
        prompt_tokens,
    }
}

/// A message's text, whether plain or in parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn prose(system: &str, user: &str) -> String {
    let task = system.to_lowercase();
    let said = if task.contains("digest") {
        let lines: Vec<&str> = user.lines().filter(|line| line.starts_with("- ")).collect();
        format!("Digest of {} documents.\n{}", lines.len(), lines.join("\n"))
    } else if task.contains("summar") {
        match summary(user, 2) {
            sentences if sentences.is_empty() => user.chars().take(200).collect(),
            sentences => sentences,
        }
    } else if task.contains("draft") || task.contains("answer") {
        let subject = user.lines().find_map(|line| line.strip_prefix("Subject: "));
        let facts = user.lines().find_map(|line| line.strip_prefix("Facts: "));
        format!(
            "Hello,\n\nthank you for writing to us about {}. {}\nWhat we found: {}\n\nKind \
             regards,\nSupport",
            subject.map_or("your request".to_owned(), |subject| format!(
                "\"{subject}\""
            )),
            "We have looked into it and will settle it with you.",
            facts.unwrap_or("nothing on record yet"),
        )
    } else {
        let first = sentences(user).into_iter().next();
        format!("You said: {}", first.as_deref().unwrap_or(user))
    };
    format!("{said}\n(demo-model: written by rules, not by a language model)")
}

/// A value that fits the schema, chosen by what the text says.
fn fill(schema: &Value, text: &str, depth: usize) -> Value {
    if let Some(options) = schema["enum"].as_array() {
        return choose(options, text);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") if depth < 32 => {
            let properties = schema["properties"].as_object();
            let filled = properties.into_iter().flatten();
            let filled = filled.map(|(name, property)| {
                let value = match name.as_str() {
                    "confidence" if property["type"] == "number" => json!(confidence(schema, text)),
                    _ => fill(property, text, depth + 1),
                };
                (name.clone(), value)
            });
            Value::Object(filled.collect())
        }
        Some("array") if depth < 32 => json!([fill(&schema["items"], text, depth + 1)]),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(0.5)),
        Some("boolean") => json!(false),
        Some("null") => Value::Null,
        _ => json!(summary(text, 1)),
    }
}

/// The option the text speaks of most; where it speaks of none, the most neutral one.
fn choose(options: &[Value], text: &str) -> Value {
    let score = |option: &Value| overlap(text, option.as_str().unwrap_or_default());
    let best = options.iter().max_by_key(|option| {
        let neutral = matches!(
            option.as_str(),
            Some("other" | "normal" | "neutral" | "medium")
        );
        (score(option), neutral)
    });
    best.cloned().unwrap_or(Value::Null)
}

/// How clear the choice among the first options of an object is: a text that speaks of none of
/// them is a guess.
fn confidence(schema: &Value, text: &str) -> f64 {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let options = properties.filter_map(|(_, property)| property["enum"].as_array());
    let scores = options.take(1).flatten();
    let mut scores: Vec<u32> = scores
        .map(|option| overlap(text, option.as_str().unwrap_or_default()))
        .map(|score| u32::try_from(score).unwrap_or(u32::MAX))
        .collect();
    scores.sort_unstable_by_key(|score| std::cmp::Reverse(*score));
    match scores[..] {
        [] | [0, ..] => 0.3,
        [best] => sure(best, 0),
        [best, second, ..] => sure(best, second),
    }
}

/// The share of the best, in hundredths, and never quite all.
fn sure(best: u32, second: u32) -> f64 {
    let share = f64::from(best) / (f64::from(best) + f64::from(second));
    (share * 100.0).round().min(95.0) / 100.0
}

/// The answer as server-sent events, a few words each.
fn chunks(answer: &Answer, with_usage: bool) -> Vec<Event> {
    let id = completion_id(answer);
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": id, "object": "chat.completion.chunk", "model": MODEL,
            "system_fingerprint": "rule-based", "choices": choices, "usage": usage,
        })
        .to_string()
    };
    let words: Vec<&str> = answer.text.split_inclusive(' ').collect();
    let mut events: Vec<String> = words
        .chunks(6)
        .map(|words| {
            let delta = json!({"role": "assistant", "content": words.concat()});
            chunk(json!([{"index": 0, "delta": delta}]), Value::Null)
        })
        .collect();
    let end = json!([{"index": 0, "delta": {}, "finish_reason": answer.finish_reason}]);
    events.push(chunk(end, Value::Null));
    if with_usage {
        events.push(chunk(json!([]), usage(answer)));
    }
    events.push("[DONE]".to_owned());
    events
        .into_iter()
        .map(|data| Event::default().data(data))
        .collect()
}

fn usage(answer: &Answer) -> Value {
    let completion_tokens = count_tokens(&answer.text);
    json!({
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": answer.prompt_tokens + completion_tokens,
    })
}

/// The same answer has the same id.
fn completion_id(answer: &Answer) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    answer.text.hash(&mut hasher);
    format!("demo-{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(value: Value) -> ChatRequest {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_schema_is_filled_by_what_the_text_says() {
        let answer = answer(&request(json!({
            "model": MODEL,
            "messages": [{"role": "user", "content": "I was charged twice, refund the payment today, urgent"}],
            "response_format": {"type": "json_schema", "json_schema": {"schema": {
                "type": "object",
                "properties": {
                    "category": {"enum": ["technical", "other", "billing"]},
                    "urgency": {"enum": ["low", "normal", "high"]},
                },
            }}},
        })));
        let filled: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(filled, json!({"category": "billing", "urgency": "high"}));
    }

    #[test]
    fn confidence_is_how_clear_the_choice_is() {
        let schema = json!({"type": "object", "properties": {
            "category": {"enum": ["technical", "other", "billing"]},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        }});
        for (text, category, confidence) in [
            (
                "Please refund the payment for this invoice",
                "billing",
                0.95,
            ),
            ("An error on the page of the invoice", "billing", 0.5),
            ("Could somebody get back to me?", "other", 0.3),
        ] {
            let expected = json!({"category": category, "confidence": confidence});
            assert_eq!(fill(&schema, text, 0), expected, "{text}");
        }
    }

    #[test]
    fn prose_says_what_wrote_it_and_a_limit_cuts_it() {
        let whole = answer(&request(json!({
            "model": MODEL, "messages": [{"role": "user", "content": "Tell me about the weather in Oslo."}],
        })));
        assert!(whole.text.contains("not by a language model"));
        assert_eq!(whole.finish_reason, "stop");
        let cut = answer(&request(json!({
            "model": MODEL, "max_tokens": 3,
            "messages": [{"role": "user", "content": "Tell me about the weather in Oslo."}],
        })));
        assert_eq!(
            (cut.text.chars().count(), cut.finish_reason),
            (12, "length")
        );
    }

    #[test]
    fn where_the_text_says_nothing_the_neutral_option_wins() {
        let options = [json!("low"), json!("normal"), json!("high")];
        assert_eq!(
            choose(&options, "Please have a look at this"),
            json!("normal")
        );
    }
}
