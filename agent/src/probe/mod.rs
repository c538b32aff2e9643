//! Step 3: probes. One check in, one observation out.
//!
//! A probe connects through [`dial`] (that is [`route`], [`resolve`], [`connect`], [`tls`]), so that every
//! one of them is held to the host's egress policy, measures its phases on the
//! monotonic clock and ends at one deadline. It keeps nothing between checks:
//! what can be worked out ahead is, in [`Prepared`], once per assignment.
//!
//! To add a kind: a folder of the kind's name with a type that implements
//! [`Probe`], a variant in [`Prepared`]'s `Plan` and its two arms below, the
//! kind's capability in `hyperverge_protocol::monitor::Kind`, and tests against
//! a server that misbehaves (`tests/probe/`) and one that others wrote
//! (`tests/conformance/`). An error that this host may have caused is never `fail`; see [`failure::Failure`].

pub mod arrival;
pub mod budget;
pub mod certificate;
pub mod connect;
pub mod conversation;
pub mod datagram;
pub mod deadline;
pub mod dial;
pub mod dns;
pub mod endpoint;
pub mod failure;
mod handshake;
pub mod http;
pub mod icmp;
mod lanes;
pub mod limits;
pub mod lookup;
pub mod own_servers;
pub mod quic;
pub mod resolve;
pub mod route;
pub mod starttls;
pub mod tcp;
pub mod tls;
pub mod wire;

use crate::clock::Moment;
use crate::control_time::ControlTime;
use budget::BodyBudget;
use deadline::overrun;
use failure::{Failure, inverted};
use hyperverge_agent_core::secrets::Secrets;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::{Kind, MonitorSpec};
use hyperverge_protocol::outcome::{Observation, Outcome};
use resolve::{Resolve, SystemResolver};
use std::sync::Arc;

/// What an agent's configuration says about probing.
#[derive(Debug)]
pub struct ProbeSettings {
    /// Where this host lets its probes go.
    pub egress: EgressPolicy,
    /// Certificates (PEM) trusted beside the public roots.
    pub ca_pem: Option<Vec<u8>>,
    /// The agent's version, for `User-Agent`.
    pub version: String,
    /// Who looks names up; `None` is the host's own resolver configuration.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Whom checks of kind `dns` ask that name no server; `None` is the host's own name servers.
    pub name_servers: Option<dns::NameServers>,
    /// Bytes that the bodies of all running checks may take together.
    pub bodies: usize,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            egress: EgressPolicy::default(),
            ca_pem: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            resolver: None,
            name_servers: None,
            bodies: limits::BODIES_BYTES,
        }
    }
}

/// Why probing cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProbeSetupError {
    #[error(transparent)]
    Tls(#[from] tls::TlsSetupError),
    #[error("the agent's version must be usable in a header: {0:?}")]
    Version(String),
}

/// What all checks of this process share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProbeContext(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    egress: EgressPolicy,
    resolver: Arc<dyn Resolve>,
    name_servers: dns::NameServers,
    tls: tls::TlsClients,
    time: ControlTime,
    pings: icmp::Sockets,
    quic: quic::QuicEndpoints,
    bodies: BodyBudget,
    user_agent: ::http::HeaderValue,
    plain_headers: Arc<::http::HeaderMap>,
}

impl ProbeContext {
    /// Builds everything that is built once: TLS configurations, resolver, headers.
    pub fn new(settings: ProbeSettings) -> Result<Self, ProbeSetupError> {
        let user_agent = format!("hyperverge-agent/{}", settings.version);
        let user_agent = ::http::HeaderValue::try_from(user_agent)
            .map_err(|_| ProbeSetupError::Version(settings.version))?;
        let last = own_servers::LastAnswer::default();
        let time = ControlTime::default();
        Ok(Self(Arc::new(Shared {
            egress: settings.egress,
            resolver: settings
                .resolver
                .unwrap_or_else(|| Arc::new(SystemResolver::new(last.clone()))),
            name_servers: settings.name_servers.unwrap_or_else(|| dns::NameServers::of_host(last)),
            tls: tls::TlsClients::new(settings.ca_pem.as_deref(), &time)?,
            time,
            pings: icmp::Sockets::default(),
            quic: quic::QuicEndpoints::new(),
            bodies: BodyBudget::new(settings.bodies),
            plain_headers: Arc::new(http::request::plain(&user_agent)),
            user_agent,
        })))
    }

    /// Certificates are judged by control-plane time from now on: the boot clock and
    /// `offset_us` microseconds.
    pub fn set_time(&self, offset_us: i64) {
        self.0.time.set_offset(offset_us);
    }
}

/// Which check this is; shown to the target, so that its operators can find us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckId<'a> {
    /// The monitor's name.
    pub monitor_name: &'a str,
    pub region: &'a str,
    pub slot: i64,
}

/// How one kind of monitor is checked.
pub trait Probe: Sized {
    /// Works out what does not change from check to check. A refusal becomes
    /// the observation of every check.
    fn prepare(context: &ProbeContext, spec: &MonitorSpec) -> Result<Self, Failure>;

    /// Makes one check. Must end by the monitor's timeout, and must not panic
    /// whatever the target sends.
    fn run(
        &self,
        context: &ProbeContext,
        check: &CheckId<'_>,
    ) -> impl Future<Output = Ended> + Send;
}

