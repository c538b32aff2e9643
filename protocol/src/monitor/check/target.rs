//! The target, as its kind wants it.

use super::Problems;
use crate::egress::{self, AddressRule};
use crate::limits;
use crate::monitor::{Kind, MonitorSpec};
use url::Url;

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    if spec.target.len() > limits::TARGET_BYTES {
        return found.unless(false, "target", "must be at most 2048 bytes");
    }
    match spec.kind {
        Kind::Http => match egress::parse_url(&spec.target) {
            Err(rule) => found.unless(false, "target", rule.to_string()),
            Ok(url) => {
                judge_host(&url, "target", found);
                if url.scheme() == "https" {
                    judge_tls_host(&url, "target", found);
                }
            }
        },
        Kind::Tcp | Kind::Tls => endpoint(spec, true, found),
        Kind::Icmp => endpoint(spec, false, found),
        // A name to ask about is not connected to.
        Kind::Dns => {}
    }
}

fn endpoint(spec: &MonitorSpec, wants_port: bool, found: &mut Problems) {
    match egress::parse_endpoint(&spec.target) {
        Err(rule) => found.unless(false, "target", rule.to_string()),
        Ok(endpoint) if wants_port => {
            found.unless(
                endpoint.port.is_some(),
                "target",
                "must name a port, such as db.example.com:5432",
            );
            judge_host(&endpoint.url, "target", found);
            if super::tls::speaks_tls(spec) {
                judge_tls_host(&endpoint.url, "target", found);
            }
        }
        Ok(endpoint) => {
            found.unless(endpoint.port.is_none(), "target", "must be a host without a port");
            judge_host(&endpoint.url, "target", found);
        }
    }
}

/// What speaks TLS is verified by its host.
pub(super) fn judge_tls_host(url: &Url, field: &str, found: &mut Problems) {
    found.unless(
        url.host().is_some_and(|host| egress::is_tls_host(&host)),
        field,
        "must name a host that a certificate can be for: letters, digits, underscores and inner hyphens between dots",
    );
}

/// Private addresses are each host's own affair; metadata is nobody's.
pub(super) fn judge_host(url: &Url, field: &str, found: &mut Problems) {
    let reachable = match egress::EgressPolicy::default().judge_url_host(url) {
        Err(AddressRule::Metadata(_) | AddressRule::MetadataName(_)) => false,
        Err(AddressRule::NotPublic(_)) | Ok(_) => true,
    };
    found.unless(reachable, field, "must not be a cloud metadata service");
}
