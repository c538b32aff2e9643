//! When a message arrives.
//!
//! The link is QUIC: nothing is lost or reordered within a connection, what the
//! network loses comes later. A cut that is longer than the idle timeout ends the
//! connection instead.

use super::cast::{AgentIndex, Cast};
use super::truth::Truth;
use crate::random::{Random, Stream};
use crate::scenario::{FaultKind, Scenario, ms};

/// QUIC's idle timeout on both sides, ms.
pub const IDLE_MS: i64 = 45_000;
/// After a cut, packets are sent again after at most this, ms.
const PROBE_MS: i64 = 3_000;
/// A packet is sent again at most so often before we take it as through.
const RESENDS: u32 = 8;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// Every agent's way to the control plane.
#[derive(Debug)]
pub struct Links {
    random: Random,
    /// When the newest message arrives, up and down: they stay in order.
    newest: Vec<[i64; 2]>,
    /// `delay` and `loss` of each fault of the scenario.
    added: Vec<(i64, f64)>,
}

impl Links {
    /// Links without anything on the way.
    pub fn new(scenario: &Scenario, cast: &Cast) -> Self {
        let added =
            scenario.faults.iter().map(|it| (it.delay.map_or(0, ms), it.loss.unwrap_or(0.0)));
        Self {
            random: Random::new(cast.seed, Stream::Links),
            newest: vec![[0; 2]; cast.agents.len()],
            added: added.collect(),
        }
    }

    /// When something sent now arrives; `None`: never.
    pub fn arrival(
        &mut self,
        cast: &Cast,
        truth: &Truth,
        agent: AgentIndex,
        way: Way,
        now: i64,
    ) -> Option<i64> {
        let sent = match Self::cut_until(truth, agent, now) {
            Some(until) if until - now > IDLE_MS => return None,
            Some(until) => until + self.random.between(0, PROBE_MS.min(until - now)),
            None => now,
        };
        let at = sent + self.delay(cast, truth, agent, now);
        let newest = &mut self.newest[agent][usize::from(way == Way::Down)];
        *newest = at.max(*newest);
        Some(*newest)
    }

    /// Until when nothing passes, if that is so now.
    pub fn cut_until(truth: &Truth, agent: AgentIndex, now: i64) -> Option<i64> {
        let cuts = truth.of_agent(agent, now).filter(|it| it.kind == FaultKind::Partition);
        let until = cuts.map(|it| it.until).max()?;
        // One cut may follow another without a gap.
        Self::cut_until(truth, agent, until).or(Some(until))
    }

    fn delay(&mut self, cast: &Cast, truth: &Truth, agent: AgentIndex, now: i64) -> i64 {
        let region = &cast.regions[cast.agents[agent].region];
        let mut passes = 1.0 - region.loss;
        let mut delay = region.delay;
        for extent in truth.of_agent(agent, now) {
            let (longer, loss) = self.added[extent.fault];
            delay += longer;
            passes *= 1.0 - loss;
        }
        let mut total = delay + self.random.between(0, (delay / 4).max(1));
        let mut wait = 3 * delay + 25;
        for _ in 0..RESENDS {
            if !self.random.chance(1.0 - passes) {
                break;
            }
            total += wait;
            wait = (wait * 2).min(PROBE_MS);
        }
        total
    }
}
