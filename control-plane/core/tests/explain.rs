//! Decisions asked again, votes in words, and the sentence of a moment.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use hyperverge_control_core::correlation::{
    Evaluation, RegionState, RegionView, Scope, Verdict, evaluate,
};
use hyperverge_control_core::explain::{
    At, Night, NoticeStands, Replayed, Stored, Told, at_night, decided_again, votes, why_at,
};
use hyperverge_control_core::incident::{
    Change, Ending, Input, Open, end, fall_silent, flap, plan,
};
use hyperverge_control_core::liveness::{self, SilentRegion};
use hyperverge_control_core::notification::DeliveryState;
use hyperverge_protocol::monitor::{MonitorSpec, Quorum};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const NOW: i64 = 1_769_860_800_000;

fn view(index: usize, state: RegionState) -> RegionView {
    let reason = match state {
        RegionState::Up => None,
        RegionState::Unknown => Some("silent"),
        RegionState::Degraded | RegionState::Down => Some("connect_refused"),
    };
    RegionView {
        region: format!("region-{index}"),
        region_id: Some(Uuid::from_u128(index as u128)),
        state,
        since: Some(NOW - 60_000 - index as i64),
        reason: reason.map(str::to_owned),
        message: None,
    }
}

fn vote(states: &[RegionState]) -> Evaluation {
    let views = states.iter().enumerate().map(|(index, state)| view(index, *state)).collect();
    evaluate(views, Quorum::Majority)
}

fn input(states: &[RegionState], open: Option<Open>) -> Input {
    Input {
        name: "shop".into(),
        open,
        evaluation: vote(states),
        group_wait_ms: 5_000,
        labels: BTreeMap::new(),
        flap: flap::Rule::default(),
        turns: Vec::new(),
        hold_until: None,
    }
}

/// A change with its evidence, as the store keeps them.
fn stored<'a>(change: &'a Change, evidence: &'a Value) -> Stored<'a> {
    Stored {
        kind: change.kind.as_str(),
        at: NOW,
        verdict: change.verdict,
        scope: change.scope,
        summary: &change.summary,
        evidence,
        subject: "shop",
        started_at: change.started_at,
    }
}

fn evidence(input: impl serde::Serialize, change: &Change) -> Value {
    let text = json!({ "input": input, "reasons": change.reasons }).to_string();
    serde_json::from_str(&text).unwrap()
}

fn open(verdict: Verdict, scope: Scope, paged: bool) -> Open {
    Open {
        verdict,
        scope,
        cause: Some("connect_refused".into()),
        regions: vec![view(0, RegionState::Down)],
        started_at: NOW - 90_000,
        opened_at: NOW - 60_000,
        changed_at: NOW - 60_000,
        paged,
        opening_waits: false,
        opening_held: false,
        widening_waits: false,
        told: paged.then_some(scope),
        flaps: false,
        told_quietly: false,
        widest_down: paged.then_some(scope),
    }
}

fn state() -> impl Strategy<Value = RegionState> {
    prop_oneof![
        Just(RegionState::Up),
        Just(RegionState::Degraded),
        Just(RegionState::Down),
        Just(RegionState::Unknown),
    ]
}

proptest! {
    /// What was decided once is decided again from what is stored of it.
    #[test]
    fn a_stored_decision_is_made_again(
        states in proptest::collection::vec(state(), 1..6),
        paged: bool, is_open: bool,
        scope in prop_oneof![Just(Scope::Local), Just(Scope::Regional), Just(Scope::Global)],
        turns in proptest::collection::vec(NOW - 1_000_000..NOW, 0..6),
        hold in proptest::option::of(NOW - 10..NOW + 10),
    ) {
        let verdict = if paged { Verdict::Down } else { Verdict::Up };
        let mut asked = input(&states, is_open.then(|| open(verdict, scope, paged)));
        asked.flap = flap::Rule { changes: 4, within_ms: 1_800_000, settle_ms: 600_000 };
        asked.turns = turns.into_iter().map(|at| flap::Turn { at, loud: true }).collect();
        asked.hold_until = hold;
        if let Some(change) = plan(&asked, NOW).change {
            let kept = evidence(&asked, &change);
            let again = decided_again(&stored(&change, &kept));
            prop_assert_eq!(again.result, Replayed::Same, "{:?}", again.with);
            let other = Stored { summary: "something else", ..stored(&change, &kept) };
            prop_assert_eq!(decided_again(&other).result, Replayed::Different);
        }
    }
}

