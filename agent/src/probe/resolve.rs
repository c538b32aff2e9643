//! Names to addresses, fresh on every check.
//!
//! Nothing is cached: the time a lookup takes is one of the phases a check
//! measures, and an outage of the target's name servers has to be seen when it
//! happens. For the same reason no two checks share a lookup ([`super::lanes`]). The host's configuration (resolv.conf, and the hosts file with it) is
//! read anew when it was changed; see [`super::own_servers`].

use super::failure::Failure;
use super::lanes::Lanes;
use super::lookup::{self, Provider, Resolver};
use super::own_servers::{self, LastAnswer, RESOLV_CONF, Watched};
use crate::clock;
use futures_util::future::{BoxFuture, join};
use hickory_resolver::Hosts;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hyperverge_protocol::monitor::Family;
use hyperverge_protocol::outcome::{Outcome, Reason};
use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Looks names up. A trait so that tests can answer what no name server would.
pub trait Resolve: std::fmt::Debug + Send + Sync {
    /// All addresses of `name`, in no particular order; never an empty list.
    /// Only `family` has to be asked for, but others may be among the answers.
    fn resolve<'a>(
        &'a self,
        name: &'a str,
        family: Family,
    ) -> BoxFuture<'a, Result<Vec<IpAddr>, Failure>>;

    /// Whether nothing at all was answered lately, so that the silence that a lookup
    /// met which began at `began_ms` (boot clock) says nothing of its name.
    fn is_silent(&self, began_ms: i64) -> bool {
        let _ = began_ms;
        false
    }
}

/// The host's own resolver configuration, by way of hickory.
pub struct SystemResolver {
    resolvers: Watched<Result<Resolvers, String>>,
    last: LastAnswer,
}

/// What lookups are made with: a configuration, and the resolvers that are in use.
struct Resolvers {
    config: ResolverConfig,
    options: ResolverOpts,
    hosts: Arc<Hosts>,
    lanes: Lanes<Families>,
}

/// One for each choice of family: hickory has that in its configuration.
struct Families {
    any: Resolver,
    ipv4: Resolver,
    ipv6: Resolver,
}

impl std::fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemResolver").field("last", &self.last).finish_non_exhaustive()
    }
}

impl SystemResolver {
    /// Reads the host's configuration, and notes each answer in `last`. A host
    /// without one can still check addresses; every name is then `agent_fault`.
    pub fn new(last: LastAnswer) -> Self {
        Self { resolvers: Watched::new(Path::new(RESOLV_CONF), Resolvers::read), last }
    }

    /// Asks the name servers in `config` instead of the host's.
    pub fn with_config(config: ResolverConfig) -> Self {
        let built = Resolvers::new(config, ResolverOpts::default());
        let resolvers = Watched::fixed(built.map_err(|error| error.to_string()), Resolvers::read);
        Self { resolvers, last: LastAnswer::default() }
    }
}

impl Resolvers {
    fn read(file: &Path) -> Result<Self, String> {
        let read = std::fs::read(file).map_err(|error| error.to_string())?;
        parse_resolv_conf(read)
            .and_then(|(config, options)| Self::new(config, options))
            .map_err(|error| error.to_string())
    }

    fn new(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, NetError> {
        options.cache_size = 0;
        let hosts = match options.use_hosts_file {
            ResolveHosts::Never => Hosts::default(),
            ResolveHosts::Always | ResolveHosts::Auto => Hosts::from_system().unwrap_or_default(),
        };
        // Read once for all resolvers that there will be.
        options.use_hosts_file = ResolveHosts::Never;
        let hosts = Arc::new(hosts);
        let lanes = Lanes::new(Families::new(&config, &options, &hosts)?);
        Ok(Self { config, options, hosts, lanes })
    }

    /// See [`Families::look_up`]; shared with no other lookup.
    async fn look_up(&self, name: &str, family: Family) -> Vec<Result<LookupIp, NetError>> {
        let another = || Families::new(&self.config, &self.options, &self.hosts).ok();
        let (families, lane) = self.lanes.enter(name, another);
        if lane.is_none() {
            lookup::doubt();
        }
        families.look_up(name, family).await
    }

    /// Whether the servers answer a question that needs nobody else's: who serves the
    /// root. Whoever wants to know that may be told the same.
    async fn answer_at_all(&self) -> bool {
        match self.lanes.any().any.lookup(Name::root(), RecordType::NS).await {
            Ok(_) => true,
            Err(error) => code(&error) == Some(ResponseCode::NoError),
        }
    }
}

impl Families {
    fn new(
        config: &ResolverConfig,
        options: &ResolverOpts,
        hosts: &Arc<Hosts>,
    ) -> Result<Self, NetError> {
        let of = |strategy| {
            let provider = Provider::default();
            let mut builder = Resolver::builder_with_config(config.clone(), provider);
            *builder.options_mut() = options.clone();
            builder.options_mut().ip_strategy = strategy;
            let mut resolver = builder.build()?;
            resolver.set_hosts(Arc::clone(hosts));
            Ok::<_, NetError>(resolver)
        };
        Ok(Self {
            any: of(LookupIpStrategy::Ipv6AndIpv4)?,
            ipv4: of(LookupIpStrategy::Ipv4Only)?,
            ipv6: of(LookupIpStrategy::Ipv6Only)?,
        })
    }

