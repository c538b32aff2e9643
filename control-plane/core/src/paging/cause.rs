//! What incidents that start together have in common.

use super::{Candidate, Input, Parent, ParentState};
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Beginnings of one cause lie this far apart at most, beside an interval, ms.
const TOGETHER_MS: i64 = 60_000;
/// However long the interval, ms.
const TOGETHER_MOST_MS: i64 = 900_000;

/// What is shared; the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CauseKind {
    /// A monitor that all of them depend on.
    Parent,
    Certificate,
    Host,
    Address,
    Network,
    /// Regions that see them down while others see them well.
    Region,
}
words!(
    CauseKind,
    "kind of cause",
    Parent = "parent",
    Certificate = "certificate",
    Host = "host",
    Address = "address",
    Network = "network",
    Region = "region"
);

/// The likeliest common cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    pub kind: CauseKind,
    pub value: String,
}

impl Cause {
    pub(super) fn new(kind: CauseKind, value: impl Into<String>) -> Self {
        Self { kind, value: value.into() }
    }

    /// How many must share it. Two monitors that one region alone fails are chance.
    pub(super) fn least(&self) -> usize {
        if self.kind == CauseKind::Region { 3 } else { 2 }
    }

    /// `42 monitors on the host edge.example.com`.
    pub fn phrase(&self, members: usize) -> String {
        let value = &self.value;
        let shared = match self.kind {
            CauseKind::Parent => format!("that depend on {value}"),
            CauseKind::Certificate => format!("that serve the certificate {value:.16}…"),
            CauseKind::Host => format!("on the host {value}"),
            CauseKind::Address => format!("at the address {value}"),
            CauseKind::Network => format!("in the network {value}"),
            CauseKind::Region => format!("seen from {value}"),
        };
        format!("{members} monitors {shared}")
    }

    /// The phrase as a sentence: `42 monitors on the host edge.example.com are down`.
    pub fn sentence(&self, members: usize, quiet: bool) -> String {
        format!("{} {}", self.phrase(members), if quiet { "fail" } else { "are down" })
    }
}

/// Everything that `candidate` may have in common with others.
pub(super) fn causes(candidate: &Candidate) -> BTreeSet<Cause> {
    let traits = &candidate.traits;
    let parents = candidate.parents.iter().filter(|parent| may_cause(parent, candidate));
    let parents = parents.map(|parent| &parent.name);
    let regions = (!traits.regions.is_empty())
        .then(|| traits.regions.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    let of = |kind| move |value: &String| Cause::new(kind, value.clone());
    parents
        .map(of(CauseKind::Parent))
        .chain(traits.certificate.iter().map(of(CauseKind::Certificate)))
        .chain(traits.host.iter().map(of(CauseKind::Host)))
        .chain(traits.addresses.iter().map(of(CauseKind::Address)))
        .chain(traits.networks.iter().map(of(CauseKind::Network)))
        .chain(regions.iter().map(of(CauseKind::Region)))
        .collect()
}

/// Whether what `candidate` depends on can be why it hurts: it is well, and was when that began, or not.
fn may_cause(parent: &Parent, candidate: &Candidate) -> bool {
    !matches!(parent.state, ParentState::Well { since } if since <= candidate.started_at)
}

/// How many of `candidates` have each of the causes in common that most of all who share it
/// must have to point there, and when the first of them began: those that began together
/// with the newest. What has hurt for long is not among them, nor are those that share one
/// with nobody.
pub fn shared(candidates: &[Candidate]) -> BTreeMap<Cause, (u32, i64)> {
    let mut found: BTreeMap<Cause, Vec<(i64, i64)>> = BTreeMap::new();
    for candidate in candidates.iter().filter(|candidate| !candidate.resolved) {
        for cause in causes(candidate).into_iter().filter(is_wide) {
            found.entry(cause).or_default().push((candidate.started_at, candidate.interval_ms));
        }
    }
    let newest_run = |(cause, mut starts): (Cause, Vec<(i64, i64)>)| {
        starts.sort_unstable();
        let newest = *starts.last()?;
        let mut run = starts.iter().filter(|start| together(**start, newest)).peekable();
        let began = run.peek()?.0;
        let count = u32::try_from(run.count()).unwrap_or(u32::MAX);
        (count > 1).then_some((cause, (count, began)))
    };
    found.into_iter().filter_map(newest_run).collect()
}

/// Whether many share it who are well, so that a few say little about it.
fn is_wide(cause: &Cause) -> bool {
    matches!(cause.kind, CauseKind::Address | CauseKind::Network | CauseKind::Region)
}

/// Whether two beginnings can be one cause's.
pub(super) fn together(a: (i64, i64), b: (i64, i64)) -> bool {
    let apart = TOGETHER_MS.saturating_add(a.1.max(b.1)).min(TOGETHER_MOST_MS);
    (a.0 - b.0).abs() <= apart
}

/// Incidents with a common cause.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) cause: Cause,
    /// Positions among the input's candidates, the earliest beginning first.
    pub(super) members: Vec<usize>,
}

