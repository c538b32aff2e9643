//! Who is told of an incident.
//!
//! A monitor's own `notify` and the channels of every matching [`Route`] are told,
//! each once. Where that is nobody, the organisation's default channels are told.
//! *Quiet* incidents ([`Facts::quiet`]) go neither to `notify` nor to the defaults,
//! only to routes that name their scope or subject: a trouble that one region
//! alone sees, one that only slows the target down, or one of our own fleet, is nobody's
//! page unless somebody asked.
//!
//! To add something to match on: a field of [`Facts`] and of [`Match`], a
//! [`Mismatch`] that says why not, and a line in [`Match::mismatches`].

use super::labels::{self, LabelMismatch, Labels};
use super::limits::ROUTE_CHANNELS;
use crate::correlation::{Scope, Verdict};
use crate::incident::{Severity, SubjectKind};
use hyperverge_protocol::monitor::is_slug;
use hyperverge_protocol::problem::FieldProblem;
use serde::{Deserialize, Serialize};

const SLUG_RULE: &str =
    "must be 1 to 63 of a-z, 0-9 and hyphens, neither beginning nor ending with a hyphen";

/// What is known of an incident when it is asked who hears of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub subject: SubjectKind,
    /// The subject's name: of a monitor, an agent or a region.
    pub name: String,
    /// The monitor's labels.
    pub labels: Labels,
    pub severity: Severity,
    /// The incident's: below the quorum of failures it is quiet.
    pub verdict: Verdict,
    pub scope: Scope,
}

impl Facts {
    /// Whether it goes only to routes that name its scope or its subject.
    pub fn quiet(&self) -> bool {
        self.subject != SubjectKind::Monitor
            || self.scope == Scope::Local
            || self.verdict == Verdict::Degraded
    }
}

/// Sends what matches to channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub name: String,
    #[serde(rename = "match", default)]
    pub matches: Match,
    /// By name.
    pub channels: Vec<String>,
}

/// What a route takes; all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// All of these, exactly; the value `*` is any.
    pub labels: Labels,
    /// Empty: every severity.
    pub severity: Vec<Severity>,
    /// Empty: regional and global, of what is down; of an agent's or region's incident
    /// every scope.
    pub scope: Vec<Scope>,
    /// Empty: monitors.
    pub subject: Vec<SubjectKind>,
}

/// Why a route does not take an incident.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error(transparent)]
    Label(#[from] LabelMismatch),
    #[error("its severity is {0}")]
    Severity(Severity),
    #[error("its scope is {0}, which the route must name")]
    Scope(Scope),
    #[error("it is degraded and not down, for which the route must name its scope, {0}")]
    Degraded(Scope),
    #[error("its subject is a {0}, which the route must name")]
    Subject(SubjectKind),
}

impl Match {
    /// All that keeps these facts from matching; nothing, if they match.
    pub fn mismatches(&self, facts: &Facts) -> Vec<Mismatch> {
        let mut found: Vec<Mismatch> =
            labels::mismatches(&self.labels, &facts.labels).map(Mismatch::from).collect();
        if !self.severity.is_empty() && !self.severity.contains(&facts.severity) {
            found.push(Mismatch::Severity(facts.severity));
        }
        let scope = match self.scope.as_slice() {
            // What naming a scope says about targets, naming the subject says about our fleet.
            [] => facts.subject != SubjectKind::Monitor || !facts.quiet(),
            named => named.contains(&facts.scope),
        };
        if !scope {
            let degraded = self.scope.is_empty() && facts.scope != Scope::Local;
            let why = if degraded { Mismatch::Degraded } else { Mismatch::Scope };
            found.push(why(facts.scope));
        }
        let subject = match self.subject.as_slice() {
            [] => facts.subject == SubjectKind::Monitor,
            named => named.contains(&facts.subject),
        };
        if !subject {
            found.push(Mismatch::Subject(facts.subject));
        }
        found
    }
}

impl Route {
    /// What is wrong with it, apart from whether its channels are there.
    pub fn check(&self) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        if !is_slug(&self.name) {
            problems.push(FieldProblem::new("name", SLUG_RULE));
        }
        problems.extend(labels::check(&self.matches.labels, "match.labels"));
        repeated(&self.matches.severity, "match.severity", &mut problems);
        repeated(&self.matches.scope, "match.scope", &mut problems);
        repeated(&self.matches.subject, "match.subject", &mut problems);
        if !(1..=ROUTE_CHANNELS).contains(&self.channels.len()) {
            let rule = format!("must be 1 to {ROUTE_CHANNELS} channels by name");
            problems.push(FieldProblem::new("channels", rule));
            return problems;
        }
        for (index, name) in self.channels.iter().enumerate() {
            if !is_slug(name) {
                problems.push(FieldProblem::new(format!("channels[{index}]"), SLUG_RULE));
            }
        }
        repeated(&self.channels, "channels", &mut problems);
        problems
    }
}

/// Names what stands twice in a list.
pub(super) fn repeated<T: PartialEq>(list: &[T], field: &str, problems: &mut Vec<FieldProblem>) {
    for (index, item) in list.iter().enumerate() {
        if list[..index].contains(item) {
            problems.push(FieldProblem::new(format!("{field}[{index}]"), "must not repeat"));
        }
    }
}

/// The routes that take it, in their order.
pub fn matching<'a>(routes: &'a [Route], facts: &Facts) -> Vec<&'a Route> {
    routes.iter().filter(|route| route.matches.mismatches(facts).is_empty()).collect()
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipients {
    /// These channels, by name: what the monitor names first, then what routes add.
    Channels(Vec<String>),
    /// The organisation's default channels.
    Defaults,
    Nobody {
        why: String,
    },
}

/// Why nobody hears of a quiet incident.
pub const NO_ROUTE: &str = "no route names it";

/// Who is told of an incident with these facts, whose monitor names `notify`.
pub fn recipients(notify: &[String], routes: &[Route], facts: &Facts) -> Recipients {
    let own = if facts.quiet() { &[] } else { notify };
    let routed = matching(routes, facts).into_iter().flat_map(|route| &route.channels);
    let mut names: Vec<String> = Vec::new();
    for name in own.iter().chain(routed) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    match (names.is_empty(), facts.quiet()) {
        (false, _) => Recipients::Channels(names),
        (true, false) => Recipients::Defaults,
        (true, true) => Recipients::Nobody { why: NO_ROUTE.to_owned() },
    }
}
