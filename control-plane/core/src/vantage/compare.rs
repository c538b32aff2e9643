//! Every agent's looks beside those of the others.

use super::{ANSWER_MS, FRESH_MS, Input, Look, SUDDEN_MS, UNRELATED, Watch};
use std::collections::{BTreeMap, BTreeSet};

/// One look beside the others' at the same target.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) watch: &'a Watch,
    pub(super) look: &'a Look,
    /// Whether a trusted other looks there too.
    compared: bool,
    /// Whether one of them has seen how it is: for a failure, since that began.
    witnessed: bool,
    pub(super) contradicted: bool,
}

/// Another's look at the same target, and whether that agent is trusted.
type Other<'a> = (&'a Look, bool);

impl<'a> Seen<'a> {
    /// `look` beside those of `others`.
    fn new(watch: &'a Watch, look: &'a Look, others: &[Other<'_>], now: i64) -> Self {
        let count = |what: Says| {
            let says = others.iter().map(|other| says(watch, look, *other, now));
            says.filter(|said| *said == what).count()
        };
        let (failing, well) = (count(Says::Fails), count(Says::Well));
        // Those who fail it are as many as its policy asks for. A quorum of one would let
        // every agent speak for itself.
        let needed = watch.needed as usize;
        let is_quorum = needed > 1 && failing + 1 >= needed;
        let outvoted = well > failing + count(Says::Waits);
        Self {
            watch,
            look,
            compared: others.iter().any(|(_, trusted)| *trusted),
            witnessed: failing + well > 0,
            contradicted: look.failing_since.is_some() && outvoted && !is_quorum,
        }
    }

    /// Whether it speaks against its agent that lost its vote at `lost_at`: a failure that
    /// came with the fault or later, and that nobody else has seen. What failed long before,
    /// because it is blocked for this agent, came with no fault.
    fn is_wrong(&self, lost_at: i64) -> bool {
        let since = self.look.failing_since;
        (self.contradicted || !self.witnessed) && since.is_some_and(|at| at >= lost_at - FRESH_MS)
    }
}

/// What another's look says of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Fails,
    Well,
    /// It may say either when it is there.
    Waits,
    Nothing,
}

fn says(watch: &Watch, look: &Look, (other, trusted): Other<'_>, now: i64) -> Says {
    let Some(began) = look.failing_since else {
        return if trusted { Says::Well } else { Says::Nothing };
    };
    match (other.failing_since, other.well_since) {
        (Some(_), _) if trusted => Says::Fails,
        // Who lost its vote may have lost it because it saw this first: what began there
        // together with this is the same, and what has failed there for long is its own.
        (Some(since), _) if (since - began).abs() <= watch.settles_ms => Says::Fails,
        _ if !trusted => Says::Nothing,
        // It was well before this failed: a look is under way, unless nobody asked for one.
        // Where one region is enough to page, none may take so long to be found at fault.
        _ if other.at < began && watch.needed > 1 && now <= began + watch.settles_ms => Says::Waits,
        _ if other.at < began => Says::Nothing,
        // It became well after the newest look at this: as this may, with the next.
        (_, Some(well)) if well > look.at + ANSWER_MS => Says::Waits,
        _ => Says::Well,
    }
}

/// One agent's looks, the newest first.
#[derive(Debug, Default)]
pub(super) struct Tally<'a>(Vec<Seen<'a>>);

impl<'a> Tally<'a> {
    pub(super) fn compared(&self) -> impl Iterator<Item = &Seen<'a>> + Clone {
        self.0.iter().filter(|seen| seen.compared)
    }

    /// Of the newest looks, however few, nearly all are contradicted.
    fn broke_suddenly(&self, now: i64, apart: Apart) -> bool {
        let mut unrelated = Unrelated::new(apart);
        let mut contradicted = 0;
        let recent = self.compared().take_while(|seen| now - seen.look.at <= SUDDEN_MS);
        let recent = recent.filter(|seen| seen.witnessed);
        recent.enumerate().any(|(index, seen)| {
            let fresh = seen.look.failing_since.is_some_and(|since| now - since <= FRESH_MS);
            if seen.contradicted && fresh {
                contradicted += 1;
                unrelated.add(seen.watch);
            }
            contradicted * 5 >= (index + 1) * 4 && unrelated.count() >= UNRELATED
        })
    }

    /// At least half of everything is contradicted.
    fn fails_widely(&self, apart: Apart) -> bool {
        let contradicted = || self.compared().filter(|seen| seen.contradicted);
        contradicted().count() * 2 >= self.compared().count()
            && unrelated(contradicted().map(|seen| seen.watch), apart) >= UNRELATED
    }
}