/// Divides `pool` (positions) into clusters, the largest first; of equally large
/// ones the most telling cause. What shares nothing is left out.
pub(super) fn clusters(input: &Input, pool: &[usize]) -> Vec<Cluster> {
    let mut by_cause: BTreeMap<Cause, Vec<usize>> = BTreeMap::new();
    for position in pool {
        for cause in causes(&input.candidates[*position]) {
            by_cause.entry(cause).or_default().push(*position);
        }
    }
    by_cause.retain(|cause, members| {
        members.sort_by_key(|position| began(&input.candidates[*position]));
        members.len() >= cause.least()
    });
    let mut clusters = Vec::new();
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    loop {
        let best = by_cause
            .iter()
            .map(|(cause, members)| (cause, run(input, cause, members)))
            .filter(|(cause, members)| {
                members.len() >= cause.least()
                    && is_telling(input, cause, members.len())
                    && !are_neighbours(input, cause, members)
            })
            .max_by(|(a, left), (b, right)| left.len().cmp(&right.len()).then_with(|| b.cmp(a)));
        let Some((cause, members)) = best else { return clusters };
        let cause = cause.clone();
        taken.extend(members.iter().copied());
        by_cause.retain(|cause, members| {
            members.retain(|member| !taken.contains(member));
            members.len() >= cause.least()
        });
        clusters.push(Cluster { cause, members });
    }
}

/// The earliest members, in their order, that are enough and began together. What
/// began long before them is none of theirs.
fn run(input: &Input, cause: &Cause, members: &[usize]) -> Vec<usize> {
    let start = |position: &usize| {
        let candidate = &input.candidates[*position];
        (candidate.started_at, candidate.interval_ms)
    };
    let runs = members.iter().enumerate().map(|(index, first)| {
        let near = members[index..].iter().filter(|one| together(start(first), start(one)));
        near.copied().collect::<Vec<_>>()
    });
    runs.into_iter().find(|run| run.len() >= cause.least()).unwrap_or_default()
}

/// Whether two share no more than an address or a network, and one of them was told by
/// itself: that is as likely two causes, and each is worth a notice that names it.
fn are_neighbours(input: &Input, cause: &Cause, members: &[usize]) -> bool {
    let near = matches!(cause.kind, CauseKind::Address | CauseKind::Network);
    near && members.len() == 2 && members.iter().any(|one| input.candidates[*one].paged)
}

/// Whether so many failing of all that share it point there. A network or region of
/// which most is well is not what failed.
pub(super) fn is_telling(input: &Input, cause: &Cause, failing: usize) -> bool {
    let population = input.population.get(cause).copied().unwrap_or(0) as usize;
    !is_wide(cause) || failing * 2 >= population
}

fn began(candidate: &Candidate) -> (i64, uuid::Uuid) {
    (candidate.started_at, candidate.incident_id)
}
