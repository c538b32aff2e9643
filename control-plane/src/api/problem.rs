//! The one place where an error becomes an HTTP answer (RFC 9457).
//!
//! Handlers return a [`Problem`]; what went wrong inside travels along as its
//! source, is logged once with the request's id, and never reaches the client.
//! The body is written by `exchange`, because only there the request's id is
//! known; until then the problem rides in the response's extensions.
//!
//! | status | type (after `urn:hyperverge:problem:`) | the client should |
//! |---|---|---|
//! | 400 | `malformed` | send what the documentation shows |
//! | 401 | `unauthenticated` | sign in, or refresh |
//! | 403 | `forbidden` | ask somebody with the role |
//! | 404 | `not-found` | look again; another organisation's things are not found either |
//! | 405 | `method-not-allowed` | use a method from `Allow` |
//! | 409 | `conflict` | read the present state and decide |
//! | 412 | `precondition-failed` | read again, change, and send with the new `ETag` |
//! | 413 | `too-large` | send less |
//! | 415 | `unsupported-media-type` | send JSON and say so |
//! | 422 | `invalid` | correct the fields in `errors` |
//! | 429 | `too-many-requests` | wait `Retry-After` seconds |
//! | 500 | `internal` | report it with the `instance` |
//! | 503 | `unavailable` | try again after `Retry-After` |

use crate::store::StoreError;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use hyperverge_protocol::problem::FieldProblem;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// An error with its answer.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldProblem>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The body of every answer that is an error (RFC 9457, `application/problem+json`).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:hyperverge:problem:` and a word that says what sort of problem this is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem of this type.
    pub title: &'static str,
    /// The HTTP status, again.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The request's id, as in `X-Request-Id`.
    pub instance: String,
    /// The fields at fault and the rule each broke.
    pub errors: Vec<FieldProblem>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), retry_after: None, source: None }
    }

    /// 400: not the form that was asked for.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 422: fields that break rules.
    pub fn invalid(errors: Vec<FieldProblem>) -> Self {
        let detail = match errors.first() {
            Some(first) if errors.len() == 1 => first.to_string().trim().to_owned(),
            Some(first) => format!("{} (and {} more)", first.to_string().trim(), errors.len() - 1),
            None => "the request is not valid".to_owned(),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// 422: one field that breaks a rule.
    pub fn field(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::invalid(vec![FieldProblem::new(field, rule)])
    }

    /// 401.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: there is no such `thing`, at least not in the caller's organisation.
    pub fn not_found(thing: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no such {thing}"))
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 409 that names the field whose value is taken.
    pub fn taken(field: &str, rule: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, ..Self::field(field, rule) }
    }

    /// 412.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 413.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 429.
    pub fn too_many_requests(wait: Duration) -> Self {
        let detail = "too many attempts; wait and try again";
        Self { retry_after: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 503: it may work in a moment.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let retry_after = Some(Duration::from_secs(1));
        Self { retry_after, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// 500: `source` is logged, the client learns nothing of it.
    pub fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        let detail = "something failed on our side; it is logged under this instance";
        let source: Arc<dyn std::error::Error + Send + Sync> = Arc::new(source);
        Self { source: Some(source), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail) }
    }

    /// The problem behind a bare status that a layer or the router answered with.
    pub(super) fn from_status(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::NOT_FOUND => "there is nothing at this path",
            StatusCode::METHOD_NOT_ALLOWED => "this path does not take this method; see Allow",
            StatusCode::SERVICE_UNAVAILABLE => "the request took too long and was given up",
            StatusCode::INTERNAL_SERVER_ERROR => {
                "something failed on our side; it is logged under this instance"
            }
            _ => status.canonical_reason().unwrap_or("the request was refused"),
        };
        Self::new(status, detail)
    }

    /// What went wrong inside, with its causes, for the log.
    pub(super) fn causes(&self) -> Option<String> {
        let mut next: Option<&dyn std::error::Error> = Some(self.source.as_deref()?);
        let mut causes = Vec::new();
        while let Some(error) = next {
            causes.push(error.to_string());
            next = error.source();
        }
        Some(causes.join(": "))
    }

    /// The answer's body.
    pub(super) fn body(&self, instance: &str) -> ProblemBody {
        let (kind, title) = describe(self.status);
        ProblemBody {
            kind: format!("urn:hyperverge:problem:{kind}"),
            title,
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            errors: self.errors.clone(),
        }
    }
}

fn describe(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        401 => ("unauthenticated", "You are not signed in"),
        403 => ("forbidden", "You may not do this"),
        404 => ("not-found", "Not found"),
        405 => ("method-not-allowed", "Method not allowed"),
        409 => ("conflict", "It conflicts with what is there"),
        412 => ("precondition-failed", "It has changed since you read it"),
        413 => ("too-large", "The request is too large"),
        415 => ("unsupported-media-type", "Unsupported media type"),
        422 => ("invalid", "The request breaks a rule"),
        429 => ("too-many-requests", "Too many requests"),
        503 => ("unavailable", "Unavailable for the moment"),
        500..=599 => ("internal", "Internal error"),
        _ => ("malformed", "The request cannot be understood"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1_000).max(1).to_string();
            if let Ok(value) = HeaderValue::from_str(&seconds) {
                headers.insert(RETRY_AFTER, value);
            }
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            let busy = Self::unavailable("the change met another one; try again");
            return Self { source: Some(Arc::new(error)), ..busy };
        }
        Self::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_inside_is_logged_and_not_told() {
        let inner = std::io::Error::other("password=hunter2");
        let problem = Problem::internal(inner);
        assert!(problem.causes().expect("a cause").contains("hunter2"));
        let body = serde_json::to_string(&problem.body("r-1")).expect("serialises");
        assert!(!body.contains("hunter2") && body.contains("r-1"), "{body}");
    }

    #[test]
    fn a_wait_is_never_zero_seconds() {
        let response = Problem::too_many_requests(Duration::from_millis(3)).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }
}
