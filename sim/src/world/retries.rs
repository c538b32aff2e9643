//! Agents that try a failed check again before they report it, as other systems'
//! probes do and the product's do not.

use super::World;
use super::cast::{AgentIndex, MonitorIndex};
use super::truth::Answer;
use hyperverge_protocol::outcome::Outcome;

/// How a failed check is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// Attempts at most, the first counted.
    pub attempts: u32,
    /// From the first attempt's end to the second, ms.
    pub wait: i64,
    /// By how much each wait is longer than the one before, in percent.
    pub growth: i64,
}

impl World {
    /// Lets every agent try failed checks again.
    pub fn retry(&mut self, retries: Retries) {
        self.retries = Some(retries);
    }

    /// What a check that starts now finds, once it is not tried again.
    pub(super) fn answer(&mut self, monitor: MonitorIndex, agent: AgentIndex) -> Answer {
        let (mut took, mut attempt) = (0, 1);
        let mut wait = self.retries.map_or(0, |retries| retries.wait);
        loop {
            let at = self.now + took;
            let answer = self.truth.answer(&self.cast, monitor, agent, at, &mut self.probes);
            self.counts.checks += 1;
            took += answer.took;
            let fails = !matches!(answer.outcome, Outcome::Ok | Outcome::Degraded);
            let again = self.retries.filter(|it| fails && attempt < it.attempts);
            let Some(retries) = again else { return Answer { took, ..answer } };
            (attempt, took) = (attempt + 1, took + wait);
            wait += wait * retries.growth / 100;
        }
    }
}
