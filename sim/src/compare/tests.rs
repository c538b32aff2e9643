//! What must hold in every campaign, over a small one.

use super::*;
use crate::compare::kind::Kind;

/// Faults of the small campaign: each kind five times.
const FAULTS: u64 = 80;

#[test]
fn no_goal_is_missed_in_a_small_campaign() {
    let comparison = run(1, FAULTS, Field::Product).unwrap();
    let own = &comparison.standings[0];
    let misses = &comparison.misses;
    assert!(own.total.due > FAULTS / 4, "{} due", own.total.due);
    assert!(own.total.not_due > FAULTS / 5, "{} not due", own.total.not_due);
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_agents()) {
        let tally = &own.kinds[kind.name()];
        assert_eq!((tally.due, tally.between), (0, 0), "an agent's fault hurts nobody");
        // Whom no count of votes protects is told of in the campaign's table.
        let wronged = if kind.is_quorum_of_agents() { 0 } else { tally.wronged };
        assert_eq!(wronged, 0, "{misses:?}; `compare --show N` writes fault N's scenario");
    }
    assert_eq!(own.our_pages, 0, "{misses:?}");
    assert_eq!(own.total.paged, own.total.due, "{misses:?}");
    // What comes back twice may be told twice before it counts as flapping.
    for (kind, tally) in &own.kinds {
        let most = if repeats(kind) { 2 } else { 1 };
        assert!(tally.right <= most * tally.paged, "{kind}: {misses:?}");
    }
}

fn repeats(kind: &str) -> bool {
    [Kind::Flapping, Kind::Partial].map(Kind::name).contains(&kind)
}

#[test]
fn a_case_is_the_same_whenever_it_is_made() {
    let text = |number| Case::made_up(7, number).unwrap().scenario.text();
    assert_eq!(text(3), text(3));
    assert_ne!(text(3), text(3 + Kind::ALL.len() as u64));
}

#[test]
fn faults_beyond_a_campaign_are_of_the_next_seed() {
    let text = |seed, number| Case::made_up(seed, number).unwrap().scenario.text();
    assert_eq!(text(7, CAMPAIGN + 3), text(8, 3));
    assert_ne!(text(7, CAMPAIGN + 3), text(7, 3));
}

/// Cases of `kind`, of several seeds.
fn cases(kind: Kind) -> impl Iterator<Item = Case> {
    let number = Kind::ALL.iter().position(|other| *other == kind).unwrap() as u64;
    (1..=20).map(move |seed| Case::made_up(seed, number).unwrap())
}

#[test]
fn agents_at_fault_make_a_quorum_by_themselves() {
    let of_kinds = Kind::ALL.into_iter().filter(|kind| kind.is_quorum_of_agents());
    let mut only_one_of_two = false;
    for case in of_kinds.flat_map(cases) {
        let options = crate::world::Options { seed: 1, decides: false };
        let world = crate::world::World::new(&case.scenario, options);
        assert_eq!(label::of(&world).due, label::Due::NoPage);
        let blinded: Vec<usize> =
            world.truth.extents.iter().flat_map(|extent| extent.agents.clone()).collect();
        let regions = crate::world::truth::regions_of(&world.cast, &blinded);
        let needed = world.cast.monitors[0].needed;
        assert_eq!(regions.len(), needed, "{}", case.scenario.text());
        only_one_of_two |= case.kind == Kind::LoneRegion
            && world.cast.agents.len() > 1
            && blinded.len() < world.cast.agents.len();
        if case.kind == Kind::TwoAgents {
            let begins = world.truth.extents.iter().map(|extent| extent.from);
            let (first, last) = (begins.clone().min().unwrap(), begins.max().unwrap());
            assert!(last - first <= 20_000, "not at nearly the same time");
            assert_eq!(world.cast.regions.len(), 3);
        }
    }
    assert!(only_one_of_two, "a region whose other agent is well");
}

#[test]
fn everybody_can_look_at_what_takes_two_votes() {
    let mut two = 0;
    for case in cases(Kind::FewVotes) {
        let first = case.scenario.regions[0].name.clone();
        let probing = |_: &_| case::Probing { interval: 10_000, only_from: Some(first.clone()) };
        let from_one_place = case.with_intervals(probing).unwrap();
        assert_eq!(from_one_place.monitors[0].spec.policy.quorum.votes(1), 1);
        two += u32::from(case.scenario.monitors[0].spec.policy.quorum.votes(3) == 2);
    }
    assert!(two > 0, "no policy of two votes among them");
}

#[test]
fn rules_shown_our_observations_are_charged_for_what_they_used() {
    let number = 0;
    let case = Case::made_up(1, number).unwrap();
    let (world, own, shown) = product(&case);
    let used = |name: &str| shown.iter().find(|it| it.name == name).unwrap().probes;
    let regions = world.cast.regions.len() as u64;
    assert_eq!(used("Uptime Kuma"), used("Gatus"));
    let one_place = used("Uptime Kuma") * regions;
    assert!(one_place > own.probes * 8 / 10, "{one_place} of {}", own.probes);
    assert!(one_place < own.probes * 12 / 10, "{one_place} of {}", own.probes);
    assert!(used("openstatus") > own.probes * 9 / 10);
    assert!(used("openstatus") <= own.probes);
    assert!(shown.iter().all(|it| it.saw.is_some()));
    assert_eq!(own.saw, None);
}

