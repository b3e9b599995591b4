//! Calling functions: handlers of this process by name, and everything else
//! through an endpoint that speaks Lambda's Invoke API.

mod endpoint;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};
use trace_model::{Clock, Timestamp};
use url::Url;

use crate::arn::function_name;
use crate::interpreter::{ErrorAndCause, Invocation, InvocationMode};

/// The longest a function may run: Lambda's own limit, 15 minutes.
pub const FUNCTION_TIMEOUT: Duration = Duration::from_mins(15);

/// One call of a function of this process.
#[derive(Debug, Clone)]
pub struct InvocationRequest {
    /// Without ARN and qualifier.
    pub function_name: String,
    pub payload: Value,
    /// When the function is given up, as Lambda's context tells it.
    pub deadline: Timestamp,
    /// Unique to this call.
    pub request_id: String,
}

/// What a function fails with; `error_type` is what `Retry` and `Catch` match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {error_message}")]
pub struct FunctionError {
    pub error_type: String,
    pub error_message: String,
    pub stack_trace: Vec<String>,
}

type FunctionFuture = Pin<Box<dyn Future<Output = Result<Value, FunctionError>> + Send>>;
type Handler = Arc<dyn Fn(InvocationRequest) -> FunctionFuture + Send + Sync>;

/// The functions there are.
#[derive(Clone, Default)]
pub struct FunctionInvoker {
    functions: HashMap<String, Handler>,
    endpoint: Option<(Url, reqwest::Client)>,
}

impl fmt::Debug for FunctionInvoker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&String> = self.functions.keys().collect();
        names.sort();
        formatter
            .debug_struct("FunctionInvoker")
            .field("functions", &names)
            .field(
                "endpoint",
                &self.endpoint.as_ref().map(|(url, _)| url.as_str()),
            )
            .finish()
    }
}

impl FunctionInvoker {
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves the function of that name from this process.
    #[must_use]
    pub fn with_function<F, Answer>(mut self, name: &str, handler: F) -> Self
    where
        F: Fn(InvocationRequest) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<Value, FunctionError>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        self.functions.insert(name.to_owned(), handler);
        self
    }

    /// Asks an endpoint for all other functions, as `sam local start-lambda` and
    /// `cargo lambda watch` serve them.
    #[must_use]
    pub fn with_lambda_endpoint(mut self, endpoint: Url, client: reqwest::Client) -> Self {
        self.endpoint = Some((endpoint, client));
        self
    }

    /// Calls a function and makes its answer what a Task state gets.
    pub(crate) async fn call(
        &self,
        invocation: Invocation,
        clock: &Clock,
    ) -> Result<Value, ErrorAndCause> {
        let request_id = uuid::Uuid::new_v4().to_string();
        let mode = invocation.mode;
        let name = function_name(&invocation.function).to_owned();
        // The function's own limit: as on AWS it knows nothing of the state's timeout.
        let deadline = clock.now().plus(FUNCTION_TIMEOUT);
        let request = InvocationRequest {
            function_name: name.clone(),
            payload: invocation.payload,
            deadline,
            request_id: request_id.clone(),
        };
        let answer = self.answer(request, &invocation.function);
        if mode == InvocationMode::Event {
            // Nobody waits for it, and what it answers is nobody's.
            tokio::spawn(answer);
            return Ok(invoke_response(
                Value::String(String::new()),
                &request_id,
                202,
            ));
        }
        let payload = tokio::time::timeout(FUNCTION_TIMEOUT, answer)
            .await
            .unwrap_or_else(|_| Err(timed_out(&request_id)))?;
        Ok(match mode {
            InvocationMode::Direct => payload,
            InvocationMode::Invoke | InvocationMode::Event => {
                invoke_response(payload, &request_id, 200)
            }
        })
    }

    fn answer(
        &self,
        request: InvocationRequest,
        function: &str,
    ) -> impl Future<Output = Result<Value, ErrorAndCause>> + Send + use<> {
        let handler = self.functions.get(&request.function_name).cloned();
        let endpoint = self.endpoint.clone();
        let not_found = self.not_found(function);
        async move {
            match (handler, endpoint) {
                (Some(handler), _) => call_handler(&handler, request).await,
                (None, Some((url, client))) => endpoint::invoke(&client, &url, request).await,
                (None, None) => Err(not_found),
            }
        }
    }

    fn not_found(&self, function: &str) -> ErrorAndCause {
        let mut known: Vec<&str> = self.functions.keys().map(String::as_str).collect();
        known.sort_unstable();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        failure(
            "Lambda.ResourceNotFoundException",
            format!(
                "Function not found: {function}. This process serves: {known}. Correct the name in the state machine, or give a Lambda endpoint that serves the function (--lambda-endpoint URL)."
            ),
        )
    }
}

async fn call_handler(
    handler: &Handler,
    request: InvocationRequest,
) -> Result<Value, ErrorAndCause> {
    let name = request.function_name.clone();
    let running = AssertUnwindSafe(async { handler(request).await }).catch_unwind();
    match running.await {
        Ok(answer) => answer.map_err(|error| function_failure(&error)),
        Err(panic) => {
            let said = panic
                .downcast_ref::<&str>()
                .map(|said| (*said).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            tracing::error!(function = name, "the function panicked");
            Err(failure(
                "Lambda.Unknown",
                format!("the function {name} panicked: {said}"),
            ))
        }
    }
}

pub(crate) fn failure(error: &str, cause: impl Into<String>) -> ErrorAndCause {
    ErrorAndCause {
        error: Some(error.to_owned()),
        cause: Some(cause.into()),
    }
}

/// The cause is the error's payload as JSON text, as Step Functions gives it.
fn function_failure(error: &FunctionError) -> ErrorAndCause {
    let FunctionError {
        error_type,
        error_message,
        stack_trace,
    } = error;
    let mut payload = json!({"errorType": error_type, "errorMessage": error_message});
    if !stack_trace.is_empty() {
        payload["stackTrace"] = json!(stack_trace);
    }
    failure(error_type, payload.to_string())
}

fn timed_out(request_id: &str) -> ErrorAndCause {
    let seconds = FUNCTION_TIMEOUT.as_secs();
    let message =
        format!("RequestId: {request_id} Error: Task timed out after {seconds}.00 seconds");
    let payload = json!({"errorType": "Sandbox.Timedout", "errorMessage": message});
    failure("Sandbox.Timedout", payload.to_string())
}

/// What `lambda:invoke` gives a Task state.
fn invoke_response(payload: Value, request_id: &str, status: u16) -> Value {
    const VERSION: &str = "$LATEST";
    let mut response = json!({
        "ExecutedVersion": VERSION,
        "Payload": null,
        "SdkHttpMetadata": {
            "AllHttpHeaders": {
                "X-Amz-Executed-Version": [VERSION],
                "x-amzn-RequestId": [request_id],
                "Content-Type": ["application/json"],
            },
            "HttpHeaders": {
                "X-Amz-Executed-Version": VERSION,
                "x-amzn-RequestId": request_id,
                "Content-Type": "application/json",
            },
            "HttpStatusCode": status,
        },
        "SdkResponseMetadata": {"RequestId": request_id},
        "StatusCode": status,
    });
    response["Payload"] = payload;
    response
}