/// Every agent's looks, beside those of the trusted.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    pub(super) tallies: BTreeMap<&'a str, Tally<'a>>,
    pub(super) apart: Apart,
    /// Where nobody is trusted, all are heard.
    heard: BTreeSet<&'a str>,
    now: i64,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(input: &'a Input, trusted: &BTreeSet<&'a str>, now: i64) -> Self {
        let mut tallies: BTreeMap<&str, Tally<'_>> = BTreeMap::new();
        let heard = match trusted.is_empty() {
            true => input.agents.iter().map(|agent| agent.id.as_str()).collect(),
            false => trusted.clone(),
        };
        for watch in &input.watches {
            for look in &watch.seats {
                let others = watch.seats.iter().filter(|other| other.agent != look.agent);
                let others = others.map(|other| (other, heard.contains(other.agent.as_str())));
                let seen = Seen::new(watch, look, &others.collect::<Vec<_>>(), now);
                tallies.entry(&look.agent).or_default().0.push(seen);
            }
        }
        for tally in tallies.values_mut() {
            tally.0.sort_by_key(|seen| std::cmp::Reverse(seen.look.at));
        }
        Self { tallies, apart: Apart::of(input), heard, now }
    }

    pub(super) fn is_faulty(&self, agent: &str) -> bool {
        let Some(tally) = self.tallies.get(agent) else { return false };
        let fails = tally.broke_suddenly(self.now, self.apart) || tally.fails_widely(self.apart);
        fails && self.others_are_well(agent)
    }

    /// Whether what the other agents looked at just now is well for the most part.
    fn others_are_well(&self, agent: &str) -> bool {
        let others =
            self.tallies.iter().filter(|(id, _)| **id != agent && self.heard.contains(*id));
        let looks = others.flat_map(|(_, tally)| &tally.0).map(|seen| seen.look);
        let recent = looks.filter(|look| self.now - look.at <= SUDDEN_MS);
        let (all, failing) = recent.fold((0, 0), |(all, failing), look| {
            (all + 1, failing + usize::from(look.failing_since.is_some()))
        });
        failing * 2 <= all
    }

    /// Whether what it looked at since it lost its vote says that it sees well again.
    pub(super) fn is_well(&self, agent: &str, lost_at: i64) -> bool {
        let Some(tally) = self.tallies.get(agent) else { return false };
        let newer = |seen: &&Seen<'_>| seen.look.at > lost_at;
        let (all, seen, wrong) = match tally.compared().count() {
            // Nobody to compare with: its own word, all of it.
            0 => {
                let newer = tally.0.iter().filter(newer);
                let wrong = newer.clone().filter(|seen| seen.look.failing_since.is_some());
                (tally.0.len(), newer.count(), wrong.count())
            }
            compared => {
                let newer = tally.compared().filter(newer);
                let wrong = newer.clone().filter(|seen| seen.is_wrong(lost_at));
                (compared, newer.count(), wrong.count())
            }
        };
        let enough = seen >= UNRELATED.min(all) && seen > 0 && wrong * 4 <= seen;
        enough && !tally.broke_suddenly(self.now, self.apart) && !tally.fails_widely(self.apart)
    }
}

/// What targets that have nothing to do with each other differ in, beside their network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apart {
    /// Their owners' domains. A target whose network is not known is in one of its own.
    Sites,
    /// Their names: all that an organisation watches is of one or two sites. Networks
    /// then have to be known, for a name alone says little there.
    Hosts,
}

impl Apart {
    fn of(input: &Input) -> Self {
        let sites: BTreeSet<&str> = input.watches.iter().map(|watch| site(&watch.host)).collect();
        if sites.len() < UNRELATED { Self::Hosts } else { Self::Sites }
    }
}

/// Targets, as far as they have nothing in common.
struct Unrelated<'a> {
    apart: Apart,
    names: BTreeSet<&'a str>,
    networks: BTreeSet<&'a str>,
}

impl<'a> Unrelated<'a> {
    fn new(apart: Apart) -> Self {
        Self { apart, names: BTreeSet::new(), networks: BTreeSet::new() }
    }

    fn add(&mut self, watch: &'a Watch) {
        let (name, network) = match (self.apart, watch.network.as_deref()) {
            (Apart::Sites, network) => (site(&watch.host), network.unwrap_or(&watch.host)),
            (Apart::Hosts, Some(network)) => (watch.host.as_str(), network),
            (Apart::Hosts, None) => return,
        };
        self.names.insert(name);
        self.networks.insert(network);
    }

    fn count(&self) -> usize {
        self.names.len().min(self.networks.len())
    }
}

/// How many of these have nothing in common.
pub(super) fn unrelated<'a>(watches: impl Iterator<Item = &'a Watch>, apart: Apart) -> usize {
    let mut unrelated = Unrelated::new(apart);
    watches.for_each(|watch| unrelated.add(watch));
    unrelated.count()
}

/// The domain that somebody registered for a name (`shop.co.uk` of `www.shop.co.uk`); a
/// name or address without one is a site of its own.
fn site(host: &str) -> &str {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host;
    }
    psl::domain_str(host).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_what_somebody_registered_or_an_address() {
        assert_eq!(site("api.shop.example"), "shop.example");
        assert_eq!(site("shop.example"), "shop.example");
        assert_eq!(site("www.shop.co.uk"), "shop.co.uk");
        assert_ne!(site("one.co.uk"), site("two.co.uk"));
        assert_ne!(site("one.github.io"), site("two.github.io"));
        assert_eq!(site("localhost"), "localhost");
        assert_eq!(site("192.0.2.7"), "192.0.2.7");
    }
}