#[test]
fn endings_and_silences_are_decided_again_too() {
    let before = open(Verdict::Down, Scope::Global, true);
    let labels = BTreeMap::from([("severity".to_owned(), "info".to_owned())]);
    let over = end("shop", &labels, &before, Ending::Disabled, NOW);
    let asked =
        json!({ "name": "shop", "labels": labels, "ending": Ending::Disabled, "open": before });
    let kept = evidence(asked, &over);
    assert_eq!(decided_again(&stored(&over, &kept)).result, Replayed::Same);

    let agent = |id: &str, heard: i64| liveness::Agent {
        id: id.to_owned(),
        region_id: Uuid::nil(),
        last_heartbeat_at: Some(NOW - heard),
        lost_at: Some(NOW - 30_000),
        barred: false,
    };
    let fleet = liveness::Input {
        agents: vec![agent("a", 65_000), agent("b", 70_000)],
        ..liveness::Input::default()
    };
    let settings = liveness::Settings::default();
    let region = liveness::plan(&fleet, settings, NOW).silent.remove(0);
    let change = fall_silent("shop", &region, 5_000, NOW);
    // Of a region with more agents than are stored, those heard last are enough.
    for limit in [1, 2] {
        let (part, left_out) = fleet.about(Uuid::nil(), limit);
        let asked = |silent: &SilentRegion| {
            json!({ "liveness": part, "settings": settings,
            "left_out": left_out, "silent": silent })
        };
        let kept = evidence(asked(&region), &change);
        let again = decided_again(&stored(&change, &kept));
        assert_eq!((again.result, left_out), (Replayed::Same, 2 - limit), "{:?}", again.with);
        let other = SilentRegion { region_id: Uuid::max(), ..region.clone() };
        let kept = evidence(asked(&other), &change);
        let again = decided_again(&stored(&change, &kept)).result;
        assert_eq!(again, if limit == 1 { Replayed::Unknown } else { Replayed::Different });
    }
}

#[test]
fn what_another_version_wrote_is_unknown_and_no_failure() {
    let asked = input(&[RegionState::Down; 3], None);
    let change = plan(&asked, NOW).change.unwrap();
    for evidence in [json!({}), json!({ "input": { "version": 9 } }), json!(null), json!([1])] {
        let again = decided_again(&stored(&change, &evidence));
        assert_eq!((again.result, again.with[0].as_str()), (Replayed::Unknown, "unknown evidence"));
    }
    let kept = evidence(&asked, &change);
    let kinds = [
        ("foretold", Replayed::Unknown),
        ("acknowledged", Replayed::Nobody),
        ("comment", Replayed::Nobody),
        ("paged", Replayed::Nobody),
    ];
    for (kind, result) in kinds {
        let again = decided_again(&Stored { kind, ..stored(&change, &kept) });
        assert_eq!(again.result, result, "{kind}");
    }
    let odd = json!({ "input": { "candidates": "none" }, "plan": {} });
    let again = decided_again(&Stored { kind: "paged", ..stored(&change, &odd) });
    assert_eq!(again.result, Replayed::Unknown);
}

#[test]
fn who_casts_no_vote_says_why() {
    let said = |reason: &str| {
        let region = RegionView { reason: Some(reason.into()), ..view(0, RegionState::Unknown) };
        let vote = votes(&[region]).remove(0);
        assert!(!vote.cast);
        vote.why
    };
    let mut seen = std::collections::BTreeSet::new();
    for reason in [
        "unassigned",
        "pending",
        "silent",
        "missed",
        "missed_overload",
        "missed_suspend",
        "missed_stopped",
        "agent_fault",
        "discredited",
        "policy_address",
        "unsupported_kind",
        "connect_refused",
    ] {
        assert!(seen.insert(said(reason)), "{reason} says what another says");
    }
}

