//! Immediate confirmation: whether the first failure of a streak asks every region now.
//!
//! Waiting for the next slots would make detection as slow as the interval. A
//! burst asks all regions of the monitor at once, so that an outage is known
//! within `fail_after` checks, and a blip of one region is known to be one.
//!
//! What a burst costs falls on the target and on the agents, so it is capped
//! where a flood could come from: an agent whose own network is broken sees
//! every target fail at once, and a shared upstream that fails takes thousands of
//! monitors with it. Who is held back by a cap is confirmed by the ordinary slots.
//! The counts come from the bursts that are stored, so replicas share them.
//!
//! One burst for each streak. What refused it may pass (a cap, a burst of a moment before),
//! so a streak that was not asked about asks again with its next failures.

use super::{Evaluation, RegionState, Verdict};
use serde::{Deserialize, Serialize};

/// Over what time the caps count, ms.
pub const WINDOW_MS: i64 = 60_000;
/// Bursts in a window that one agent's failures may ask for. A dozen tell whether
/// the agent or its targets are at fault.
pub const PER_ORIGIN: u32 = 12;
/// Bursts in a window against one host.
pub const PER_HOST: u32 = 6;
/// Bursts in a window of one organisation.
pub const PER_ORGANISATION: u32 = 240;
/// Between two bursts of one monitor, ms: a region that flaps does not make its
/// target be probed all the time.
pub const REST_MS: i64 = 30_000;
/// For how long after a streak began its later failures ask where the first was refused,
/// ms: a burst of before may be under way for most of it, and rests after that.
pub const ASK_AGAIN_MS: i64 = 90_000;

/// What is asked when a region's streak of failures begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The monitor's `policy.confirm`.
    pub confirm: bool,
    pub fail_after: u32,
    pub timeout_ms: i64,
    /// The vote with this failure counted.
    pub evaluation: Evaluation,
    /// Whether the agent that failed has lost its vote.
    pub discredited: bool,
    /// When this monitor's newest burst was asked, and whether it is still under way.
    pub last: Option<Last>,
    /// When the first failure of the streak started.
    pub streak_began: i64,
    pub recent: Recent,
}

/// A monitor's newest burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    pub asked_at: i64,
    pub active: bool,
}

/// Bursts asked within the last [`WINDOW_MS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Because of failures of this agent.
    pub of_origin: u32,
    /// Against this monitor's host.
    pub of_host: u32,
    pub of_organisation: u32,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Every seat that has an agent is asked.
    Ask {
        /// Failures in a row after which an agent stops; a success stops it at once.
        failures: u32,
        /// When an order is not begun any more and answers are not waited for, ms.
        expires_at: i64,
    },
    /// Nothing is asked; the ordinary slots go on.
    Keep(Kept),
}

/// Why nothing is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The policy says so.
    NotWanted,
    /// The verdict is down already: there is nothing to confirm.
    AlreadyDown,
    /// One region, one failure enough: nobody could say more.
    NothingToAsk,
    /// The agent that failed has no vote to confirm.
    Discredited,
    /// Every region was asked since the streak began.
    Asked,
    /// A burst of this monitor is under way.
    Active,
    /// The last one was a moment ago.
    Rested,
    OriginCap,
    HostCap,
    OrganisationCap,
}

impl Kept {
    /// The word in metrics and explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotWanted => "not_wanted",
            Self::AlreadyDown => "already_down",
            Self::NothingToAsk => "nothing_to_ask",
            Self::Discredited => "discredited",
            Self::Asked => "asked_already",
            Self::Active => "active",
            Self::Rested => "rested",
            Self::OriginCap => "origin_cap",
            Self::HostCap => "host_cap",
            Self::OrganisationCap => "organisation_cap",
        }
    }
}

/// Why nothing is asked where everything speaks for it: no agent that could be asked is
/// there, or none knows bursts.
pub const NOBODY_TO_ASK: &str = "nobody_to_ask";

