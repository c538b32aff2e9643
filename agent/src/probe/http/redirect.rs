//! From a redirect to the next hop.
//!
//! Every hop passes the same rules as the first target. Nothing that the
//! monitor set goes to another origin, not even after a later hop leads back;
//! and what was asked over TLS is never asked again in the clear.

use super::target::Target;
use crate::probe::failure::Failure;
use ::http::header::LOCATION;
use ::http::response::Parts;
use ::http::{Method, StatusCode};
use hyperverge_protocol::egress::{EgressPolicy, parse_url};
use hyperverge_protocol::monitor;
use hyperverge_protocol::outcome::Reason;
use std::borrow::Cow;
use std::sync::Arc;
use url::Url;

/// One request to make.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) target: Arc<Target>,
    pub(super) method: Method,
    pub(super) with_body: bool,
    /// Another origin than the monitor's was on the way.
    pub(super) foreign: bool,
}

impl Hop {
    pub(super) fn first(target: Arc<Target>, method: monitor::Method) -> Self {
        let method = match method {
            monitor::Method::Get => Method::GET,
            monitor::Method::Head => Method::HEAD,
            monitor::Method::Post => Method::POST,
            monitor::Method::Put => Method::PUT,
            monitor::Method::Patch => Method::PATCH,
            monitor::Method::Delete => Method::DELETE,
            monitor::Method::Options => Method::OPTIONS,
        };
        Self { target, method, with_body: true, foreign: false }
    }
}

/// Where a redirect leads, before its host is judged.
#[derive(Debug)]
pub(super) struct Next<'a> {
    from: &'a Hop,
    url: Url,
    method: Method,
    with_body: bool,
    has_body: bool,
}

/// The redirect in `head`, if it is one that says where to go.
pub(super) fn next<'a>(
    from: &'a Hop,
    head: &Parts,
    has_body: bool,
) -> Result<Option<Next<'a>>, Failure> {
    let (method, with_body) = match (head.status, &from.method) {
        (StatusCode::SEE_OTHER, method) if method != Method::HEAD => (Method::GET, false),
        // What every browser does with these two, though RFC 9110 would rather not.
        (StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND, method) if method == Method::POST => {
            (Method::GET, false)
        }
        (
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT,
            method,
        ) => (method.clone(), from.with_body),
        _ => return Ok(None),
    };
    let Some(location) = head.headers.get(LOCATION) else { return Ok(None) };
    let shown = &from.target.shown;
    let invalid = |rule: &str| {
        let message = format!("{shown} redirected to a location that {rule}");
        Failure::target(Reason::RedirectInvalid, message)
    };
    let text = text_of(location.as_bytes());
    let joined = from.target.url.join(&text).map_err(|_| invalid("must be a URL"))?;
    let url = parse_url(joined.as_str()).map_err(|rule| invalid(&rule.to_string()))?;
    if from.target.url.scheme() == "https" && url.scheme() != "https" {
        let message = format!("{shown} redirected from https to http");
        return Err(Failure::target(Reason::RedirectDowngrade, message));
    }
    Ok(Some(Next { from, url, method, with_body, has_body }))
}

/// A location in UTF-8 as it is. One in another charset, Latin-1 as a rule, with
/// its bytes beyond ASCII percent-encoded, as browsers do: whatever the charset, the
/// server finds the bytes again that it sent.
fn text_of(location: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(location) {
        return text.into();
    }
    let mut text = String::with_capacity(location.len());
    for byte in location {
        match byte {
            0..=0x7f => text.push(char::from(*byte)),
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text.into()
}

impl Next<'_> {
    /// The hop to make, once the host's policy allows it.
    pub(super) fn judged(self, egress: &EgressPolicy) -> Result<Hop, Failure> {
        let shown = &self.from.target.shown;
        let invalid = |rule: &str| {
            let message = format!("{shown} redirected to a location that {rule}");
            Failure::target(Reason::RedirectInvalid, message)
        };
        let target = Target::new(self.url, egress).map_err(|error| error.into_failure(invalid))?;
        let foreign = self.from.foreign || !target.same_origin(&self.from.target);
        if foreign && self.with_body && self.has_body {
            return Err(invalid("must be of the same origin while the request carries a body"));
        }
        Ok(Hop {
            target: Arc::new(target),
            method: self.method,
            with_body: self.with_body,
            foreign,
        })
    }
}
