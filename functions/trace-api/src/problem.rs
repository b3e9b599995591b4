//! Errors as RFC 9457 problem details. The one table from what went wrong to its status.

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use identity::{AuthenticationError, MissingScope};
use serde::Serialize;
use trace_store::StoreError;
use utoipa::ToSchema;

/// What a caller did wrong, or what went wrong here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    InvalidQuery,
    InvalidCursor,
    InvalidBody,
    Unauthenticated,
    MissingScope,
    NotFound,
    NoSuchRoute,
    NotRecordedYet,
    Expired,
    MethodNotAllowed,
    NameTaken,
    NotRunning,
    NotRedrivable,
    NothingWaits,
    AlreadyDecided,
    TokenExpired,
    BodyTooLarge,
    WrongMediaType,
    Refused,
    Internal,
    Unavailable,
}

/// An answer that is an error. `detail` is for the caller to read; what happened inside goes
/// to the log.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: ProblemKind,
    detail: String,
    header: Option<(http::HeaderName, HeaderValue)>,
}

/// RFC 9457 problem details.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'problem> {
    /// Which kind of problem this is: a relative reference that stays the same from version to
    /// version, to be compared and not to be fetched. `/docs/problems/not-found` is explained in
    /// the file `docs/problems/not-found.md` of Stepscope's source.
    #[serde(rename = "type")]
    problem_type: String,
    title: &'static str,
    status: u16,
    /// What was wrong with this request, and what to do.
    detail: &'problem str,
    /// The `x-request-id` of the answer; the log has it too.
    request_id: &'problem str,
}

impl ProblemKind {
    /// Status, the last part of the documentation's path, title.
    const fn entry(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidQuery => (
                StatusCode::BAD_REQUEST,
                "invalid-query",
                "A parameter is not valid",
            ),
            Self::InvalidCursor => (
                StatusCode::BAD_REQUEST,
                "invalid-cursor",
                "The cursor is not valid here",
            ),
            Self::InvalidBody => (
                StatusCode::BAD_REQUEST,
                "invalid-body",
                "The body is not valid",
            ),
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "A valid access token is needed",
            ),
            Self::MissingScope => (
                StatusCode::FORBIDDEN,
                "missing-scope",
                "The token lacks a scope",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::NoSuchRoute => (StatusCode::NOT_FOUND, "no-such-route", "No such route"),
            Self::NotRecordedYet => (
                StatusCode::NOT_FOUND,
                "not-recorded-yet",
                "The trace is not recorded yet",
            ),
            Self::Expired => (StatusCode::NOT_FOUND, "expired", "The trace has expired"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::NameTaken => (
                StatusCode::CONFLICT,
                "name-taken",
                "The execution's name is taken",
            ),
            Self::NotRunning => (
                StatusCode::CONFLICT,
                "not-running",
                "The execution does not run",
            ),
            Self::NotRedrivable => (
                StatusCode::CONFLICT,
                "not-redrivable",
                "The execution cannot be redriven",
            ),
            Self::NothingWaits => (
                StatusCode::CONFLICT,
                "nothing-waits",
                "Nothing waits under this span",
            ),
            Self::AlreadyDecided => (
                StatusCode::CONFLICT,
                "already-decided",
                "It was decided before",
            ),
            Self::TokenExpired => (
                StatusCode::CONFLICT,
                "token-expired",
                "The task no longer waits",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The body is too large",
            ),
            Self::WrongMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "wrong-media-type",
                "The body must be JSON",
            ),
            Self::Refused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "refused",
                "Step Functions refused the request",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong here",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Not available at the moment",
            ),
        }
    }

    pub(crate) const fn status(self) -> StatusCode {
        self.entry().0
    }

    /// For an answer that some layer gave without saying more than its status.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::FORBIDDEN => Self::MissingScope,
            StatusCode::NOT_FOUND => Self::NoSuchRoute,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::WrongMediaType,
            status if status.is_client_error() => Self::InvalidQuery,
            _ => Self::Internal,
        }
    }
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            header: None,
        }
    }

    pub(crate) const fn kind(&self) -> ProblemKind {
        self.kind
    }

    pub(crate) fn invalid_query(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidQuery, detail)
    }

    /// The same words for what never existed and for what is another tenant's.
    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(
            ProblemKind::NotFound,
            format!(
                "there is no such {what}: it never was, it has expired, or this token may not \
                 see it"
            ),
        )
    }

    pub(crate) fn not_recorded_yet() -> Self {
        let problem = Self::new(
            ProblemKind::NotRecordedYet,
            "the execution exists, and its trace is not recorded yet: try again in a moment",
        );
        problem.with(RETRY_AFTER, HeaderValue::from_static("2"))
    }

    /// What went wrong inside is logged here and said nowhere else.
    pub(crate) fn internal(
        operation: &'static str,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        tracing::error!(operation, error, "a request failed");
        Self::new(
            ProblemKind::Internal,
            "the request failed on this side; the log has the reason under the request id",
        )
    }

    pub(crate) fn unavailable(
        operation: &'static str,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        tracing::warn!(operation, error, "a request failed for the moment");
        let problem = Self::new(
            ProblemKind::Unavailable,
            "a service behind this one does not answer at the moment: try again in some seconds",
        );
        problem.with(RETRY_AFTER, HeaderValue::from_static("5"))
    }

    pub(crate) fn of_store(operation: &'static str, error: &StoreError) -> Self {
        match error {
            StoreError::InvalidCursor => Self::invalid_cursor(),
            error if error.is_retryable() => Self::unavailable(operation, error),
            error => Self::internal(operation, error),
        }
    }

    pub(crate) fn invalid_cursor() -> Self {
        Self::new(
            ProblemKind::InvalidCursor,
            "this cursor is not one of this list's: use a cursor only with the query and token \
             that it came from, or start again without it",
        )
    }

    pub(crate) fn of_panic() -> Self {
        Self::new(
            ProblemKind::Internal,
            "the request failed on this side; the log has the reason under the request id",
        )
    }

    fn with(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The body, once the request's id is known.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let (status, slug, title) = self.kind.entry();
        let body = ProblemBody {
            problem_type: format!("/docs/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            request_id,
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let media_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(CONTENT_TYPE, media_type)], json).into_response();
        if let Some((name, value)) = &self.header {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    /// Turns whatever error a layer answered with into problem details.
    pub(crate) fn finish(mut response: Response, request_id: &str) -> Response {
        if let Some(problem) = response.extensions_mut().remove::<Held>() {
            return problem.0.render(request_id);
        }
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return response;
        }
        let detail = status.canonical_reason().unwrap_or("the request failed");
        let problem = Self::new(ProblemKind::of_status(status), detail.to_lowercase());
        let mut rendered = problem.render(request_id);
        *rendered.status_mut() = status;
        if let Some(allow) = response.headers_mut().remove(ALLOW) {
            rendered.headers_mut().insert(ALLOW, allow);
        }
        rendered
    }
}