#[test]
fn a_moment_says_why_nobody_was_told() {
    let json = json!({ "name": "shop", "target": "https://shop.example/" });
    let spec = MonitorSpec::from_json(json.to_string().as_bytes()).unwrap();
    let why = |states: &[RegionState], told| {
        let evaluation = vote(states);
        let (spec, evaluation) = (Some(&spec), Some(&evaluation));
        why_at(&At { name: "shop", spec, evaluation, seats: &[], told })
    };
    use RegionState::{Down, Unknown, Up};
    assert_eq!(why(&[Up; 3], Told::NoIncident), "No page: all 3 regions saw shop well.");
    let one = why(&[Down, Up, Unknown], Told::NoIncident);
    assert!(
        one.contains("1 of 3 regions saw shop down, 2 are needed, and 1 cast no vote"),
        "{one}"
    );
    assert!(one.contains("region-2 cast no vote: its agent has not reported"), "{one}");
    let held = why(&[Down; 3], Told::Waits { why: "held by the silence deploy" });
    assert!(held.starts_with("No page yet: shop was down") && held.contains("deploy"), "{held}");
    let told = why(&[Down; 3], Told::Paged { at: "12:00" });
    assert!(told.contains("people had been told at 12:00"), "{told}");
    let gone =
        At { name: "shop", spec: None, evaluation: None, seats: &[], told: Told::NoIncident };
    assert_eq!(why_at(&gone), "No page: shop was not watched then.");
    let quietly = why(&[Down, Up, Up], Told::Quietly { at: "12:00" });
    assert!(quietly.starts_with("No page: 1 of 3 regions saw shop down, and 2 are"), "{quietly}");
    assert!(quietly.ends_with("at 12:00 the routes that name such incidents had been told."));
    let forgotten = |told| why_at(&At { spec: Some(&spec), told, ..gone });
    for (told, begins) in [
        (Told::NoIncident, "No page: no incident of shop was open then;"),
        (Told::Paged { at: "12:00" }, "People had been told of shop at 12:00;"),
        (Told::Nobody { why: "x" }, "No page: nobody was told of shop: x;"),
    ] {
        let said = forgotten(told);
        assert!(said.starts_with(begins) && said.contains("not known any more"), "{said}");
    }
}

#[test]
fn a_night_in_one_sentence() {
    let notice = NoticeStands {
        channel: "on-call",
        state: DeliveryState::Delivered,
        made_at: NOW + 5_000,
        settled_at: Some(NOW + 6_000),
        last_error: None,
        through: None,
        quiet: false,
    };
    let dead = NoticeStands {
        channel: "mail",
        state: DeliveryState::Dead,
        last_error: Some("mailbox full"),
        ..notice
    };
    let mut night = Night {
        summary: "shop is down in 3 of 3 regions: connection refused",
        started_at: NOW - 20_000,
        opened_at: NOW,
        resolved_at: None,
        arithmetic: Some(vote(&[RegionState::Down; 3]).arithmetic()),
        notices: &[notice, dead],
        nobody: None,
    };
    let said = at_night(&night);
    for words in
        ["known 20s later", "on-call was told 26s after", "mail could not be told (mailbox full)"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let with = |settled_at| NoticeStands { through: Some("gateway"), settled_at, ..notice };
    let notices = [with(Some(NOW + 6_000)), with(Some(NOW - 90_000))];
    night.notices = &notices;
    let said = at_night(&night);
    assert!(said.contains("on-call was told with gateway 26s after it began"), "{said}");
    assert!(said.contains("on-call knew of gateway before it began"), "{said}");
    let quiet = [NoticeStands { quiet: true, ..notice }];
    (night.notices, night.nobody) = (&quiet, Some("held by the silence deploy"));
    let said = at_night(&night);
    let words =
        "on-call was told quietly 26s after it began; nobody was paged (held by the silence";
    assert!(said.contains(words), "{said}");
    (night.notices, night.nobody) = (&[], Some("there is no channel to tell"));
    assert!(at_night(&night).contains("nobody was told (there is no channel to tell)"));
}
