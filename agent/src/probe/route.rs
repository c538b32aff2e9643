//! Section `network`: from a destination to the addresses that may be used.
//!
//! Every kind comes through here, over TCP by way of [`super::dial`], over
//! anything else by asking [`Route::addresses`] itself. All that a name resolves
//! to is judged before a family is chosen: a name that mixes public and internal
//! addresses is refused, whichever of them a monitor would have used.

use super::ProbeContext;
use super::deadline::{Deadline, Phase};
use super::dial::{add, since};
use super::failure::Failure;
use super::{lookup, own_servers};
use crate::clock;
use hyperverge_protocol::egress::{AddressRule, Destination};
use hyperverge_protocol::monitor::{Family, NetworkOptions};
use hyperverge_protocol::outcome::{Observation, Reason};
use std::borrow::Cow;
use std::net::IpAddr;

/// How a host is reached: which family, and which addresses instead of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    family: Family,
    addresses: Vec<IpAddr>,
}

impl Route {
    /// The way to a monitor's own target.
    pub fn new(options: &NetworkOptions) -> Self {
        Self { family: options.family, addresses: options.addresses.clone() }
    }

    /// The way to any other host, such as a proxy or where a redirect leads: it
    /// is looked up whatever addresses the target was given.
    pub fn elsewhere(&self) -> Self {
        Self { family: self.family, addresses: Vec::new() }
    }

    /// The addresses to try, in order of preference; all are judged, none is left out
    /// but for its family. Never empty. Without them no check comes to its target.
    pub async fn addresses<'a>(
        &'a self,
        context: &ProbeContext,
        destination: &'a Destination,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Cow<'a, [IpAddr]>, Failure> {
        let found = self.find(context, destination, deadline, seen).await;
        found.map_err(Failure::before_target)
    }

    async fn find<'a>(
        &'a self,
        context: &ProbeContext,
        destination: &'a Destination,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Cow<'a, [IpAddr]>, Failure> {
        let (shown, all) = match destination {
            _ if !self.addresses.is_empty() => ("the target", Cow::from(&self.addresses)),
            Destination::Addresses(addresses) => ("the target", Cow::from(addresses)),
            Destination::Name(name) => {
                let began = clock::monotonic();
                let looking =
                    Box::pin(lookup::timed(context.0.resolver.resolve(name, self.family)));
                let looked_up = deadline.within(Phase::Resolve, looking).await;
                let took = since(began);
                // The name servers' time only, where it is known; a failure's is all of it.
                let theirs = match &looked_up {
                    Ok((Ok(_), theirs)) => theirs.map(|theirs| theirs.min(took)),
                    _ => None,
                };
                add(&mut seen.phases.resolve, theirs.unwrap_or(took));
                let looked_up = looked_up.map(|(found, _)| found).map_err(|struck| {
                    let took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
                    match context.0.resolver.is_silent(clock::boot_ms() - took_ms) {
                        true => own_servers::silent(),
                        false => struck,
                    }
                });
                (name.as_str(), Cow::from(looked_up??))
            }
        };
        let looked_up = match destination {
            Destination::Name(name) if self.addresses.is_empty() => Some(name.as_str()),
            _ => None,
        };
        context.0.egress.judge_all(&all).map_err(|rule| refused(looked_up, &rule))?;
        let kept = self.of_family(all);
        if kept.is_empty() {
            let family = match self.family {
                Family::Any => "usable",
                Family::Ipv4 => "IPv4",
                Family::Ipv6 => "IPv6",
            };
            let message = format!("{shown} has no {family} address");
            return Err(Failure::target(Reason::DnsNoAddress, message));
        }
        Ok(kept)
    }

    fn of_family<'a>(&self, addresses: Cow<'a, [IpAddr]>) -> Cow<'a, [IpAddr]> {
        if addresses.iter().all(|address| self.family.allows(*address)) {
            return addresses;
        }
        let kept = addresses.iter().copied().filter(|address| self.family.allows(*address));
        Cow::from(kept.collect::<Vec<_>>())
    }
}

/// What a name of this host's network stands for is this host's affair, and its
/// operators': whoever made the monitor is not told.
fn refused(looked_up: Option<&str>, rule: &AddressRule) -> Failure {
    match looked_up {
        Some(name) => refused_name(name, rule),
        None => Failure::policy(Reason::PolicyAddress, rule.to_string()),
    }
}

/// See [`refused`]: the address is for the log alone.
pub(super) fn refused_name(name: &str, rule: &AddressRule) -> Failure {
    tracing::debug!(name, %rule, "a check is refused by the egress policy");
    let message =
        format!("{name} resolves to an address that this agent's host does not allow ([egress])");
    Failure::policy(Reason::PolicyAddress, message)
}
