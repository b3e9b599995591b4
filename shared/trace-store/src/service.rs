//! The SDKs' errors as ours, and how often a call is tried.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use backon::{ExponentialBuilder, Retryable as _};

use crate::StoreError;

/// Beyond the SDK's own attempts: well within what a stream or a queue waits
/// before it gives the batch again.
const ATTEMPTS: usize = 3;
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// Tries again what may succeed later, waiting ever longer, never all callers at once.
pub(crate) async fn retrying<T, Attempt, Answer>(attempt: Attempt) -> Result<T, StoreError>
where
    Attempt: FnMut() -> Answer,
    Answer: Future<Output = Result<T, StoreError>>,
{
    let delays = ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(FIRST_DELAY)
        .with_max_delay(LONGEST_DELAY)
        .with_max_times(ATTEMPTS);
    let attempts = attempt.retry(delays).when(StoreError::is_retryable);
    // An SDK call is a large future, nested deep: on the heap it burdens no caller.
    Box::pin(attempts.into_future()).await
}

/// What a service said: its code, its message and its request id. The SDK's own error holds
/// the answer's body as well, which may be an item.
#[derive(Debug)]
struct ServiceFault {
    code: String,
    message: String,
    status: u16,
}

impl fmt::Display for ServiceFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {} (HTTP status {})",
            self.code, self.message, self.status
        )
    }
}

impl std::error::Error for ServiceFault {}

/// The request that got no answer.
#[derive(Debug)]
struct NoAnswer(String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for NoAnswer {}

/// Turns an SDK's error into ours.
pub(crate) fn failed<E>(
    operation: &'static str,
    what: &'static str,
) -> impl Fn(SdkError<E, HttpResponse>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    move |error| {
        let (retryable, source): (bool, Box<dyn std::error::Error + Send + Sync>) = match &error {
            SdkError::ServiceError(answer) => {
                let code = answer.err().code().unwrap_or("unknown error");
                let status = answer.raw().status().as_u16();
                let fault = ServiceFault {
                    code: code.to_owned(),
                    message: answer.err().message().unwrap_or_default().to_owned(),
                    status,
                };
                (status >= 500 || is_throttling(code), Box::new(fault))
            }
            // What could not even be built will not be built next time.
            SdkError::ConstructionFailure(_) => (false, no_answer(&error)),
            _ => (true, no_answer(&error)),
        };
        StoreError::Service {
            operation,
            what,
            retryable,
            source,
        }
    }
}

fn no_answer<E: std::error::Error + 'static>(
    error: &SdkError<E, HttpResponse>,
) -> Box<dyn std::error::Error + Send + Sync> {
    let mut causes = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    Box::new(NoAnswer(causes.join(": ")))
}

/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
/// and S3's `SlowDown`, and SQS's `RequestThrottled`.
fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "TransactionInProgressException"
            | "TransactionConflictException"
            | "ReplicatedWriteConflictException"
            | "SlowDown"
            | "RequestThrottled"
            | "RequestTimeout"
    )
}
