//! What becomes of an incident's waiting page intents.
//!
//! An intent says that something happened which people should know; by the time
//! it is due, more may have happened. People are then told how things stand, in
//! one notice: an opening takes later widenings with it, and a resolution that
//! overtook its own opening tells both.

use super::NoticeKind;
use serde::{Deserialize, Serialize};

/// An intent that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub event_number: i64,
    pub kind: NoticeKind,
    pub due_at: i64,
}

/// Why a page is held back after all.
pub const QUORUM_ENDED: &str = "held: the quorum ended before it was due";

/// What to do with one incident's intents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settlement {
    /// The notice to send now, if any.
    pub send: Option<ToSend>,
    /// Intents that need nothing of their own, with why.
    pub folded: Vec<(i64, &'static str)>,
}

/// A notice to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToSend {
    pub event_number: i64,
    pub kind: NoticeKind,
    /// The opening was never told: this notice tells it too.
    pub opening_included: bool,
}

/// Settles what waits, in the order of events, at `now`. Later intents are
/// folded into an opening even before they are due: the notice shows the
/// present. Nothing is settled while nothing is due. `down`: the incident's
/// verdict is still down; an opening whose quorum is gone by then pages nobody.
pub fn settle(waiting: &[Waiting], down: bool, now: i64) -> Settlement {
    let mut settlement = Settlement::default();
    let resolved = waiting.iter().rfind(|intent| intent.kind == NoticeKind::Resolved);
    let opening = waiting.iter().find(|intent| intent.kind == NoticeKind::Opened);
    if let Some(resolved) = resolved {
        if resolved.due_at > now && opening.is_none_or(|opening| opening.due_at > now) {
            return settlement;
        }
        settlement.send = Some(ToSend {
            event_number: resolved.event_number,
            kind: NoticeKind::Resolved,
            opening_included: opening.is_some(),
        });
        fold(waiting, resolved.event_number, "told by the notice that it is over", &mut settlement);
        return settlement;
    }
    let leading = opening.or_else(|| waiting.first());
    let Some(leading) = leading.filter(|intent| intent.due_at <= now) else { return settlement };
    if !down {
        let all = waiting.iter();
        settlement.folded = all.map(|intent| (intent.event_number, QUORUM_ENDED)).collect();
        return settlement;
    }
    settlement.send = Some(ToSend {
        event_number: leading.event_number,
        kind: leading.kind,
        opening_included: false,
    });
    fold(waiting, leading.event_number, "told by an earlier notice", &mut settlement);
    settlement
}

fn fold(waiting: &[Waiting], sent: i64, why: &'static str, settlement: &mut Settlement) {
    let rest = waiting.iter().filter(|intent| intent.event_number != sent);
    settlement.folded.extend(rest.map(|intent| (intent.event_number, why)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use NoticeKind::{Opened, Resolved, Widened};
    use proptest::prelude::*;

    fn waiting(event_number: i64, kind: NoticeKind, due_at: i64) -> Waiting {
        Waiting { event_number, kind, due_at }
    }

    #[test]
    fn nothing_is_told_before_it_is_due() {
        assert_eq!(settle(&[], true, 10), Settlement::default());
        assert_eq!(settle(&[waiting(1, Opened, 11)], true, 10), Settlement::default());
    }

    #[test]
    fn an_opening_takes_a_widening_with_it() {
        let settlement = settle(&[waiting(1, Opened, 10), waiting(2, Widened, 12)], true, 10);
        let send = ToSend { event_number: 1, kind: Opened, opening_included: false };
        assert_eq!(settlement.send, Some(send));
        assert_eq!(settlement.folded.len(), 1);
    }

    #[test]
    fn a_resolution_that_overtakes_its_opening_tells_both() {
        let settlement = settle(&[waiting(1, Opened, 15), waiting(3, Resolved, 10)], true, 10);
        let send = ToSend { event_number: 3, kind: Resolved, opening_included: true };
        assert_eq!(settlement.send, Some(send));
        assert_eq!(settlement.folded, [(1, "told by the notice that it is over")]);
    }

    #[test]
    fn an_opening_whose_quorum_is_gone_pages_nobody() {
        let settlement = settle(&[waiting(1, Opened, 10), waiting(2, Widened, 12)], false, 10);
        assert_eq!(settlement.send, None);
        assert_eq!(settlement.folded, [(1, QUORUM_ENDED), (2, QUORUM_ENDED)]);
        assert_eq!(settle(&[waiting(1, Opened, 11)], false, 10), Settlement::default(), "not yet");
    }

    #[test]
    fn a_resolution_of_something_told_stands_alone() {
        let settlement = settle(&[waiting(3, Resolved, 10)], true, 10);
        let send = ToSend { event_number: 3, kind: Resolved, opening_included: false };
        assert_eq!(settlement.send, Some(send));
    }

    proptest! {
        #[test]
        fn everything_is_settled_together_or_not_at_all(
            kinds in prop::collection::vec((0u8..3, 0i64..20), 0..6), now in 0i64..20, down: bool
        ) {
            let waiting: Vec<_> = (1i64..).zip(&kinds).map(|(number, (kind, due))| {
                waiting(number, [Opened, Widened, Resolved][usize::from(*kind)], *due)
            }).collect();
            let settlement = settle(&waiting, down, now);
            let settled = settlement.folded.len() + usize::from(settlement.send.is_some());
            prop_assert!(settled == 0 || settled == waiting.len());
        }
    }
}
