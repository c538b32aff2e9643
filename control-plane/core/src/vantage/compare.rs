//! Every agent's looks beside those of the others.

use super::{FRESH_MS, Input, Look, SUDDEN_MS, UNRELATED, Watch};
use std::collections::{BTreeMap, BTreeSet};

/// One look beside the others' at the same target.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) watch: &'a Watch,
    pub(super) look: &'a Look,
    /// Whether a trusted other looks there too.
    compared: bool,
    pub(super) contradicted: bool,
}

/// One agent's looks, the newest first.
#[derive(Debug, Default)]
pub(super) struct Tally<'a>(Vec<Seen<'a>>);

impl<'a> Tally<'a> {
    pub(super) fn compared(&self) -> impl Iterator<Item = &Seen<'a>> + Clone {
        self.0.iter().filter(|seen| seen.compared)
    }

    /// Of the newest looks, however few, nearly all are contradicted.
    fn broke_suddenly(&self, now: i64) -> bool {
        let (mut sites, mut networks) = (BTreeSet::new(), BTreeSet::new());
        let mut contradicted = 0;
        let recent = self.compared().take_while(|seen| now - seen.look.at <= SUDDEN_MS);
        recent.enumerate().any(|(index, seen)| {
            let fresh = seen.look.failing_since.is_some_and(|since| now - since <= FRESH_MS);
            if seen.contradicted && fresh {
                contradicted += 1;
                sites.insert(site(&seen.watch.host));
                networks.insert(network(seen.watch));
            }
            contradicted * 5 >= (index + 1) * 4 && sites.len().min(networks.len()) >= UNRELATED
        })
    }

    /// At least half of everything is contradicted.
    fn fails_widely(&self) -> bool {
        let contradicted = || self.compared().filter(|seen| seen.contradicted);
        contradicted().count() * 2 >= self.compared().count()
            && unrelated(contradicted().map(|seen| seen.watch)) >= UNRELATED
    }
}

/// Every agent's looks, beside those of the trusted.
#[derive(Debug)]
pub(super) struct Comparison<'a>(pub(super) BTreeMap<&'a str, Tally<'a>>, i64);

impl<'a> Comparison<'a> {
    pub(super) fn new(input: &'a Input, trusted: &BTreeSet<&str>, now: i64) -> Self {
        let mut tallies: BTreeMap<&str, Tally<'_>> = BTreeMap::new();
        for watch in &input.watches {
            for look in &watch.seats {
                // Where nobody is trusted, all are heard.
                let others = watch.seats.iter().filter(|other| {
                    other.agent != look.agent
                        && (trusted.is_empty() || trusted.contains(other.agent.as_str()))
                });
                let failing = others.clone().filter(|other| other.failing_since.is_some()).count();
                let all = others.count();
                tallies.entry(&look.agent).or_default().0.push(Seen {
                    watch,
                    look,
                    compared: all > 0,
                    contradicted: look.failing_since.is_some() && all - failing > failing,
                });
            }
        }
        for tally in tallies.values_mut() {
            tally.0.sort_by_key(|seen| std::cmp::Reverse(seen.look.at));
        }
        Self(tallies, now)
    }

    pub(super) fn is_faulty(&self, agent: &str) -> bool {
        let now = self.1;
        let Some(tally) = self.0.get(agent) else { return false };
        (tally.broke_suddenly(now) || tally.fails_widely()) && self.others_are_well(agent)
    }

    /// Whether what the other agents looked at just now is well for the most part.
    fn others_are_well(&self, agent: &str) -> bool {
        let others = self.0.iter().filter(|(id, _)| **id != agent);
        let looks = others.flat_map(|(_, tally)| &tally.0).map(|seen| seen.look);
        let recent = looks.filter(|look| self.1 - look.at <= SUDDEN_MS);
        let (all, failing) = recent.fold((0, 0), |(all, failing), look| {
            (all + 1, failing + usize::from(look.failing_since.is_some()))
        });
        failing * 2 <= all
    }

    /// Whether what it looked at since it lost its vote says that it sees well again.
    pub(super) fn is_well(&self, agent: &str, lost_at: i64) -> bool {
        let Some(tally) = self.0.get(agent) else { return false };
        let compared = tally.compared().count();
        let newer = |seen: &&Seen<'_>| seen.look.at > lost_at;
        let (seen, wrong): (usize, usize) = match compared {
            // Nobody to compare with: its own word, all of it.
            0 => (
                tally.0.iter().filter(newer).count(),
                tally.0.iter().filter(newer).filter(|s| s.look.failing_since.is_some()).count(),
            ),
            _ => (
                tally.compared().filter(newer).count(),
                tally.compared().filter(newer).filter(|seen| seen.contradicted).count(),
            ),
        };
        seen >= UNRELATED.min(tally.0.len()) && seen > 0 && wrong * 4 <= seen
    }
}

/// How many of these have neither site nor network in common.
pub(super) fn unrelated<'a>(watches: impl Iterator<Item = &'a Watch> + Clone) -> usize {
    let sites: BTreeSet<&str> = watches.clone().map(|watch| site(&watch.host)).collect();
    let networks: BTreeSet<&str> = watches.map(network).collect();
    sites.len().min(networks.len())
}

/// The network of a target, or its host where that is not known.
fn network(watch: &Watch) -> &str {
    watch.network.as_deref().unwrap_or(&watch.host)
}

/// The last two labels of a name, or the whole address.
fn site(host: &str) -> &str {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host;
    }
    let mut dots = host.rmatch_indices('.').map(|(at, _)| at + 1);
    dots.nth(1).and_then(|at| host.get(at..)).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_two_labels_or_an_address() {
        assert_eq!(site("api.shop.example"), "shop.example");
        assert_eq!(site("shop.example"), "shop.example");
        assert_eq!(site("localhost"), "localhost");
        assert_eq!(site("192.0.2.7"), "192.0.2.7");
    }
}
