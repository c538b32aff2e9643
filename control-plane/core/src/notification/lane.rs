//! Order: what one recipient hears about one incident, one after the other.
//!
//! A *lane* is the deliveries of one incident to one recipient of one channel.
//! Within it:
//!
//! - an earlier one that waits goes first, so that nobody hears of an end
//!   before the beginning;
//! - unless the end is known by then and the earlier ones certainly never
//!   arrived: the resolved notice then tells all, and they are *superseded*,
//!   which counts as delivered within a later notice;
//! - what was attempted with an unknown outcome is never superseded, because
//!   the recipient may have it and would miss the end under its name;
//! - a dead letter is settled and stands in nobody's way, and one that somebody
//!   replays goes by itself, outside the order.

use super::NoticeKind;
use uuid::Uuid;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryState {
    Pending,
    Delivered,
    /// Out of attempts; can be replayed.
    Dead,
    /// Somebody decided that it need not be told.
    Discarded,
    /// Told within a later notice.
    Superseded,
}

/// A word that is no state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state of a delivery")]
pub struct UnknownDeliveryState(pub String);

const STATES: [(DeliveryState, &str); 5] = [
    (DeliveryState::Pending, "pending"),
    (DeliveryState::Delivered, "delivered"),
    (DeliveryState::Dead, "dead"),
    (DeliveryState::Discarded, "discarded"),
    (DeliveryState::Superseded, "superseded"),
];

impl std::str::FromStr for DeliveryState {
    type Err = UnknownDeliveryState;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = STATES.iter().find(|(_, name)| *name == word);
        found.map(|(state, _)| *state).ok_or_else(|| UnknownDeliveryState(word.to_owned()))
    }
}

impl std::fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = STATES.iter().find(|(state, _)| state == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// A delivery as far as its order depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRow {
    pub id: Uuid,
    pub event_number: i64,
    pub kind: NoticeKind,
    pub state: DeliveryState,
    pub attempts: u32,
    pub next_at: i64,
    /// Somebody is sending it.
    pub leased: bool,
    pub outcome_unknown: bool,
    /// Somebody replayed it after it was dead.
    pub replayed: bool,
}

impl LaneRow {
    fn waits(&self) -> bool {
        self.state == DeliveryState::Pending && !self.replayed
    }

    /// It certainly did not arrive, and never will by itself.
    fn never_arrived(&self) -> bool {
        match self.state {
            DeliveryState::Superseded => true,
            DeliveryState::Dead | DeliveryState::Discarded => !self.outcome_unknown,
            DeliveryState::Pending | DeliveryState::Delivered => false,
        }
    }
}

/// What may be done in a lane now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LanePlan {
    /// Told within the one that is sent.
    pub supersede: Vec<Uuid>,
    /// The one to send.
    pub send: Option<Uuid>,
    /// The one to send is a resolved notice whose opening never arrived.
    pub opening_included: bool,
}

/// Decides which delivery of a lane goes now. Rows may come in any order.
pub fn plan_lane(rows: &[LaneRow], now: i64) -> LanePlan {
    let mut waiting: Vec<&LaneRow> = rows.iter().filter(|row| row.waits()).collect();
    waiting.sort_by_key(|row| row.event_number);
    let Some((last, earlier)) = waiting.split_last() else { return LanePlan::default() };
    if waiting.iter().any(|row| row.leased) {
        return LanePlan::default();
    }
    let collapses = last.kind == NoticeKind::Resolved
        && last.attempts == 0
        && earlier.iter().all(|row| !row.outcome_unknown);
    let (first, supersede): (&LaneRow, Vec<Uuid>) = if collapses && last.next_at <= now {
        (last, earlier.iter().map(|row| row.id).collect())
    } else {
        (earlier.first().unwrap_or(last), Vec::new())
    };
    if first.next_at > now {
        return LanePlan::default();
    }
    LanePlan {
        opening_included: tells_the_opening(first, rows, &supersede),
        supersede,
        send: Some(first.id),
    }
}

