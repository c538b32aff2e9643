//! The life of one incident under any sequence of evaluations.

use RegionState::{Degraded as G, Down as D, Unknown as U, Up as O};
use hyperverge_control_core::correlation::{
    Evaluation, RegionState, RegionView, Scope, Verdict, evaluate,
};
use hyperverge_control_core::incident::flap::Rule;
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
        changed_at: now,
        paged: open.is_some_and(|open| open.paged),
        opening_waits: opening(false) || open.is_some_and(|open| open.opening_waits),
        told_quietly: opening(true) || open.is_some_and(|open| open.told_quietly),
        widest_down: widest.max(down),
    })
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
    assert_eq!(wide.started_at, 1_000);

    let mut open = apply(open.as_ref(), &wide, 20_000).unwrap();
    (open.paged, open.opening_waits) = (true, false);
    assert_eq!(ask(Some(open.clone()), &[U, U, D], 21_000), None, "unknown resolves nothing");
    let over = ask(Some(open), &[O, O, O], 61_000).unwrap();
    assert_eq!(
        (over.kind, over.verdict, over.scope),
        (EventKind::Resolved, Verdict::Down, Scope::Global)
    );
    assert_eq!(over.intent.unwrap().kind, NoticeKind::Resolved);
    assert_eq!(over.summary, "shop is up again after 1m; it was: connection refused");
}

#[test]
fn a_paged_incident_that_becomes_global_says_so_once() {
    let first = ask(None, &[D, D, O], 0).unwrap();
    let mut open = apply(None, &first, 0).unwrap();
    let while_waiting = ask(Some(open.clone()), &[D, D, D], 1).unwrap();
    assert_eq!(while_waiting.intent, None, "the opening will tell it");
    (open.paged, open.opening_waits) = (true, false);
    let wider = ask(Some(open.clone()), &[D, D, D], 1).unwrap();
    assert_eq!(wider.intent.unwrap().kind, NoticeKind::Widened);
    let open = apply(Some(&open), &wider, 1).unwrap();
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
    let mut turns = Vec::new();
    let mut open = None;
    let mut hold_until = None;
    let mut kinds = Vec::new();
    let mut now = 0;
    for states in [[D, D, D], [O, O, O], [D, D, D], [O, O, O], [D, D, D], [O, O, O]] {
        now += 60_000;
        let input = Input {
            flap: FLAP,
            turns: turns.clone(),
            hold_until,
            ..input(open.clone(), vote(&states))
        };
        let planned = plan(&input, now);
        hold_until = planned.hold_until;
        let Some(change) = planned.change else { continue };
        kinds.push(change.kind);
        turns.extend(planned.turn);
        if change.kind != Held {
            open = apply(open.as_ref(), &change, now);
        }
    }
    assert_eq!(kinds, [Opened, Resolved, Opened, Held, Held], "down again within the incident");
    assert_eq!(hold_until, Some(960_000), "from when it was well again");
    let well = |now| {
        let input = Input {
            flap: FLAP,
            turns: turns.clone(),
            hold_until,
            ..input(open.clone(), vote(&[O, O, O]))
        };
        plan(&input, now)
    };
    assert_eq!((well(959_999).change, well(959_999).hold_until), (None, hold_until));
    assert_eq!(well(960_000).change.unwrap().kind, Resolved);
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
            prop_assert!(!down || open.as_ref().is_some_and(|open| open.paged || open.opening_waits));
            if let Some(open) = open.as_mut().filter(|_| correlator_runs) {
                (open.paged, open.opening_waits) = (open.paged || open.opening_waits, false);
            }
        }
    }
}