fn judged(number: u64, score: judge::Score) -> Judged {
    let label = Label {
        due: label::Due::Page,
        hurt: vec![0],
        from: 0,
        until: 60_000,
        wanted: Some(label::Wanted { hurting: 10_000, all: 8_000 }),
        at_once: number.is_multiple_of(2),
    };
    let scored = |name: &str, saw| Scored { name: name.to_owned(), saw, score, probes: 1 };
    Judged {
        case: Case { number, ..Case::made_up(1, number % Kind::ALL.len() as u64).unwrap() },
        label,
        burst_probes: 0,
        scores: vec![scored("ours", None), scored("theirs", None)],
        shown: vec![scored("theirs", Some("everything"))],
    }
}

#[test]
fn the_table_says_between_what_the_seeds_lie() {
    let found =
        |delay| judge::Score { right: 1, notices: 1, delay: Some(delay), ..Default::default() };
    let case = |number| match number {
        ..CAMPAIGN => judged(number, found(4_000)),
        CAMPAIGN => judged(number, judge::Score { right: 1, ..Default::default() }),
        _ => judged(number, found(9_000)),
    };
    let cases: Vec<Judged> = (0..2 * CAMPAIGN + 1).map(case).collect();
    let text = table(&summarise(1, &cases[..1_280]));
    assert!(text.contains("Seeds 1 to 2, 640 faults each, 1280 in all"), "{text}");
    let row = "| ours | 1.00 | 100.0 % (100.0 to 100.0) | 99.9 % (99.8 to 100.0) | 4.0 s (4.0 to 9.0) | \
               9.0 s (4.0 to 9.0) | 0.0 s | 1.00 (1.00 to 1.00) | 1039 | 1 |";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("| theirs | everything | 1.00 |"), "{text}");
    let begun = summarise(1, &cases);
    assert_eq!(begun.standings[0].campaigns.len(), 2, "one fault of the third shows no chance");
    let one = table(&summarise(1, &cases[..640]));
    assert!(one.contains("| ours | 1.00 | 100.0 % | 100.0 % | 4.0 s | 4.0 s |"), "{one}");
}

#[test]
fn delays_of_what_hangs_are_compared_by_kind_too() {
    let score = |delay| judge::Score { right: 1, delay: Some(delay), ..Default::default() };
    let cases: Vec<Judged> = [(0, 9_000), (1, 8_000), (17, 13_000)]
        .map(|(number, delay)| judged(number, score(delay)))
        .into();
    let text = table(&summarise(1, &cases));
    assert!(
        text.contains("| at once | global, fails at once | 1 | -1.0 s | -1.0 s | 1 | 0 |"),
        "{text}"
    );
    let hanging = "| after its timeout, or slowly | global, hangs | 2 | -2.0 s | 3.0 s | 1 | 1 |";
    assert!(text.contains(hanging), "{text}");
    assert!(
        text.contains("| in time, where its checks take time to fail | 1 of 2 (50.0 %) |"),
        "{text}"
    );
}

#[test]
fn what_is_wanted_counts_the_regions_that_hurt() {
    let script = |more: &str| format!("kind = \"refuse\"\nmonitors = [\"shop\"]\n{more}");
    let of = |faults: &str| {
        label_of(&format!("[[faults]]\nat = \"60s\"\nfor = \"5m\"\n{faults}")).wanted
    };
    let wanted = |hurting, all| Some(label::Wanted { hurting, all });
    assert_eq!(of(&script("")), wanted(12_000, 12_000));
    assert_eq!(of(&script("regions = [\"a\", \"b\"]")), wanted(17_000, 12_000));
    assert_eq!(of("kind = \"hang\"\nmonitors = [\"*\"]"), wanted(32_000, 32_000));
    assert_eq!(of(&script("share = 0.8")), None);
}

fn label_of(faults: &str) -> Label {
    let text = format!(
        r#"
        regions = ["a", "b", "c"]
        {faults}
        [[monitors]]
        name = "shop"
        target = "https://shop.example/"
        interval = "30s"
        timeout = "10s"
        warn.latency = "1s"
        "#
    );
    let scenario = crate::scenario::read(&text, "label").unwrap();
    let options = crate::world::Options { seed: 1, decides: false };
    label::of(&crate::world::World::new(&scenario, options))
}

#[test]
fn labels_follow_from_the_script_alone() {
    use label::Due::{Either, NoPage, Page};
    let refused = |more: &str| {
        label_of(&format!(
            "[[faults]]\nkind = \"refuse\"\nat = \"60s\"\nmonitors = [\"shop\"]\n{more}"
        ))
    };
    assert_eq!(refused("for = \"33s\"").due, Page);
    assert_eq!(refused("for = \"32s\"").due, Either, "as long as the interval and two checks");
    assert_eq!(refused("for = \"3s\"").due, NoPage);
    assert_eq!(refused("for = \"5m\"\nregions = [\"a\"]").due, NoPage);
    assert_eq!(refused("for = \"5m\"\nregions = [\"a\", \"b\"]").due, Page);
    assert_eq!(refused("for = \"5m\"\nshare = 0.05").due, NoPage);
    assert_eq!(refused("for = \"5m\"\nshare = 0.5").due, Either);
    assert_eq!(refused("for = \"5m\"\nshare = 0.8").due, Page);
    let of = |kind: &str, more: &str| {
        label_of(&format!("[[faults]]\nkind = \"{kind}\"\nat = \"60s\"\nfor = \"5m\"\n{more}"))
    };
    assert_eq!(of("slow", "monitors = [\"*\"]\nlatency = \"2s\"").due, NoPage);
    assert_eq!(of("slow", "monitors = [\"*\"]\nlatency = \"12s\"").due, Page);
    assert_eq!(of("agent_egress", "regions = [\"a\"]").due, NoPage);
    assert_eq!(of("control_crash", "").due, NoPage);
}