/// A problem on its way to the layer that knows the request's id.
#[derive(Clone, Debug)]
struct Held(std::sync::Arc<Problem>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response
            .extensions_mut()
            .insert(Held(std::sync::Arc::new(self)));
        response
    }
}

impl From<AuthenticationError> for Problem {
    fn from(error: AuthenticationError) -> Self {
        if error.is_unavailable() {
            return Self::unavailable("authenticate", &error);
        }
        let challenge = HeaderValue::from_static(error.challenge());
        Self::new(ProblemKind::Unauthenticated, error.to_string()).with(WWW_AUTHENTICATE, challenge)
    }
}

impl From<MissingScope> for Problem {
    fn from(error: MissingScope) -> Self {
        let problem = Self::new(ProblemKind::MissingScope, error.to_string());
        match HeaderValue::from_str(&error.challenge()) {
            Ok(challenge) => problem.with(WWW_AUTHENTICATE, challenge),
            Err(_) => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The kinds in a row: a new one does not compile until it has its place.
    fn next(kind: ProblemKind) -> Option<ProblemKind> {
        use ProblemKind as Kind;
        Some(match kind {
            Kind::InvalidQuery => Kind::InvalidCursor,
            Kind::InvalidCursor => Kind::InvalidBody,
            Kind::InvalidBody => Kind::Unauthenticated,
            Kind::Unauthenticated => Kind::MissingScope,
            Kind::MissingScope => Kind::NotFound,
            Kind::NotFound => Kind::NoSuchRoute,
            Kind::NoSuchRoute => Kind::NotRecordedYet,
            Kind::NotRecordedYet => Kind::Expired,
            Kind::Expired => Kind::MethodNotAllowed,
            Kind::MethodNotAllowed => Kind::NameTaken,
            Kind::NameTaken => Kind::NotRunning,
            Kind::NotRunning => Kind::NotRedrivable,
            Kind::NotRedrivable => Kind::NothingWaits,
            Kind::NothingWaits => Kind::AlreadyDecided,
            Kind::AlreadyDecided => Kind::TokenExpired,
            Kind::TokenExpired => Kind::BodyTooLarge,
            Kind::BodyTooLarge => Kind::WrongMediaType,
            Kind::WrongMediaType => Kind::Refused,
            Kind::Refused => Kind::Internal,
            Kind::Internal => Kind::Unavailable,
            Kind::Unavailable => return None,
        })
    }

    #[test]
    fn each_kind_has_its_page_and_each_page_its_kind() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems");
        let kinds = std::iter::successors(Some(ProblemKind::InvalidQuery), |kind| next(*kind));
        let mut expected = BTreeSet::new();
        for kind in kinds {
            let (status, slug, title) = kind.entry();
            let page = std::fs::read_to_string(folder.join(format!("{slug}.md")));
            let page = page.unwrap_or_else(|error| panic!("docs/problems/{slug}.md: {error}"));
            let heading = format!("# {title}\n\nStatus {}. ", status.as_u16());
            assert!(page.starts_with(&heading), "{slug}.md: {heading}");
            assert!(page.contains("\n## What to do\n"), "{slug}.md");
            expected.insert(format!("{slug}.md"));
        }
        let found = std::fs::read_dir(folder).unwrap();
        let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(found.collect::<BTreeSet<_>>(), expected);
    }
}
