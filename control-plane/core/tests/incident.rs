//! The life of one incident under any sequence of evaluations.

use RegionState::{Degraded as G, Down as D, Unknown as U, Up as O};
use hyperverge_control_core::correlation::{
    Evaluation, RegionState, RegionView, Scope, Verdict, evaluate,
};
use hyperverge_control_core::incident::flap::{Rule, Turn};
use hyperverge_control_core::incident::{
    Change, Ending, EventKind, Input, Intent, Open, end, plan,
};
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_protocol::monitor::Quorum;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn vote(states: &[RegionState]) -> Evaluation {
    let regions = states
        .iter()
        .enumerate()
        .map(|(index, state)| RegionView {
            region: format!("region-{index}"),
            region_id: None,
            state: *state,
            since: (*state != O).then_some(1_000 + index as i64),
            reason: (*state == D).then(|| "connect_refused".to_owned()),
            message: None,
        })
        .collect();
    evaluate(regions, Quorum::Majority)
}

fn ask(open: Option<Open>, states: &[RegionState], now: i64) -> Option<Change> {
    plan(&input(open, vote(states)), now).change
}

fn input(open: Option<Open>, evaluation: Evaluation) -> Input {
    Input {
        name: "shop".into(),
        open,
        evaluation,
        group_wait_ms: 5_000,
        labels: BTreeMap::new(),
        flap: Rule::default(),
        turns: Vec::new(),
        hold_until: None,
    }
}

/// What the store makes of a change.
fn apply(open: Option<&Open>, change: &Change, now: i64) -> Option<Open> {
    if change.kind == EventKind::Resolved {
        return None;
    }
    let widest = open.and_then(|open| open.widest_down);
    let down = (change.verdict == Verdict::Down).then_some(change.scope);
    let opening = |quiet| {
        let asked = change.intent.filter(|intent| intent.kind == NoticeKind::Opened);
        asked.is_some_and(|intent| intent.quiet == quiet)
    };
    Some(Open {
        verdict: change.verdict,
        scope: change.scope,
        cause: change.cause.clone(),
        regions: change.regions.clone(),
        started_at: change.started_at,
        opened_at: open.map_or(now, |open| open.opened_at),
        changed_at: now,
        paged: open.is_some_and(|open| open.paged),
        opening_waits: opening(false) || open.is_some_and(|open| open.opening_waits),
        opening_held: open.is_some_and(|open| open.opening_held),
        widening_waits: open.is_some_and(|open| open.widening_waits)
            || change.intent.is_some_and(|intent| intent.kind == NoticeKind::Widened),
        told: open.and_then(|open| open.told).filter(|_| change.verdict == Verdict::Down),
        flaps: open.is_some_and(|open| open.flaps) || change.kind == EventKind::Held,
        told_quietly: opening(true) || open.is_some_and(|open| open.told_quietly),
        widest_down: widest.max(down),
    })
}

/// What the correlator makes of it: what is down is told as it stands.
fn told(open: &mut Open) {
    let down = open.verdict == Verdict::Down;
    if down && (open.opening_waits || open.widening_waits) {
        open.told = open.told.max(Some(open.scope));
        open.paged |= open.opening_waits;
    }
    (open.opening_waits, open.widening_waits) = (false, false);
}

/// A monitor's incidents from one evaluation to the next, told at once.
#[derive(Default)]
struct Life {
    open: Option<Open>,
    turns: Vec<Turn>,
    hold_until: Option<i64>,
    /// Nobody is told yet.
    silenced: bool,
}

impl Life {
    fn see(&mut self, states: &[RegionState], now: i64) -> Option<Change> {
        let input = Input {
            flap: FLAP,
            turns: self.turns.clone(),
            hold_until: self.hold_until,
            ..input(self.open.clone(), vote(states))
        };
        let planned = plan(&input, now);
        (self.turns, self.hold_until) = (planned.turns, planned.hold_until);
        if let Some(change) = &planned.change {
            self.open = apply(self.open.as_ref(), change, now);
        }
        if let Some(open) = &mut self.open {
            match self.silenced {
                true => open.opening_held = open.opening_waits,
                false => told(open),
            }
        }
        planned.change
    }

    fn told_of(&mut self, states: &[RegionState], now: i64) -> Option<NoticeKind> {
        let intent = self.see(states, now)?.intent?;
        (!intent.quiet).then_some(intent.kind)
    }
}

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