    /// What was found, or went wrong, in each lookup that `family` takes. Of two that
    /// failed hickory tells only the first, so each is made by itself; but where a
    /// search list applies, both have to end in the same domain, and hickory sees to that.
    async fn look_up(&self, name: &str, family: Family) -> Vec<Result<LookupIp, NetError>> {
        match family {
            Family::Any if name.ends_with('.') => {
                let (ipv6, ipv4) = join(self.ipv6.lookup_ip(name), self.ipv4.lookup_ip(name)).await;
                vec![ipv6, ipv4]
            }
            Family::Any => vec![self.any.lookup_ip(name).await],
            Family::Ipv4 => vec![self.ipv4.lookup_ip(name).await],
            Family::Ipv6 => vec![self.ipv6.lookup_ip(name).await],
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
        family: Family,
    ) -> BoxFuture<'a, Result<Vec<IpAddr>, Failure>> {
        Box::pin(async move {
            let resolvers = self.resolvers.current();
            let resolvers = resolvers.as_ref().as_ref().map_err(|error| {
                let message =
                    format!("the agent's host has no usable resolver configuration: {error}");
                Failure::unsupported(Reason::AgentFault, message)
            })?;
            let began_ms = clock::boot_ms();
            let asked = absolute(name);
            let lookup = resolvers.look_up(&asked, family);
            let found = self.last.accompany(lookup, resolvers.answer_at_all()).await;
            let served = found.iter().any(|found| match found {
                Ok(found) => !is_of_hosts_file(found),
                Err(error) => code(error).is_some_and(serves),
            });
            if served && !is_answered_here(&asked) {
                self.last.note();
            }
            let mut addresses = Vec::new();
            let mut failed = None;
            for found in found {
                match found {
                    Ok(found) => addresses.extend(found.iter()),
                    Err(NetError::Timeout) if self.is_silent(began_ms) => {
                        failed = Some(tell_more(failed, own_servers::silent()));
                    }
                    Err(error) => failed = Some(tell_more(failed, judge(name, family, &error))),
                }
            }
            match failed {
                _ if !addresses.is_empty() => Ok(addresses),
                Some(failed) if is_doubtful(failed.reason) => {
                    let serve = self.last.serve_others(resolvers.answer_at_all()).await;
                    Err(if serve { failed } else { own_servers::useless() })
                }
                Some(failed) => Err(failed),
                None => Err(no_address(name, family)),
            }
        })
    }

