//! The vote.

use super::{RegionState, RegionView, Scope, Verdict};
use hyperverge_protocol::monitor::Quorum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The votes, the arithmetic and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    pub verdict: Verdict,
    /// `None` while nothing hurts.
    pub scope: Option<Scope>,
    /// When the region that decided it came to its state; `None`: before what is known.
    pub since: Option<i64>,
    pub seats: u32,
    /// Votes that make it down.
    pub needed: u32,
    pub down: u32,
    pub degraded: u32,
    pub up: u32,
    /// Seats that cast no vote.
    pub silent: u32,
    /// The reason most hurting regions give.
    pub cause: Option<String>,
    pub regions: Vec<RegionView>,
}

impl Evaluation {
    /// When the first region began to fail, for an incident below the quorum.
    pub fn first_hurt(&self) -> Option<i64> {
        self.of(RegionState::Down).filter_map(|region| region.since).min()
    }

    /// The regions in `state`.
    pub fn of(&self, state: RegionState) -> impl Iterator<Item = &RegionView> {
        self.regions.iter().filter(move |region| region.state == state)
    }

    /// The vote as a sentence.
    pub fn arithmetic(&self) -> String {
        format!(
            "{} of {} regions down, {} degraded, {} up, {} without a vote; {} needed",
            self.down, self.seats, self.degraded, self.up, self.silent, self.needed
        )
    }
}

/// Counts the seats' votes.
pub fn evaluate(regions: Vec<RegionView>, quorum: Quorum) -> Evaluation {
    let count = |state| {
        let votes = regions.iter().filter(|region| region.state == state).count();
        u32::try_from(votes).unwrap_or(u32::MAX)
    };
    let seats = u32::try_from(regions.len()).unwrap_or(u32::MAX);
    let needed = quorum.votes(seats);
    let (down, degraded) = (count(RegionState::Down), count(RegionState::Degraded));
    let (up, silent) = (count(RegionState::Up), count(RegionState::Unknown));
    let verdict = if seats == 0 {
        Verdict::Unknown
    } else if down >= needed {
        Verdict::Down
    } else if down + degraded >= needed {
        Verdict::Degraded
    } else if down + silent < needed {
        Verdict::Up
    } else {
        Verdict::Unknown
    };
    let hurt = down + degraded;
    let scope = match hurt {
        0 => None,
        _ if hurt < needed => Some(Scope::Local),
        _ if up > 0 => Some(Scope::Regional),
        _ => Some(Scope::Global),
    };
    let since = since(&regions, verdict, seats, needed);
    let cause = cause(&regions);
    Evaluation { verdict, scope, since, seats, needed, down, degraded, up, silent, cause, regions }
}

/// When the deciding region came to its state: the q-th to hurt, the one whose
/// return left too few for a quorum, or the one whose silence left enough of those that may
/// hurt for one.
fn since(regions: &[RegionView], verdict: Verdict, seats: u32, needed: u32) -> Option<i64> {
    use RegionState::{Degraded, Down, Unknown, Up};
    let (states, deciding): (&[RegionState], u32) = match verdict {
        Verdict::Down => (&[Down], needed),
        Verdict::Degraded => (&[Down, Degraded], needed),
        Verdict::Up => (&[Up, Degraded], (seats + 1).saturating_sub(needed)),
        Verdict::Unknown => (&[Down, Unknown], needed),
    };
    // Without a time, a region has been so for longer than is known: it sorts first.
    let decides = |region: &&RegionView| states.contains(&region.state);
    let mut times: Vec<Option<i64>> =
        regions.iter().filter(decides).map(|region| region.since).collect();
    times.sort_unstable();
    times.get(deciding.saturating_sub(1) as usize).copied().flatten()
}

fn cause(regions: &[RegionView]) -> Option<String> {
    for state in [RegionState::Down, RegionState::Degraded] {
        let mut votes: BTreeMap<&str, u32> = BTreeMap::new();
        let hurting = regions.iter().filter(|region| region.state == state);
        for reason in hurting.filter_map(|region| region.reason.as_deref()) {
            *votes.entry(reason).or_default() += 1;
        }
        // Of equally frequent ones the first by name, so that the answer stands still.
        let most = votes.iter().max_by_key(|(word, votes)| (**votes, std::cmp::Reverse(**word)));
        if let Some((word, _)) = most {
            return Some((*word).to_owned());
        }
    }
    None
}
