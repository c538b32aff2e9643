//! The request of a check.
//!
//! Checks say who asks: `User-Agent` and `X-Hyperverge-Check`. A monitor may
//! override either, or drop it with an empty value.

use super::cookies::Jar;
use super::decode::ACCEPTED;
use super::proxy::{Proxy, basic};
use super::redirect::Hop;
use crate::probe::CheckId;
use ::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName,
    HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use ::http::{HeaderMap, Method, Request};
use bytes::Bytes;
use hyperverge_protocol::monitor::{Auth, HttpOptions};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Methods of which a server expects a body, if only an empty one.
const AWAITING_BODY: [Method; 3] = [Method::POST, Method::PUT, Method::PATCH];
const CHECK: HeaderName = HeaderName::from_static("x-hyperverge-check");

/// The headers of a monitor that sets none.
pub(in crate::probe) fn plain(user_agent: &HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, user_agent.clone());
    headers
}

/// What the requests of a monitor share.
#[derive(Debug)]
pub(super) struct Template {
    /// Headers for the target's own origin; most monitors share the plain ones.
    own: Arc<HeaderMap>,
    /// Headers for any other origin: none that the monitor set, since those may be
    /// secrets. Absent where they are the same: an agent has many monitors.
    foreign: Option<HeaderMap>,
    /// Whether `X-Hyperverge-Check` is ours to fill in: for the own origin, for others.
    check: (bool, bool),
    pub(super) body: Bytes,
}

impl Template {
    /// `plain` is what [`plain`] makes.
    pub(super) fn new(options: &HttpOptions, plain: &Arc<HeaderMap>) -> Self {
        let mut own = HeaderMap::clone(plain);
        if options.compression {
            own.insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
        }
        let mut foreign = own.clone();
        if let Some(value) = options.auth.as_ref().and_then(authorization) {
            own.insert(AUTHORIZATION, value);
        }
        let mut check = (options.identify, options.identify);
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
        let foreign = (foreign != own).then_some(foreign);
        let own = if own == **plain { Arc::clone(plain) } else { Arc::new(own) };
        Self { own, foreign, check, body }
    }

    /// As HTTP/1.1 wants it.
    pub(super) fn request(
        &self,
        hop: &Hop,
        check: &CheckId<'_>,
        jar: &Jar,
        proxy: Option<&Proxy>,
    ) -> Request<Bytes> {
        let (shared, ours) = if hop.foreign {
            (self.foreign.as_ref().unwrap_or(&self.own), self.check.1)
        } else {
            (&*self.own, self.check.0)
        };
        let mut headers = HeaderMap::clone(shared);
        headers.insert(HOST, hop.target.host_header.clone());
        if ours && let Some(value) = check_value(check) {
            headers.insert(CHECK, value);
        }
        if let Some(cookies) = jar.header(&hop.target.url, headers.get(COOKIE)) {
            headers.insert(COOKIE, cookies);
        }
        let mut uri = hop.target.uri.clone();
        if let Some(proxy) = proxy.filter(|proxy| proxy.reads(&hop.target)) {
            uri = hop.target.absolute_uri();
            if let Some(value) = proxy.authorization() {
                headers.insert(PROXY_AUTHORIZATION, value.clone());
            }
        }
        let body = if hop.with_body { self.body.clone() } else { Bytes::new() };
        // RFC 9110, section 8.6. HTTP/2 and HTTP/3 can do without, but many servers cannot.
        let has_body = !body.is_empty() || AWAITING_BODY.contains(&hop.method);
        if has_body {
            headers.insert(CONTENT_LENGTH, body.len().into());
        }
        let mut request = Request::new(body);
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }
}

fn authorization(auth: &Auth) -> Option<HeaderValue> {
    let mut value = match auth {
        Auth::Basic(pair) => basic(&pair.username, &pair.password)?,
        Auth::Bearer(token) => HeaderValue::try_from(format!("Bearer {token}")).ok()?,
    };
    value.set_sensitive(true);
    Some(value)
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

fn check_value(check: &CheckId<'_>) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{}/{}/{}", check.monitor_name, check.region, check.slot)).ok()
}