    fn is_silent(&self, began_ms: i64) -> bool {
        self.last.is_long_ago(began_ms)
    }
}

/// What the servers themselves may be the cause of, whatever the name.
fn is_doubtful(reason: Reason) -> bool {
    matches!(reason, Reason::DnsServfail | Reason::DnsRefused)
}

/// Whether a server that answers so serves whoever asked.
fn serves(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// The code of an answer without records.
fn code(error: &NetError) -> Option<ResponseCode> {
    match error {
        NetError::Dns(DnsError::ResponseCode(code)) => Some(*code),
        NetError::Dns(DnsError::NoRecordsFound(none)) => Some(none.response_code),
        _ => None,
    }
}

/// A name with a dot is whole as it stands. The host's search list is for single
/// labels: with it, a target whose name is gone would be found under some
/// other domain, and a check of the wrong host would be `ok`.
fn absolute(name: &str) -> Cow<'_, str> {
    if name.contains('.') && !name.ends_with('.') {
        Cow::from(format!("{name}."))
    } else {
        Cow::from(name)
    }
}

/// Whether no server had to be asked. What does not come from one bears the
/// longest time to live there is; an answer that bears it too is merely not counted.
fn is_of_hosts_file(found: &LookupIp) -> bool {
    found.as_lookup().answers().iter().all(|record| record.ttl == MAX_TTL)
}

const MAX_TTL: u32 = 86_400;

/// Whether hickory answers for `name` itself and asks nobody (RFC 6761, RFC 7686).
fn is_answered_here(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    ["localhost", "invalid", "onion"].iter().any(|zone| last.eq_ignore_ascii_case(zone))
}

/// Of two failed lookups of one name, the failure that says more: that a family has no
/// address, or that there is no such name, says nothing where the other
/// family's lookup failed for another reason.
fn tell_more(before: Option<Failure>, now: Failure) -> Failure {
    let weight = |failure: &Failure| match failure.reason {
        Reason::DnsNoAddress => 0,
        Reason::DnsNxdomain => 1,
        _ if failure.outcome == Outcome::Fail => 2,
        _ => 3,
    };
    match before {
        Some(before) if weight(&before) >= weight(&now) => before,
        _ => now,
    }
}

fn no_address(name: &str, family: Family) -> Failure {
    let record = match family {
        Family::Any => "A or AAAA",
        Family::Ipv4 => "A",
        Family::Ipv6 => "AAAA",
    };
    Failure::target(Reason::DnsNoAddress, format!("{name} has no {record} record"))
}

/// What an error of the resolver says about `name`.
fn judge(name: &str, family: Family, error: &NetError) -> Failure {
    if let Some(code) = code(error) {
        return judge_code(name, family, code);
    }
    match error {
        NetError::Timeout => {
            Failure::target(Reason::DnsTimeout, format!("no name server answered for {name}"))
        }
        // Only our own name servers are spoken to, so not reaching them is our trouble.
        NetError::Io(error) => Failure::of_this_host(error).unwrap_or_else(|| unreachable(error)),
        NetError::NoConnections => unreachable(error),
        NetError::Busy => {
            Failure::unsupported(Reason::AgentFault, "the agent's resolver is overloaded")
        }
        error => other(name, error),
    }
}

fn judge_code(name: &str, family: Family, code: ResponseCode) -> Failure {
    match code {
        ResponseCode::NoError => no_address(name, family),
        ResponseCode::NXDomain => {
            Failure::target(Reason::DnsNxdomain, format!("{name} does not exist"))
        }
        ResponseCode::ServFail => Failure::target(
            Reason::DnsServfail,
            format!("the name servers of {name} failed (SERVFAIL)"),
        ),
        ResponseCode::Refused => Failure::target(
            Reason::DnsRefused,
            format!("the name server refused to answer for {name}"),
        ),
        code => other(name, &code),
    }
}

fn unreachable(error: &dyn std::fmt::Display) -> Failure {
    let message = format!("the agent's own name servers cannot be reached: {error}");
    Failure::unsupported(Reason::AgentFault, message)
}

fn other(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::target(Reason::DnsError, format!("{name} could not be resolved: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::net::NoRecords;
    use hickory_resolver::proto::op::Query;

    #[test]
    fn of_two_lookups_the_one_that_says_more_is_told() {
        let of = |reason| Failure::target(reason, "x");
        let ours = Failure::unsupported(Reason::AgentFault, "x");
        let rising =
            [of(Reason::DnsNoAddress), of(Reason::DnsNxdomain), of(Reason::DnsServfail), ours];
        for pair in rising.windows(2) {
            let [less, more] = pair else { panic!("pairs") };
            assert_eq!(tell_more(Some(less.clone()), more.clone()), *more);
            assert_eq!(tell_more(Some(more.clone()), less.clone()), *more);
        }
        let (first, second) = (of(Reason::DnsServfail), of(Reason::DnsTimeout));
        assert_eq!(tell_more(Some(first.clone()), second), first);
    }

    #[test]
    fn some_names_are_never_asked_about() {
        for name in ["a.invalid.", "x.onion", "LOCALHOST", "a.localhost."] {
            assert!(is_answered_here(name), "{name}");
        }
        for name in ["invalid.example.", "a.test.", "onions"] {
            assert!(!is_answered_here(name), "{name}");
        }
    }

    #[test]
    fn each_error_of_the_resolver_has_its_reason() {
        let empty =
            |code| NetError::Dns(DnsError::NoRecordsFound(NoRecords::new(Query::new(), code)));
        let io = |errno: rustix::io::Errno| NetError::Io(Arc::new(errno.into()));
        for (error, outcome, reason) in [
            (empty(ResponseCode::NXDomain), Outcome::Fail, Reason::DnsNxdomain),
            (empty(ResponseCode::NoError), Outcome::Fail, Reason::DnsNoAddress),
            (empty(ResponseCode::ServFail), Outcome::Fail, Reason::DnsServfail),
            (
                DnsError::ResponseCode(ResponseCode::Refused).into(),
                Outcome::Fail,
                Reason::DnsRefused,
            ),
            (DnsError::ResponseCode(ResponseCode::NotImp).into(), Outcome::Fail, Reason::DnsError),
            (NetError::Timeout, Outcome::Fail, Reason::DnsTimeout),
            (NetError::NoConnections, Outcome::Unsupported, Reason::AgentFault),
            (NetError::Busy, Outcome::Unsupported, Reason::AgentFault),
            (io(rustix::io::Errno::MFILE), Outcome::Unsupported, Reason::AgentFault),
            (io(rustix::io::Errno::CONNREFUSED), Outcome::Unsupported, Reason::AgentFault),
        ] {
            let failure = judge("a.example", Family::Any, &error);
            assert_eq!((failure.outcome, failure.reason), (outcome, reason), "{error:?}");
        }
    }
}
