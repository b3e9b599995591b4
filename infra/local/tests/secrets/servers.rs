//! What a workflow talks to, on loopback: a web service and a model that leak, and a collector
//! that keeps what it is sent.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use flate2::read::GzDecoder;
use lambda_process::LocalService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Characters of an answer that come at once: a secret comes in pieces.
const STREAMED: usize = 7;

/// What the service and the model answer with.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) bodies: BTreeMap<&'static str, (StatusCode, &'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// By model.
    pub(crate) models: BTreeMap<&'static str, ModelAnswer>,
    /// What the awaited task is told.
    pub(crate) task_output: Value,
}

pub(crate) enum ModelAnswer {
    Text(String),
    ToolCall(Value),
    Refusal(StatusCode, String),
    /// Text, and then an error in the stream.
    Interrupted(String, String),
}

#[derive(Clone)]
struct Service {
    answers: Arc<Answers>,
    seen: Seen,
}

/// What reached the servers.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    exported: Arc<Mutex<Vec<Vec<u8>>>>,
    task_tokens: Arc<Mutex<Vec<String>>>,
    requests: Arc<Mutex<Vec<u8>>>,
    /// Where an awaited task is answered.
    aws_endpoint_url: Arc<OnceLock<String>>,
}

impl Seen {
    pub(crate) fn exported(&self) -> Vec<Vec<u8>> {
        self.exported.lock().unwrap().clone()
    }

    pub(crate) fn task_tokens(&self) -> Vec<String> {
        self.task_tokens.lock().unwrap().clone()
    }

    /// Bodies and headers that workflows sent, for the control.
    pub(crate) fn requests(&self) -> Vec<u8> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn answer_tasks_at(&self, aws_endpoint_url: &str) {
        self.aws_endpoint_url
            .set(aws_endpoint_url.to_owned())
            .unwrap();
    }
}

/// Serves at the address, `127.0.0.1:PORT`.
pub(crate) fn serve(runtime: &Runtime, answers: Answers) -> (String, Seen) {
    let seen = Seen::default();
    let service = Service {
        answers: Arc::new(answers),
        seen: seen.clone(),
    };
    let router = Router::new()
        .route("/v1/traces", post(collect))
        .route("/model/v1/chat/completions", post(complete))
        .route("/await", post(await_task))
        .route("/service/{name}", any(answer))
        .with_state(service);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    runtime.spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

async fn collect(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
    let mut unpacked = Vec::new();
    GzDecoder::new(&body[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    service.seen.exported.lock().unwrap().push(unpacked);
    (
        [(header::CONTENT_TYPE, "application/x-protobuf")],
        Vec::new(),
    )
        .into_response()
}

async fn answer(
    State(service): State<Service>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    {
        let mut requests = service.seen.requests.lock().unwrap();
        requests.extend(&body);
        for value in headers.values() {
            requests.extend(value.as_bytes());
            requests.push(b'\n');
        }
    }
    let Some((status, media_type, body)) = service.answers.bodies.get(name.as_str()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = (*status, body.clone()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    for (name, value) in &service.answers.headers {
        headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    response
}

/// Takes the task's token, and answers for the task later, as a person would.
async fn await_task(State(service): State<Service>, Json(body): Json<Value>) -> Json<Value> {
    let mut words = body["note"].as_str().unwrap().split(' ');
    let token = words.nth(3).unwrap().to_owned();
    service.seen.task_tokens.lock().unwrap().push(token.clone());
    let endpoint = service.seen.aws_endpoint_url.get().unwrap().clone();
    let output = service.answers.task_output.to_string();
    tokio::spawn(async move {
        let client = LocalService::at(&endpoint).sfn("us-east-1");
        let sent = client.send_task_success().task_token(token).output(output);
        sent.send().await.unwrap();
    });
    Json(json!({"taken": true}))
}

/// The `OpenAI` protocol, as far as the models of the test need it.
async fn complete(State(service): State<Service>, Json(request): Json<Value>) -> Response {
    let model = request["model"].as_str().unwrap();
    let chunk = |delta: Value, finish_reason: Value| {
        json!({"id": "one", "object": "chat.completion.chunk", "model": model, "choices": [
            {"index": 0, "delta": delta, "finish_reason": finish_reason}
        ]})
    };
    let pieces = |text: &str| -> Vec<Value> {
        let characters: Vec<char> = text.chars().collect();
        let pieces = characters.chunks(STREAMED).map(|piece| {
            let piece: String = piece.iter().collect();
            chunk(json!({"role": "assistant", "content": piece}), Value::Null)
        });
        pieces.collect()
    };
    let mut events = match &service.answers.models[model] {
        ModelAnswer::Refusal(status, body) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            return (*status, json, body.clone()).into_response();
        }
        ModelAnswer::Text(text) => {
            let mut events = pieces(text);
            events.push(chunk(json!({}), json!("stop")));
            events
        }
        ModelAnswer::ToolCall(arguments) => vec![
            chunk(
                json!({"role": "assistant", "tool_calls": [{"index": 0, "id": "call-1",
                    "type": "function",
                    "function": {"name": "look_up", "arguments": arguments.to_string()}}]}),
                Value::Null,
            ),
            chunk(json!({}), json!("tool_calls")),
        ],
        ModelAnswer::Interrupted(text, message) => {
            let mut events = pieces(text);
            events.push(json!({"error": {"type": "server_error", "message": message}}));
            events
        }
    };
    events.push(
        json!({"id": "one", "object": "chat.completion.chunk", "model": model,
        "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}}),
    );
    let mut body: String = events
        .iter()
        .flat_map(|event| ["data: ".to_owned(), event.to_string(), "\n\n".to_owned()])
        .collect();
    body.push_str("data: [DONE]\n\n");
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}
