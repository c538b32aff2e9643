//! The request of a check.
//!
//! Checks say who asks: `User-Agent` and `X-Hyperverge-Check`. A monitor may
//! override either, or drop it with an empty value.

use super::redirect::Hop;
use crate::probe::CheckId;
use ::http::header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use ::http::{HeaderMap, Request};
use bytes::Bytes;
use http_body_util::Full;
use hyperverge_protocol::monitor::HttpOptions;
use std::collections::BTreeMap;

const CHECK: HeaderName = HeaderName::from_static("x-hyperverge-check");

/// What the requests of a monitor share.
#[derive(Debug)]
pub(super) struct Template {
    /// Headers for the target's own origin.
    own: HeaderMap,
    /// Headers for any other origin: none that the monitor set, since those may be secrets.
    foreign: HeaderMap,
    /// Whether `X-Hyperverge-Check` is ours to fill in: for the own origin, for others.
    check: (bool, bool),
    pub(super) body: Bytes,
}

impl Template {
    pub(super) fn new(options: &HttpOptions, user_agent: &HeaderValue) -> Self {
        let mut own = HeaderMap::new();
        own.insert(CONNECTION, HeaderValue::from_static("close"));
        own.insert(ACCEPT, HeaderValue::from_static("*/*"));
        own.insert(USER_AGENT, user_agent.clone());
        let mut foreign = own.clone();
        let mut check = (true, true);
        for (name, value) in lawful(&options.headers) {
            let dropped = value.is_empty();
            if name == CHECK {
                check = (false, !dropped);
            }
            if dropped {
                own.remove(&name);
                foreign.remove(&name);
            } else {
                own.insert(name, value);
            }
        }
        let body = options.body.clone().map_or_else(Bytes::new, Bytes::from);
        Self { own, foreign, check, body }
    }

    pub(super) fn request(&self, hop: &Hop, check: &CheckId) -> Request<Full<Bytes>> {
        let (shared, ours) =
            if hop.foreign { (&self.foreign, self.check.1) } else { (&self.own, self.check.0) };
        let mut headers = shared.clone();
        headers.insert(HOST, hop.target.host_header.clone());
        if ours && let Some(value) = check_value(check) {
            headers.insert(CHECK, value);
        }
        let body = if hop.with_body { self.body.clone() } else { Bytes::new() };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = hop.target.uri.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// `MonitorSpec::check` refused every other header already.
fn lawful(headers: &BTreeMap<String, String>) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    })
}

fn check_value(check: &CheckId) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{}/{}/{}", check.monitor_name, check.region, check.slot)).ok()
}
