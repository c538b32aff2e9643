//! Whom a monitor asks.

use crate::probe::endpoint::server_name;
use crate::probe::failure::Failure;
use crate::probe::http::post::Resource;
use crate::probe::own_servers::{LastAnswer, RESOLV_CONF, Watched};
use hickory_resolver::system_conf::parse_resolv_conf;
use hyperverge_protocol::egress::{Destination, EgressPolicy, parse_endpoint, parse_url};
use hyperverge_protocol::monitor::{DnsOptions, DnsTransport, Family};
use hyperverge_protocol::outcome::Reason;
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::path::Path;
use url::Url;

/// The host's own name servers, in their order.
#[derive(Debug)]
pub struct NameServers {
    servers: Watched<Result<Vec<SocketAddr>, String>>,
    pub(super) last: LastAnswer,
}

impl NameServers {
    /// As the host's configuration (resolv.conf) says. Each answer is noted in `last`.
    pub fn of_host(last: LastAnswer) -> Self {
        Self { servers: Watched::new(Path::new(RESOLV_CONF), configured), last }
    }

    /// These instead.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers: Watched::fixed(Ok(servers), configured), last: LastAnswer::default() }
    }

    /// Those that `family` allows; a host that has none has to be set up first.
    pub(super) fn of_family(&self, family: Family) -> Result<Vec<SocketAddr>, Failure> {
        let fault = |what: &str| {
            let message = format!("the agent's host has no {what}");
            Failure::unsupported(Reason::AgentFault, message)
        };
        let servers = self.servers.current();
        let servers = servers.as_ref().as_ref().map_err(|error| {
            let message = format!("the agent's host has no usable resolver configuration: {error}");
            Failure::unsupported(Reason::AgentFault, message)
        })?;
        if servers.is_empty() {
            return Err(fault("name servers"));
        }
        let kept = servers.iter().copied().filter(|server| family.allows(server.ip()));
        let kept: Vec<SocketAddr> = kept.collect();
        if kept.is_empty() { Err(fault("name servers of this address family")) } else { Ok(kept) }
    }
}

fn configured(file: &Path) -> Result<Vec<SocketAddr>, String> {
    let port = DnsTransport::Udp.port();
    let read = std::fs::read(file).map_err(|error| error.to_string())?;
    let (config, _) = parse_resolv_conf(read).map_err(|error| error.to_string())?;
    let servers = config.name_servers().iter();
    Ok(servers.map(|server| SocketAddr::new(server.ip, port)).collect())
}

/// Who is asked.
#[derive(Debug)]
pub(super) enum Server {
    /// The host's own name servers. They are asked for every name that is
    /// looked up, so they are trusted with this one, wherever they are.
    System,
    Named(Box<Named>),
}

/// A server that the monitor names; held to the egress policy like any target.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) destination: Destination,
    pub(super) port: u16,
    /// Whom its certificate must be for.
    pub(super) server_name: ServerName<'static>,
    /// Host and port, for people.
    pub(super) shown: String,
    /// Where it takes questions over HTTPS; for that transport alone.
    pub(super) resource: Option<Resource>,
}

/// Where a server takes questions over HTTPS unless its URL says so.
const HTTPS_PATH: &str = "/dns-query";

impl Server {
    /// Whom `options` name.
    pub(super) fn new(options: &DnsOptions, egress: &EgressPolicy) -> Result<Self, Failure> {
        let unusable = |rule: &dyn std::fmt::Display| {
            Failure::unsupported(Reason::UnsupportedSpec, format!("dns.server {rule}"))
        };
        let Some(text) = &options.server else { return Ok(Self::System) };
        let (url, port) = if options.transport == DnsTransport::Https && text.contains("://") {
            let url = parse_url(text).map_err(|rule| unusable(&rule))?;
            let port = url.port_or_known_default();
            (url, port)
        } else {
            let endpoint = parse_endpoint(text).map_err(|rule| unusable(&rule))?;
            let port = endpoint.port;
            (https_url(endpoint.url, port).ok_or_else(|| unusable(&"must name a host"))?, port)
        };
        let port = port.unwrap_or(options.transport.port());
        let destination = egress
            .judge_url_host(&url)
            .map_err(|rule| Failure::policy(Reason::PolicyAddress, rule.to_string()))?;
        let host = url.host().ok_or_else(|| unusable(&"must name a host"))?;
        let server_name = server_name(&host).ok_or_else(|| unusable(&"must be a host name"))?;
        let shown = format!("{host}:{port}");
        let resource = match options.transport {
            DnsTransport::Https => Some(Resource::new(url, egress)?),
            _ => None,
        };
        Ok(Self::Named(Box::new(Named { destination, port, server_name, shown, resource })))
    }
}

/// The URL for questions over HTTPS at the host of `url`.
fn https_url(mut url: Url, port: Option<u16>) -> Option<Url> {
    url.set_scheme("https").ok()?;
    url.set_port(port).ok()?;
    url.set_path(HTTPS_PATH);
    Some(url)
}
