//! Flapping: an incident that keeps coming back is one incident.
//!
//! Each opening and each resolution of a monitor's incident is a turn. When a
//! resolution would be one turn too many within the policy's window, it is held:
//! the incident stays open, nobody is told anything, and only after the target
//! was well for `settle` without a break does it resolve, with one notice. So a
//! target that flaps for a day costs its people a handful of notices.

use hyperverge_protocol::monitor::Flap;
use serde::{Deserialize, Serialize};

/// Turns that are remembered; as many as a policy can ask for.
pub const TURNS: usize = 32;

/// A policy's rule, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// 0: nothing ever flaps.
    pub changes: u32,
    pub within_ms: i64,
    pub settle_ms: i64,
}

impl Rule {
    /// What `flap` asks for.
    pub fn of(flap: &Flap) -> Self {
        let ms = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self { changes: flap.changes, within_ms: ms(flap.within.0), settle_ms: ms(flap.settle.0) }
    }

    /// Whether one more turn at `now`, after `turns`, is flapping.
    pub fn flaps(self, turns: &[i64], now: i64) -> bool {
        let recent = turns.iter().filter(|at| now - **at <= self.within_ms).count();
        self.changes > 0 && recent + 1 >= self.changes as usize
    }
}

/// `turns` with one more at `now`; the oldest are forgotten.
pub fn turned(turns: &[i64], now: i64) -> Vec<i64> {
    let kept = turns.len().saturating_sub(TURNS - 1);
    turns[kept..].iter().copied().chain([now]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_turn_within_the_window_is_flapping() {
        let rule = Rule { changes: 4, within_ms: 1_000, settle_ms: 0 };
        assert!(!rule.flaps(&[100, 200], 300));
        assert!(rule.flaps(&[100, 200, 300], 400));
        assert!(rule.flaps(&[100, 200, 300], 1_100));
        assert!(!rule.flaps(&[100, 200, 300], 1_101));
        assert!(!Rule { changes: 0, ..rule }.flaps(&[1; 30], 2));
    }

    #[test]
    fn only_the_newest_turns_are_remembered() {
        let turns = (0..100).fold(Vec::new(), |turns, now| turned(&turns, now));
        assert_eq!(turns, (68..100).collect::<Vec<i64>>());
    }
}
