//! A target that is `host:port`, taken apart once.

use super::failure::Failure;
use hyperverge_protocol::egress::{Destination, EgressPolicy, parse_endpoint};
use hyperverge_protocol::outcome::Reason;
use rustls_pki_types::ServerName;
use url::Host;

/// Where to connect to, and by which name.
#[derive(Debug)]
pub struct Target {
    pub destination: Destination,
    pub port: u16,
    /// The name that a certificate must be for; `None` where TLS knows no such name.
    pub server_name: Option<ServerName<'static>>,
    /// Host and port for people.
    pub shown: String,
}

impl Target {
    /// Reads `text`; its host is judged as far as that goes without the network.
    pub fn new(text: &str, egress: &EgressPolicy) -> Result<Self, Failure> {
        let refuse = |rule: &dyn std::fmt::Display| {
            Failure::unsupported(Reason::UnsupportedSpec, format!("target {rule}"))
        };
        let endpoint = parse_endpoint(text).map_err(|rule| refuse(&rule))?;
        let port = endpoint.port.ok_or_else(|| refuse(&"must name a port"))?;
        let host = endpoint.url.host().ok_or_else(|| refuse(&"must name a host"))?;
        let destination = egress
            .judge_url_host(&endpoint.url)
            .map_err(|rule| Failure::policy(Reason::PolicyAddress, rule.to_string()))?;
        Ok(Self {
            destination,
            port,
            server_name: server_name(&host),
            shown: format!("{host}:{port}"),
        })
    }
}

/// What the certificate of `host` must be for. The root's dot is not part of a name in TLS.
pub(super) fn server_name(host: &Host<&str>) -> Option<ServerName<'static>> {
    match host {
        Host::Ipv4(address) => Some(ServerName::IpAddress((*address).into())),
        Host::Ipv6(address) => Some(ServerName::IpAddress((*address).into())),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name.to_owned()).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_shown_by_host_and_port() {
        let egress = EgressPolicy::default();
        for (text, shown, name) in [
            ("Db.Example.com:5432", "db.example.com:5432", Some("db.example.com")),
            ("db.example.com.:5432", "db.example.com.:5432", Some("db.example.com")),
            ("[2606:4700::1111]:443", "[2606:4700::1111]:443", Some("2606:4700::1111")),
            (
                "under_score.example.com:1",
                "under_score.example.com:1",
                Some("under_score.example.com"),
            ),
        ] {
            let target = Target::new(text, &egress).expect(text);
            assert_eq!(target.shown, shown);
            assert_eq!(target.server_name, name.and_then(|n| ServerName::try_from(n).ok()));
        }
    }

    #[test]
    fn a_refused_address_is_policy() {
        let refused = Target::new("127.0.0.1:1", &EgressPolicy::default()).expect_err("loopback");
        assert_eq!(refused.reason, Reason::PolicyAddress);
        let portless = Target::new("example.com", &EgressPolicy::default()).expect_err("no port");
        assert_eq!(portless.reason, Reason::UnsupportedSpec);
    }
}