/// Whether a word for why nothing is asked says more than the policy, the vote and the
/// burst that was asked do.
pub fn is_worth_keeping(reason: &str) -> bool {
    let plain = [Kept::NotWanted, Kept::AlreadyDown, Kept::NothingToAsk, Kept::Asked];
    plain.iter().all(|kept| kept.as_str() != reason)
}

/// What such a word means, in a clause.
pub fn why_not_asked(reason: &str) -> String {
    let seconds = REST_MS / 1_000;
    match reason {
        "active" => "its last burst was still under way".to_owned(),
        "rested" => format!("its last burst was asked less than {seconds} s before"),
        "discredited" => "the agent that failed had no vote to confirm".to_owned(),
        "origin_cap" => {
            format!("failures of the same agent had asked for {PER_ORIGIN} bursts within a minute")
        }
        "host_cap" => format!("{PER_HOST} bursts had been asked against its host within a minute"),
        "organisation_cap" => {
            format!("{PER_ORGANISATION} bursts had been asked in all within a minute")
        }
        NOBODY_TO_ASK => "no agent was there that could be asked".to_owned(),
        other => other.replace('_', " "),
    }
}

/// Whether a slot's own failure at `at`, one of `failures` in a row since `began`, may ask:
/// the first, and as long as one that was refused for a moment's reason may be made up for.
pub fn may_ask(failures: u32, fail_after: u32, began: i64, at: i64) -> bool {
    failures <= fail_after.max(2) || at - began <= ASK_AGAIN_MS
}

/// Decides at `now`, for a monitor of which a region's streak of failures began.
pub fn ask(input: &Input, now: i64) -> Decision {
    match kept(input, now) {
        Some(kept) => Decision::Keep(kept),
        None => Decision::Ask {
            failures: input.fail_after,
            expires_at: now.saturating_add(lasts_ms(input.fail_after, input.timeout_ms)),
        },
    }
}

fn kept(input: &Input, now: i64) -> Option<Kept> {
    let evaluation = &input.evaluation;
    let seats = evaluation.regions.len();
    let undecided = evaluation.of(RegionState::Down).count() < seats;
    // One from the future was asked by a clock that was set back since.
    let rests = |last: &Last| (0..REST_MS).contains(&(now - last.asked_at));
    let asked = |last: Last| (input.streak_began..=now).contains(&last.asked_at);
    let rules = [
        (!input.confirm, Kept::NotWanted),
        (evaluation.verdict == Verdict::Down, Kept::AlreadyDown),
        (!undecided, Kept::NothingToAsk),
        (input.discredited, Kept::Discredited),
        (input.last.is_some_and(asked), Kept::Asked),
        (input.last.is_some_and(|last| last.active), Kept::Active),
        (input.last.as_ref().is_some_and(rests), Kept::Rested),
        (input.recent.of_origin >= PER_ORIGIN, Kept::OriginCap),
        (input.recent.of_host >= PER_HOST, Kept::HostCap),
        (input.recent.of_organisation >= PER_ORGANISATION, Kept::OrganisationCap),
    ];
    rules.into_iter().find_map(|(applies, kept)| applies.then_some(kept))
}

