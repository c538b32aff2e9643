//! A URL taken apart, once, into what a connection and a request need.

use crate::probe::endpoint::server_name;
use crate::probe::failure::Failure;
use ::http::header::{CONNECTION, HOST};
use ::http::uri::{Authority, PathAndQuery, Scheme};
use ::http::{HeaderValue, Request, Uri};
use hyperverge_protocol::egress::{AddressRule, Destination, EgressPolicy};
use hyperverge_protocol::outcome::Reason;
use rustls_pki_types::ServerName;
use url::Url;

/// One hop's target.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) port: u16,
    pub(super) destination: Destination,
    /// The name to verify; `Some` exactly when the target speaks TLS.
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) host_header: HeaderValue,
    /// Path and query, as the request line wants it.
    pub(super) uri: Uri,
    /// Host and port for people. Nothing else of the URL is ever shown: paths
    /// and queries hold tokens.
    pub(super) shown: String,
}

/// Why a URL is no target.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TargetError {
    Refused(AddressRule),
    Unusable(&'static str),
}

impl TargetError {
    /// The failure; `unusable` makes it where the URL itself is at fault.
    pub(super) fn into_failure(self, unusable: impl FnOnce(&str) -> Failure) -> Failure {
        match self {
            Self::Refused(rule) => Failure::policy(Reason::PolicyAddress, rule.to_string()),
            Self::Unusable(rule) => unusable(rule),
        }
    }
}

impl Target {
    /// `url` must have passed `parse_url`. Its host is judged here, as far as
    /// that goes without the network.
    pub(super) fn new(url: Url, egress: &EgressPolicy) -> Result<Self, TargetError> {
        use TargetError::Unusable;
        let destination = egress.judge_url_host(&url).map_err(TargetError::Refused)?;
        let host = url.host().ok_or(Unusable("must name a host"))?;
        let port = url.port_or_known_default().ok_or(Unusable("must have a port"))?;
        let server_name = match url.scheme() {
            "https" => Some(server_name(&host).ok_or(Unusable("must name a host TLS can verify"))?),
            _ => None,
        };
        let shown = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let host_header =
            HeaderValue::try_from(&shown).map_err(|_| Unusable("must name a host for a header"))?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let path = PathAndQuery::try_from(path)
            .map_err(|_| Unusable("must have a path and query that HTTP can carry"))?;
        let uri = Uri::from(path);
        Ok(Self { port, destination, server_name, host_header, uri, shown, url })
    }

    /// Whether this is the same scheme, host and port as `other`.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        self.url.scheme() == other.url.scheme()
            && self.url.host() == other.url.host()
            && self.port == other.port
    }
}

impl Target {
    /// Host and port, the port always.
    pub(super) fn authority(&self) -> String {
        match self.url.host() {
            Some(host) => format!("{host}:{}", self.port),
            None => self.shown.clone(),
        }
    }

    /// The whole URL, as a proxy and HTTP/2 want it.
    pub(super) fn absolute_uri(&self) -> Uri {
        let mut parts = self.uri.clone().into_parts();
        parts.scheme = Some(match self.server_name {
            Some(_) => Scheme::HTTPS,
            None => Scheme::HTTP,
        });
        parts.authority = Authority::try_from(self.shown.as_str()).ok();
        // Both came out of one URL, so they make one again.
        Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone())
    }

    /// A request as HTTP/2 and HTTP/3 want it: the host in the URI, and nothing
    /// about the connection among the headers.
    pub(super) fn absolute<B>(&self, mut request: Request<B>) -> Request<B> {
        *request.uri_mut() = self.absolute_uri();
        request.headers_mut().remove(HOST);
        request.headers_mut().remove(CONNECTION);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperverge_protocol::egress::parse_url;

    fn target(text: &str) -> Target {
        Target::new(parse_url(text).expect(text), &EgressPolicy::default()).expect(text)
    }

    #[test]
    fn what_goes_into_the_request() {
        for (text, host, uri, port) in [
            ("http://Example.com", "example.com", "/", 80),
            ("https://example.com:8443/a%20b?q=`|x#frag", "example.com:8443", "/a%20b?q=`|x", 8443),
            ("https://[2606:4700::1111]/", "[2606:4700::1111]", "/", 443),
            ("http://example.com:80/?", "example.com", "/?", 80),
            ("https://example.com./\"<>{}", "example.com.", "/%22%3C%3E%7B%7D", 443),
        ] {
            let target = target(text);
            assert_eq!(target.host_header, host);
            assert_eq!((target.uri.to_string().as_str(), target.port), (uri, port));
            assert!(target.uri.host().is_none());
        }
        assert_eq!(
            target("https://example.com./").server_name,
            ServerName::try_from("example.com").ok()
        );
        assert_eq!(target("http://example.com/").server_name, None);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = target("https://example.com/a");
        assert!(origin.same_origin(&target("https://EXAMPLE.com:443/b")));
        for other in ["http://example.com/a", "https://example.com:444/a", "https://a.example.com/"]
        {
            assert!(!origin.same_origin(&target(other)), "{other}");
        }
    }
}
