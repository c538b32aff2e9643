//! Flapping: an incident that keeps coming back is one incident.
//!
//! Each opening and each resolution of a monitor's incident is a turn, and so is each
//! return over the quorum of one that people were paged for. When a
//! resolution would be one turn too many within the policy's window, it is held
//! (turns below the quorum, and those that a silence, a window or a parent kept from
//! people, count for what people were not paged for only):
//! the incident stays open, nobody is told anything, and only after the target
//! was known to be well for `settle` without a break does it resolve, with one notice;
//! so does every later recovery of that incident, however far apart they are. A return
//! over the quorum that would be one too many is told to nobody. So a
//! target that flaps for a day costs its people a handful of notices.

use hyperverge_protocol::monitor::Flap;
use serde::{Deserialize, Serialize};

/// Turns that are remembered; as many as a policy can ask for.
pub const TURNS: usize = 32;

/// An opening, a resolution or a return over the quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub at: i64,
    /// With a quorum: people were told, or were to be.
    pub loud: bool,
}

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

    /// Whether `next`, after `turns`, is one too many.
    pub fn flaps(self, turns: &[Turn], next: Turn) -> bool {
        self.changes > 0 && self.counted(turns, next) + 1 >= self.changes as usize
    }

    /// How many of `turns` count beside `next`.
    pub fn counted(self, turns: &[Turn], next: Turn) -> usize {
        let counts = |turn: &&Turn| {
            (turn.loud || !next.loud) && (0..=self.within_ms).contains(&(next.at - turn.at))
        };
        turns.iter().filter(counts).count()
    }
}

/// `turns` after nobody heard of those from `since` on.
pub fn unheard(turns: &[Turn], since: i64) -> Vec<Turn> {
    let heard = |turn: &Turn| Turn { loud: turn.loud && turn.at < since, ..*turn };
    turns.iter().map(heard).collect()
}

/// `turns` with one more; the oldest are forgotten.
pub fn turned(turns: &[Turn], next: Turn) -> Vec<Turn> {
    let kept = turns.len().saturating_sub(TURNS - 1);
    turns[kept..].iter().copied().chain([next]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(at: &[i64]) -> Vec<Turn> {
        at.iter().map(|at| Turn { at: *at, loud: true }).collect()
    }

    #[test]
    fn the_fourth_turn_within_the_window_is_flapping() {
        let rule = Rule { changes: 4, within_ms: 1_000, settle_ms: 0 };
        let flaps = |at: &[i64], now| rule.flaps(&turns(at), Turn { at: now, loud: true });
        assert!(!flaps(&[100, 200], 300));
        assert!(flaps(&[100, 200, 300], 400));
        assert!(flaps(&[100, 200, 300], 1_100));
        assert!(!flaps(&[100, 200, 300], 1_101));
        let never = Rule { changes: 0, ..rule };
        assert!(!never.flaps(&turns(&[1; 30]), Turn { at: 2, loud: true }));
    }

    #[test]
    fn what_nobody_was_paged_for_makes_no_page_flap() {
        let rule = Rule { changes: 4, within_ms: 1_000, settle_ms: 0 };
        let mut turns = turns(&[100, 200, 300]);
        turns[0].loud = false;
        assert!(!rule.flaps(&turns, Turn { at: 400, loud: true }));
        assert!(rule.flaps(&turns, Turn { at: 400, loud: false }));
    }

    #[test]
    fn only_the_newest_turns_are_remembered() {
        let all = (0..100).fold(Vec::new(), |all, at| turned(&all, Turn { at, loud: true }));
        assert_eq!(all, turns(&(68..100).collect::<Vec<i64>>()));
    }
}