/// Whether a resolved notice is the first the recipient hears. Settled before
/// its first attempt, so that every attempt says the same.
fn tells_the_opening(first: &LaneRow, rows: &[LaneRow], superseded: &[Uuid]) -> bool {
    let mut openings = rows.iter().filter(|row| row.kind == NoticeKind::Opened);
    first.kind == NoticeKind::Resolved
        && first.attempts == 0
        && openings.all(|row| superseded.contains(&row.id) || row.never_arrived())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(event_number: i64, kind: NoticeKind) -> LaneRow {
        LaneRow {
            id: Uuid::from_u128(u128::from(event_number.unsigned_abs())),
            event_number,
            kind,
            state: DeliveryState::Pending,
            attempts: 0,
            next_at: 0,
            leased: false,
            outcome_unknown: false,
            replayed: false,
        }
    }

    fn opened() -> LaneRow {
        row(1, NoticeKind::Opened)
    }

    fn resolved() -> LaneRow {
        row(3, NoticeKind::Resolved)
    }

    #[test]
    fn an_opening_that_never_arrived_is_told_with_the_end() {
        let failed = LaneRow { attempts: 3, next_at: 60_000, ..opened() };
        for first in [opened(), failed] {
            let plan = plan_lane(&[first.clone(), resolved()], 10);
            assert_eq!(plan.supersede, [first.id]);
            assert_eq!(plan.send, Some(resolved().id));
            assert!(plan.opening_included);
        }
    }

    #[test]
    fn an_opening_that_may_have_arrived_goes_first_and_alone() {
        let unknown = LaneRow { attempts: 1, outcome_unknown: true, next_at: 60_000, ..opened() };
        assert_eq!(plan_lane(&[unknown.clone(), resolved()], 10), LanePlan::default());
        let plan = plan_lane(&[unknown.clone(), resolved()], 60_000);
        assert_eq!((plan.send, plan.supersede.len()), (Some(unknown.id), 0));
    }

    #[test]
    fn while_one_is_being_sent_the_lane_waits() {
        let sending = LaneRow { leased: true, attempts: 1, outcome_unknown: true, ..opened() };
        assert_eq!(plan_lane(&[sending, resolved()], 10), LanePlan::default());
    }

    #[test]
    fn a_dead_opening_blocks_nothing_and_the_end_tells_it_unless_it_may_have_arrived() {
        for (outcome_unknown, included) in [(false, true), (true, false)] {
            let dead =
                LaneRow { state: DeliveryState::Dead, attempts: 22, outcome_unknown, ..opened() };
            let plan = plan_lane(&[dead, resolved()], 10);
            assert_eq!((plan.send, plan.opening_included), (Some(resolved().id), included));
        }
    }

    #[test]
    fn a_replayed_letter_holds_nobody_up_and_is_not_swallowed() {
        let replayed = LaneRow { replayed: true, next_at: 99_999, ..opened() };
        let plan = plan_lane(&[replayed, resolved()], 10);
        assert_eq!((plan.send, plan.supersede.len()), (Some(resolved().id), 0));
    }

    fn rows() -> impl Strategy<Value = Vec<LaneRow>> {
        let one = (
            prop_oneof![
                3 => Just(DeliveryState::Pending),
                1 => Just(DeliveryState::Delivered),
                1 => Just(DeliveryState::Dead),
                1 => Just(DeliveryState::Superseded),
            ],
            0u32..4,
            0i64..100,
            proptest::bool::weighted(0.1),
            proptest::bool::weighted(0.3),
            proptest::bool::weighted(0.1),
        );
        (proptest::collection::vec(one, 1..6), any::<bool>()).prop_map(|(facts, ends)| {
            let last = facts.len();
            let number = |index: usize| i64::try_from(index).unwrap() + 1;
            facts
                .into_iter()
                .enumerate()
                .map(|(index, (state, attempts, next_at, leased, unknown, replayed))| LaneRow {
                    state,
                    attempts,
                    next_at,
                    leased: leased && state == DeliveryState::Pending,
                    outcome_unknown: unknown && attempts > 0,
                    replayed,
                    ..row(
                        number(index),
                        match index {
                            0 => NoticeKind::Opened,
                            _ if ends && index + 1 == last => NoticeKind::Resolved,
                            _ => NoticeKind::Widened,
                        },
                    )
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn the_order_holds_and_nothing_that_may_have_arrived_is_swallowed(rows in rows(), now in 0i64..120) {
            let plan = plan_lane(&rows, now);
            let find = |id: Uuid| rows.iter().find(|row| row.id == id).expect("one of them");
            for id in &plan.supersede {
                let swallowed = find(*id);
                prop_assert!(!swallowed.outcome_unknown && !swallowed.leased);
                prop_assert_eq!(swallowed.state, DeliveryState::Pending);
                prop_assert!(plan.send.is_some(), "swallowed only by one that goes");
            }
            if let Some(id) = plan.send {
                let sent = find(id);
                prop_assert!(sent.state == DeliveryState::Pending && !sent.leased && sent.next_at <= now);
                for earlier in rows.iter().filter(|row| row.waits() && row.event_number < sent.event_number) {
                    prop_assert!(plan.supersede.contains(&earlier.id));
                }
                prop_assert!(plan.supersede.is_empty() || sent.kind == NoticeKind::Resolved);
                if sent.attempts > 0 {
                    prop_assert!(!plan.opening_included, "what was attempted no longer changes");
                }
            }
        }

        #[test]
        fn a_lane_always_comes_to_its_end(rows in rows()) {
            // Every claim is accepted and every lease ends: nothing may wait for ever.
            let mut rows = rows;
            for _ in 0..=rows.len() {
                rows.iter_mut().for_each(|row| row.leased = false);
                let plan = plan_lane(&rows, 1_000);
                for row in &mut rows {
                    if plan.supersede.contains(&row.id) {
                        row.state = DeliveryState::Superseded;
                    }
                    if plan.send == Some(row.id) {
                        row.state = DeliveryState::Delivered;
                    }
                }
            }
            prop_assert!(!rows.iter().any(LaneRow::waits));
        }
    }
}
