//! What Step Functions' errors mean to a caller.

use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};

use crate::problem::Problem;

pub(crate) type ServiceError<E> = SdkError<E, aws_sdk_sfn::config::http::HttpResponse>;

/// For what no route has better words for.
pub(crate) fn of_step_functions<E>(operation: &'static str, error: &ServiceError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let is_passing = matches!(
        error,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_)
    ) || matches!(
        error.code(),
        Some("ThrottlingException" | "ServiceUnavailable" | "InternalFailure")
    );
    if is_passing {
        Problem::unavailable(operation, error)
    } else {
        Problem::internal(operation, error)
    }
}

/// Its code and its own words, for an error that the caller can do something about.
pub(crate) fn told<E: ProvideErrorMetadata>(error: &E) -> String {
    let code = error.code().unwrap_or("refused");
    let message = error.message().unwrap_or("no reason was given");
    format!("{code}: {message}")
}