#[test]
fn a_second_outage_of_an_open_incident_is_told() {
    use NoticeKind::{Opened, Resolved, Widened};
    for (first, between, again) in [
        ([D, D, D], [D, O, O], [D, D, D]),
        ([D, D, D], [D, G, O], [D, D, D]),
        ([D, D, O], [D, O, O], [O, D, D]),
    ] {
        let mut life = Life::default();
        assert_eq!(life.told_of(&first, 0), Some(Opened));
        assert_eq!(life.told_of(&between, MINUTE), None, "{between:?}");
        let back = life.told_of(&again, DAY);
        assert_eq!(back, Some(Widened), "{first:?} {between:?} {again:?}");
        assert_eq!(life.told_of(&[O, O, O], DAY + MINUTE), Some(Resolved));
    }
}

#[test]
fn what_keeps_coming_back_over_the_quorum_is_told_as_often_as_flapping_allows() {
    let mut life = Life::default();
    let mut notices = 0;
    for minute in 0..30 {
        let states = if minute % 2 == 0 { [D, D, D] } else { [D, O, O] };
        notices += i64::from(life.told_of(&states, minute * MINUTE).is_some());
    }
    assert_eq!(notices, 3, "the fourth turn within half an hour is one too many");
    life.see(&[D, O, O], 30 * MINUTE);
    assert_eq!(life.told_of(&[D, D, D], DAY), Some(NoticeKind::Widened), "another day");
}

#[test]
fn it_began_with_the_quorum_and_not_with_the_first_region() {
    let at = |times: [Option<i64>; 3]| {
        let mut regions = vote(&times.map(|time| if time.is_some() { D } else { O })).regions;
        regions.iter_mut().zip(times).for_each(|(region, time)| region.since = time);
        evaluate(regions, Quorum::Majority)
    };
    let local = plan(&input(None, at([Some(1_000), None, None])), 2_000).change.unwrap();
    let open = apply(None, &local, 2_000);
    assert_eq!(local.started_at, 1_000);
    let later = DAY + 2_000;
    let wide = at([Some(1_000), Some(DAY), Some(DAY + 1_000)]);
    let wide = plan(&input(open.clone(), wide), later).change.unwrap();
    assert_eq!(wide.started_at, DAY, "when the second region of two that are needed failed");
    assert!(wide.reasons.iter().any(|reason| reason.contains("23h 59m")), "{:?}", wide.reasons);
    let mut open = apply(open.as_ref(), &wide, later).unwrap();
    told(&mut open);
    let narrow = plan(&input(Some(open.clone()), at([Some(1_000), None, None])), later + 1);
    let open = apply(Some(&open), &narrow.change.unwrap(), later + 1).unwrap();
    let again = at([Some(1_000), None, Some(2 * DAY)]);
    let again = plan(&input(Some(open), again), 2 * DAY + 5).change.unwrap();
    assert_eq!(again.started_at, DAY, "people know it since then");
}

#[test]
fn everywhere_is_told_when_it_was_not_told_though_it_was_so() {
    let mut life = Life::default();
    life.see(&[D, D, O], 0);
    // The notice goes out as it narrows again.
    let mut open = life.open.clone().unwrap();
    open.widest_down = Some(Scope::Global);
    life.open = Some(open);
    assert_eq!(life.told_of(&[D, D, D], 2), Some(NoticeKind::Widened));
    assert_eq!(life.told_of(&[D, D, O], 3), None);
    assert_eq!(life.told_of(&[D, D, D], 4), None, "people know");
}

#[test]
fn a_cause_stands_while_no_region_that_is_down_gives_one() {
    let open = apply(None, &ask(None, &[D, D, O], 0).unwrap(), 0).unwrap();
    let mut quiet = vote(&[D, D, D]);
    quiet.regions.iter_mut().for_each(|region| region.reason = None);
    let quiet = evaluate(quiet.regions, Quorum::Majority);
    let wider = plan(&input(Some(open), quiet), 5 * MINUTE).change.unwrap();
    assert_eq!(wider.cause.as_deref(), Some("connect_refused"));
}