/// How long a burst may take, ms: its checks, a second between them, a check that
/// was under way before, and the ways there and back.
pub fn lasts_ms(failures: u32, timeout_ms: i64) -> i64 {
    let checks = i64::from(failures).saturating_add(1);
    checks.saturating_mul(timeout_ms.saturating_add(1_000)).saturating_add(10_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlation::{RegionView, evaluate};
    use hyperverge_protocol::monitor::Quorum;

    fn input(states: &[RegionState]) -> Input {
        let regions = states.iter().enumerate().map(|(index, state)| RegionView {
            region: format!("r{index}"),
            region_id: None,
            state: *state,
            since: None,
            reason: None,
            message: None,
        });
        Input {
            confirm: true,
            fail_after: 2,
            timeout_ms: 10_000,
            evaluation: evaluate(regions.collect(), Quorum::Majority),
            discredited: false,
            last: None,
            streak_began: 50_000,
            recent: Recent::default(),
        }
    }

    #[test]
    fn a_first_failure_asks_and_says_for_how_long() {
        use RegionState::{Down, Up};
        let asked = ask(&input(&[Up, Up, Up]), 1_000);
        assert_eq!(asked, Decision::Ask { failures: 2, expires_at: 44_000 });
        // With one failure enough the first region is down already; the others are still asked.
        assert!(matches!(ask(&input(&[Down, Up, Up]), 0), Decision::Ask { .. }));
    }

    #[test]
    fn each_reason_is_said_in_its_own_words() {
        let kept = [Kept::Discredited, Kept::Active, Kept::Rested, Kept::OriginCap, Kept::HostCap];
        let words = kept.iter().chain([&Kept::OrganisationCap]).map(|kept| kept.as_str());
        let all: Vec<&str> = words.chain([NOBODY_TO_ASK]).collect();
        assert!(all.iter().all(|word| is_worth_keeping(word)));
        let said: std::collections::BTreeSet<String> =
            all.iter().map(|word| why_not_asked(word)).collect();
        assert_eq!(said.len(), all.len());
        assert!(all.iter().all(|word| why_not_asked(word) != word.replace('_', " ")), "{said:?}");
        assert!(!is_worth_keeping(Kept::NotWanted.as_str()), "the policy says it");
    }

    #[test]
    fn each_reason_to_keep_quiet() {
        use RegionState::{Down, Up};
        let kept = |change: fn(&mut Input)| {
            let mut input = input(&[Up, Up, Up]);
            change(&mut input);
            match ask(&input, 100_000) {
                Decision::Keep(kept) => Some(kept),
                Decision::Ask { .. } => None,
            }
        };
        assert_eq!(kept(|i| i.confirm = false), Some(Kept::NotWanted));
        assert_eq!(kept(|i| i.discredited = true), Some(Kept::Discredited));
        let last = |asked_at, active| Some(Last { asked_at, active });
        assert_eq!(kept(|i| i.last = Some(Last { asked_at: 1, active: true })), Some(Kept::Active));
        assert_eq!(
            kept(|i| i.last = Some(Last { asked_at: 50_000, active: false })),
            Some(Kept::Asked)
        );
        let mut recent = input(&[Up, Up]);
        recent.streak_began = 80_000;
        recent.last = last(70_001, false);
        assert_eq!(ask(&recent, 100_000), Decision::Keep(Kept::Rested));
        for asked_at in [70_000, 100_001] {
            recent.last = last(asked_at, false);
            assert!(matches!(ask(&recent, 100_000), Decision::Ask { .. }));
        }
        recent.last = last(70_000, false);
        assert!(matches!(ask(&recent, 100_000), Decision::Ask { .. }));
        assert_eq!(kept(|i| i.recent.of_origin = PER_ORIGIN), Some(Kept::OriginCap));
        assert_eq!(kept(|i| i.recent.of_host = PER_HOST), Some(Kept::HostCap));
        assert_eq!(
            kept(|i| i.recent.of_organisation = PER_ORGANISATION),
            Some(Kept::OrganisationCap)
        );
        assert_eq!(ask(&input(&[Down, Down, Up]), 0), Decision::Keep(Kept::AlreadyDown));
        assert_eq!(ask(&input(&[]), 0), Decision::Keep(Kept::NothingToAsk));
    }
    #[test]
    fn a_streak_that_was_refused_asks_again_until_it_was_asked_about() {
        use RegionState::Up;
        // A blip asked a moment before the outage began.
        let mut outage = input(&[Up, Up, Up]);
        outage.last = Some(Last { asked_at: 90_000, active: false });
        outage.streak_began = 100_000;
        assert_eq!(ask(&outage, 101_000), Decision::Keep(Kept::Rested));
        assert!(may_ask(3, 2, 100_000, 120_000));
        assert!(matches!(ask(&outage, 120_000), Decision::Ask { .. }));
        outage.last = Some(Last { asked_at: 120_000, active: false });
        assert_eq!(ask(&outage, 160_000), Decision::Keep(Kept::Asked));
        assert!(may_ask(2, 2, 100_000, 400_000), "with a long interval the next one");
        assert!(!may_ask(3, 2, 100_000, 400_000), "not for ever");
    }
}
