//! Rules of other monitoring systems, judged over the product's own world.
//!
//! Each file is one system's rule, written from the documentation or source that
//! its head names, and nothing but the rule: storage, delivery and interface of
//! those systems are taken as faultless and immediate. What they have in common:
//!
//! - None of them takes late results for news, because none stores them on the
//!   probe's disk. What is older than [`OLDEST_MS`] when it comes is not seen.
//! - None of them tells an agent's own fault from its target's: what our agents
//!   call `agent_fault` is a failure to them.
//! - An answer that is only slow enough for `warn` is a success.
//!
//! To add one: implement [`Rule`](crate::rule::Rule) in a file here, and name it in
//! `compare::contenders`.

mod agreement;
mod alertmanager;
mod half;
mod in_a_row;
mod prometheus;
mod reporting;

pub use agreement::Agreement;
pub use half::Half;
pub use in_a_row::InARow;
pub use prometheus::Prometheus;
pub use reporting::Reporting;

use crate::control::note::Seen;
use crate::rule::{Fleet, RulePage};
use crate::world::cast::MonitorIndex;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_protocol::outcome::Outcome;

/// Older results are not seen by rules of systems that do not store them, ms.
pub const OLDEST_MS: i64 = 30_000;

/// Whose observations a rule goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Those of the region of the monitor's first seat.
    OnePlace,
    Everywhere,
}

impl Sight {
    /// Whether the check failed; `None` where the rule makes no use of it.
    pub fn failed(self, seen: &Seen, fleet: &Fleet<'_>, now: i64) -> Option<bool> {
        let first = || fleet.cast.monitors[seen.monitor].seats.first() == Some(&seen.region);
        failed(seen, now).filter(|_| self == Self::Everywhere || first())
    }
}

/// Whether the check failed, as those systems count it; `None` where they never see it.
fn failed(seen: &Seen, now: i64) -> Option<bool> {
    if now - seen.ended_at > OLDEST_MS {
        return None;
    }
    match seen.outcome {
        Outcome::Ok | Outcome::Degraded => Some(false),
        Outcome::Fail | Outcome::Unsupported => Some(true),
        Outcome::Policy => None,
    }
}

/// A page about one monitor that waits for nothing.
fn page(kind: NoticeKind, monitor: MonitorIndex) -> RulePage {
    RulePage { kind, monitors: vec![monitor], waited: 0 }
}

#[cfg(test)]
mod tests;