#[test]
fn one_region_then_all_then_none() {
    let quiet = ask(None, &[D, O, O], 10_000).unwrap();
    assert_eq!((quiet.kind, quiet.scope), (EventKind::Opened, Scope::Local));
    let told = Intent { kind: NoticeKind::Opened, due_at: 15_000, quiet: true };
    assert_eq!(quiet.intent, Some(told), "for routes that name local incidents");
    assert_eq!(quiet.summary, "shop fails in 1 of 3 regions (region-0): connection refused");
    assert_eq!(quiet.started_at, 1_000);
    let open = apply(None, &quiet, 10_000);

    let wide = ask(open.clone(), &[D, D, D], 20_000).unwrap();
    assert_eq!(
        (wide.kind, wide.verdict, wide.scope),
        (EventKind::Widened, Verdict::Down, Scope::Global)
    );
    assert_eq!(wide.summary, "shop is down in 3 of 3 regions: connection refused");
    let intent = wide.intent.unwrap();
    assert_eq!((intent.kind, intent.due_at), (NoticeKind::Opened, 25_000));
    assert_eq!(wide.started_at, 1_001, "when the quorum was reached");

    let mut open = apply(open.as_ref(), &wide, 20_000).unwrap();
    (open.paged, open.opening_waits) = (true, false);
    assert_eq!(ask(Some(open.clone()), &[U, U, D], 21_000), None, "unknown resolves nothing");
    let over = ask(Some(open), &[O, O, O], 61_001).unwrap();
    assert_eq!(
        (over.kind, over.verdict, over.scope),
        (EventKind::Resolved, Verdict::Down, Scope::Global)
    );
    assert_eq!(over.intent.unwrap().kind, NoticeKind::Resolved);
    assert_eq!(over.summary, "shop is up again after 1m; it was: connection refused");
}

#[test]
fn who_lost_sight_of_a_failure_does_not_say_that_it_is_over() {
    let open = apply(None, &ask(None, &[D, O, O], 0).unwrap(), 0).unwrap();
    let mut lost = vote(&[U, O, O]);
    lost.regions[0].reason = Some("silent".into());
    let over = plan(&input(Some(open.clone()), lost), 300_000).change.unwrap();
    assert_eq!(over.kind, EventKind::Resolved);
    let said = "shop is no longer seen failing after 4m 59s: region-0 casts no vote \
                (its agent is silent); it was: connection refused";
    assert_eq!(over.summary, said);
    let why = "region-0 saw it failing and has not seen it well since";
    assert!(over.reasons.iter().any(|reason| reason == why), "{:?}", over.reasons);
    // Of who did not see it fail nobody asks whether it is well.
    let over = ask(Some(open), &[O, U, O], 300_000).unwrap();
    assert!(over.summary.starts_with("shop is up again"), "{}", over.summary);
}

#[test]
fn a_paged_incident_that_becomes_global_says_so_once() {
    let first = ask(None, &[D, D, O], 0).unwrap();
    let mut open = apply(None, &first, 0).unwrap();
    let while_waiting = ask(Some(open.clone()), &[D, D, D], 1).unwrap();
    assert_eq!(while_waiting.intent, None, "the opening will tell it");
    told(&mut open);
    let wider = ask(Some(open.clone()), &[D, D, D], 1).unwrap();
    assert_eq!(wider.intent.unwrap().kind, NoticeKind::Widened);
    let mut open = apply(Some(&open), &wider, 1).unwrap();
    told(&mut open);
    let narrower = ask(Some(open.clone()), &[D, D, O], 2).unwrap();
    assert_eq!((narrower.kind, narrower.intent), (EventKind::Narrowed, None));
    let open = apply(Some(&open), &narrower, 2).unwrap();
    let again = ask(Some(open), &[D, D, D], 3).unwrap();
    assert_eq!((again.kind, again.intent), (EventKind::Widened, None));
}

#[test]
fn unknown_opens_nothing_and_a_slow_region_alone_neither() {
    assert_eq!(ask(None, &[U, U, D], 0), None);
    assert_eq!(ask(None, &[G, O, O], 0), None);
    let slow = ask(None, &[G, G, O], 0).unwrap();
    assert_eq!(slow.verdict, Verdict::Degraded);
    assert!(slow.intent.is_some_and(|intent| intent.quiet));
}