/// What one check saw, and what came of it.
#[derive(Debug)]
pub struct Ended {
    /// Its outcome is still to be written in.
    pub seen: Observation,
    pub judged: Result<(), Failure>,
}

/// A monitor made ready for checks by this process.
#[derive(Debug)]
pub struct Prepared {
    plan: Result<Plan, Failure>,
    invert: bool,
    timeout: Span,
    secrets: Secrets,
}

#[derive(Debug)]
enum Plan {
    Http(Box<http::HttpProbe>),
    Icmp(Box<icmp::IcmpProbe>),
    Dns(Box<dns::DnsProbe>),
    Tcp(Box<tcp::TcpProbe>),
    Tls(Box<certificate::TlsProbe>),
}

impl Prepared {
    /// Works out what every check of `spec` shares. `spec` keeps the rules of
    /// [`MonitorSpec::check`], as whatever [`MonitorSpec::from_json`] read does. Never
    /// fails: what cannot be checked all the same makes every check say why.
    pub fn new(context: &ProbeContext, spec: &MonitorSpec) -> Self {
        let plan = match spec.kind {
            Kind::Http => http::HttpProbe::prepare(context, spec).map(Box::new).map(Plan::Http),
            Kind::Icmp => icmp::IcmpProbe::prepare(context, spec).map(Box::new).map(Plan::Icmp),
            Kind::Dns => dns::DnsProbe::prepare(context, spec).map(Box::new).map(Plan::Dns),
            Kind::Tcp => tcp::TcpProbe::prepare(context, spec).map(Box::new).map(Plan::Tcp),
            Kind::Tls => certificate::TlsProbe::prepare(context, spec).map(Box::new).map(Plan::Tls),
        };
        Self { plan, invert: spec.invert, timeout: spec.timeout(), secrets: Secrets::new(spec) }
    }

    /// Makes one check. Ends by the monitor's timeout.
    pub async fn run(&self, context: &ProbeContext, check: &CheckId<'_>) -> Observation {
        let began = Moment::now();
        // Boxed each by itself: in one future a ping would take as much room as an exchange of http.
        let Ended { mut seen, judged } = match &self.plan {
            Err(failure) => Ended {
                seen: Observation::bare(Outcome::Ok, None, ""),
                judged: Err(failure.clone()),
            },
            Ok(Plan::Http(probe)) => Box::pin(probe.run(context, check)).await,
            Ok(Plan::Icmp(probe)) => Box::pin(probe.run(context, check)).await,
            Ok(Plan::Dns(probe)) => Box::pin(probe.run(context, check)).await,
            Ok(Plan::Tcp(probe)) => Box::pin(probe.run(context, check)).await,
            Ok(Plan::Tls(probe)) => Box::pin(probe.run(context, check)).await,
        };
        let judged = match overrun(&seen.phases, self.timeout) {
            Some(failure) if went_through(&judged) => Err(failure),
            _ => judged,
        };
        let judged = failure::acquit_if_slept(judged, began.slept_until(&Moment::now()));
        match if self.invert { inverted(judged) } else { judged } {
            Ok(()) => seen.sample = Vec::new(),
            Err(failure) => failure.end(&mut seen),
        }
        self.secrets.hide(&mut seen);
        seen
    }
}

/// What this version can check on this host, for `Hello`: sorted. Asked anew for
/// each session, since a right may be granted while the agent runs.
pub fn capabilities() -> Vec<String> {
    let able = Kind::ALL.into_iter().filter(|kind| is_able(*kind));
    let mut words: Vec<String> = able.map(|kind| kind.capability().to_owned()).collect();
    words.sort_unstable();
    words
}

fn is_able(kind: Kind) -> bool {
    match kind {
        Kind::Http | Kind::Tcp | Kind::Dns | Kind::Tls => true,
        Kind::Icmp => icmp::right_to_ping().is_ok(),
    }
}

/// Prepares and makes one check. Who checks again and again keeps a [`Prepared`].
pub async fn run(context: &ProbeContext, spec: &MonitorSpec, check: &CheckId<'_>) -> Observation {
    Prepared::new(context, spec).run(context, check).await
}

/// Whether the target did all that is needed, if too late or nearly too late.
fn went_through(judged: &Result<(), Failure>) -> bool {
    judged.as_ref().map_or_else(|failure| failure.outcome == Outcome::Degraded, |()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What glibc keeps at hand for a thread (tcache); above, each allocation is a search.
    const AT_HAND_BYTES: usize = 1_032;

    #[test]
    fn a_ping_takes_little_room() {
        let context = ProbeContext::new(ProbeSettings::default()).expect("builds");
        let json = br#"{ "name": "a", "kind": "icmp", "target": "9.9.9.9" }"#;
        let spec = MonitorSpec::from_json(json).expect("valid");
        let probe = icmp::IcmpProbe::prepare(&context, &spec);
        let check = CheckId { monitor_name: "a", region: "b", slot: 1 };
        let bytes = probe.as_ref().map(|probe| size_of_val(&probe.run(&context, &check)));
        assert!(bytes.expect("allowed") < AT_HAND_BYTES, "a ping's future has grown");
    }
}