#[test]
fn an_ended_monitor_tells_only_who_was_or_will_be_paged() {
    let local = apply(None, &ask(None, &[D, O, O], 0).unwrap(), 0).unwrap();
    let ended = |open: &Open, ending| end("shop", &BTreeMap::new(), open, ending, 9);
    let untold = Open { told_quietly: false, ..local.clone() };
    let quiet = ended(&untold, Ending::Disabled);
    assert_eq!((quiet.kind, quiet.intent), (EventKind::Resolved, None));
    assert!(ended(&local, Ending::Disabled).intent.is_some_and(|intent| intent.quiet));
    let waiting = apply(None, &ask(None, &[D, D, O], 0).unwrap(), 0).unwrap();
    let told = ended(&waiting, Ending::Deleted);
    assert_eq!(told.intent.unwrap().kind, NoticeKind::Resolved);
    assert_eq!(told.summary, "shop was deleted while its incident was open");
}

fn any_state() -> impl Strategy<Value = RegionState> {
    prop_oneof![4 => Just(O), 4 => Just(D), 1 => Just(G), 1 => Just(U)]
}

const FLAP: Rule = Rule { changes: 4, within_ms: 1_800_000, settle_ms: 600_000 };

#[test]
fn a_flapping_monitor_resolves_when_it_has_settled() {
    use EventKind::{Held, Opened, Resolved};
    let mut life = Life::default();
    let kinds: Vec<EventKind> = [[D, D, D], [O, O, O], [D, D, D], [O, O, O], [D, D, D], [O, O, O]]
        .iter()
        .zip(1..)
        .filter_map(|(states, minute)| life.see(states, minute * MINUTE))
        .map(|change| change.kind)
        .collect();
    assert_eq!(
        kinds,
        [Opened, Resolved, Opened, Held, EventKind::Changed, Held],
        "down again within the incident"
    );
    assert_eq!(life.hold_until, Some(16 * MINUTE), "from when it was well again");
    assert_eq!(life.see(&[O, O, O], 16 * MINUTE - 1), None);
    assert_eq!(life.hold_until, Some(16 * MINUTE));
    assert_eq!(life.see(&[O, O, O], 16 * MINUTE).unwrap().kind, Resolved);
}

#[test]
fn what_flaps_for_a_day_is_told_a_handful_of_times() {
    let mut life = Life::default();
    let mut notices = Vec::new();
    for minute in (0..1_440).step_by(2) {
        let states = if minute % 4 == 0 { [D, D, D] } else { [O, O, O] };
        notices.extend(life.told_of(&states, minute * MINUTE));
    }
    assert_eq!(notices.len(), 3, "{notices:?}");
    // Nor does it settle by being well for a while and not known for the rest.
    life.see(&[D, D, D], DAY);
    let well = DAY + MINUTE;
    life.see(&[O, O, O], well);
    life.see(&[U, U, D], well + MINUTE);
    assert_eq!(life.see(&[O, O, O], well + 9 * MINUTE).unwrap().kind, EventKind::Held);
    assert_eq!(life.see(&[O, O, O], well + 10 * MINUTE), None);
    let over = life.told_of(&[O, O, O], well + 19 * MINUTE);
    assert_eq!(over, Some(NoticeKind::Resolved));
}

#[test]
fn a_held_resolution_counts_what_turned_within_the_window() {
    let turns = vec![Turn { at: 0, loud: true }; 9];
    let mut life = Life { turns, ..Life::default() };
    let now = 10 * DAY;
    for (minute, states) in (0..).zip([[D, D, D], [O, O, O], [D, D, D]]) {
        life.see(&states, now + minute * MINUTE);
    }
    let held = life.see(&[O, O, O], now + 3 * MINUTE).unwrap();
    assert!(held.reasons[1].contains("3 times within 30m"), "{:?}", held.reasons);
}

#[test]
fn what_a_silence_kept_from_people_makes_nothing_flap() {
    let mut life = Life { silenced: true, ..Life::default() };
    life.see(&[D, D, D], 0);
    assert_eq!(life.see(&[O, O, O], MINUTE).unwrap().kind, EventKind::Resolved);
    life.silenced = false;
    assert_eq!(life.told_of(&[D, D, D], 2 * MINUTE), Some(NoticeKind::Opened));
    assert_eq!(life.told_of(&[O, O, O], 3 * MINUTE), Some(NoticeKind::Resolved));
}

#[test]
fn what_falls_below_the_quorum_before_it_is_told_is_a_quiet_incident_then() {
    let opens = ask(None, &[D, D, O], 1_000).unwrap();
    let open = apply(None, &opens, 1_000).unwrap();
    let below = ask(Some(open.clone()), &[D, O, O], 2_000).unwrap();
    let intent = below.intent.expect("routes that hear of such are told");
    assert_eq!(
        (below.kind, intent.kind, intent.quiet),
        (EventKind::Narrowed, NoticeKind::Opened, true)
    );
    // Once is enough, and who was paged knows.
    let quiet = apply(Some(&open), &below, 2_000).unwrap();
    let again = Open { verdict: Verdict::Down, ..quiet };
    assert_eq!(ask(Some(again), &[D, O, O], 3_000).unwrap().intent, None);
    let paged = Open { paged: true, opening_waits: false, ..open };
    assert_eq!(ask(Some(paged), &[D, O, O], 3_000).unwrap().intent, None);
}

#[test]
fn what_only_a_faulty_agent_saw_is_withdrawn_unless_people_were_paged() {
    let mut any = vote(&[D, O, O]);
    any = evaluate(any.regions, Quorum::Any);
    let first = plan(&input(None, any.clone()), 0).change.unwrap();
    assert_eq!(first.verdict, Verdict::Down);
    let open = apply(None, &first, 0).unwrap();
    any.regions[0].state = U;
    any.regions[0].reason = Some("discredited".into());
    let after = evaluate(any.regions, Quorum::Any);
    assert_eq!(after.verdict, Verdict::Unknown);
    let withdrawn = plan(&input(Some(open.clone()), after.clone()), 1_000).change.unwrap();
    assert_eq!((withdrawn.kind, withdrawn.intent), (EventKind::Resolved, None));
    let paged = Open { paged: true, opening_waits: false, ..open };
    assert_eq!(plan(&input(Some(paged), after), 1_000).change, None);
}

proptest! {
    /// Whatever the regions say and whenever the correlator runs: nobody is told
    /// of an incident without a quorum, everybody told of one hears its end, and
    /// each incident opens and ends at most once.
    #[test]
    fn who_is_told_of_the_beginning_is_told_of_the_end(
        rounds in proptest::collection::vec((proptest::collection::vec(any_state(), 3), prop::bool::ANY), 1..40),
    ) {
        let mut open: Option<Open> = None;
        let mut now = 10_000;
        for (states, correlator_runs) in rounds {
            now += 1_000;
            if let Some(change) = ask(open.clone(), &states, now) {
                let evaluation = vote(&states);
                prop_assert_eq!(change.kind == EventKind::Opened, open.is_none());
                prop_assert!(evaluation.verdict != Verdict::Unknown);
                let loud = change.intent.filter(|intent| !intent.quiet);
                match loud.map(|intent| intent.kind) {
                    Some(NoticeKind::Opened) => {
                        prop_assert_eq!(change.verdict, Verdict::Down);
                        prop_assert!(!open.as_ref().is_some_and(|open| open.paged || open.opening_waits));
                    }
                    Some(NoticeKind::Widened) => prop_assert!(open.as_ref().is_some_and(|open| open.paged)),
                    Some(NoticeKind::Resolved) => prop_assert_eq!(change.kind, EventKind::Resolved),
                    None => {}
                }
                if change.kind == EventKind::Resolved {
                    let told = open.as_ref().is_some_and(|open| open.paged || open.opening_waits);
                    prop_assert_eq!(loud.is_some(), told);
                    prop_assert!(change.intent.is_some(), "routes were told of it quietly at least");
                    prop_assert!(states.iter().all(|state| *state != D));
                }
                open = apply(open.as_ref(), &change, now);
            } else if let Some(open) = &open {
                let evaluation = vote(&states);
                prop_assert!(evaluation.verdict == Verdict::Unknown || evaluation.scope.is_some());
                prop_assert!(open.verdict != Verdict::Unknown);
            }
            let down = vote(&states).verdict == Verdict::Down;
            let heard = |open: &Open| {
                open.opening_waits || open.widening_waits || open.told.is_some()
            };
            prop_assert!(!down || open.as_ref().is_some_and(heard), "nobody is told of an outage");
            prop_assert!(!down || open.as_ref().is_some_and(|open| open.paged || open.opening_waits));
            if let Some(open) = open.as_mut().filter(|_| correlator_runs) {
                let waits = (open.opening_waits, down);
                if waits == (true, false) {
                    // Told when it ends, whatever it was when it was due.
                    open.paged = true;
                }
                told(open);
            }
        }
    }
}
