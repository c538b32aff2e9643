//! What must hold in every campaign, over a small one.

use super::*;
use crate::compare::kind::Kind;

/// Faults of the small campaign: each kind five times.
const FAULTS: u64 = 65;

#[test]
fn no_goal_is_missed_in_a_small_campaign() {
    let comparison = run(1, FAULTS, Field::Product).unwrap();
    let own = &comparison.standings[0];
    let misses = &comparison.misses;
    assert!(own.total.due > FAULTS / 3, "{} due", own.total.due);
    assert!(own.total.not_due > FAULTS / 3, "{} not due", own.total.not_due);
    assert_eq!(own.agents_pages, 0, "{misses:?}; `compare --show N` writes fault N's scenario");
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
fn labels_follow_from_the_script_alone() {
    use label::Due::{Either, NoPage, Page};
    let label_of = |faults: &str| {
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
    };
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
    assert_eq!(refused("for = \"5m\"").wanted_within, Some(12_000));
    let of = |kind: &str, more: &str| {
        label_of(&format!("[[faults]]\nkind = \"{kind}\"\nat = \"60s\"\nfor = \"5m\"\n{more}"))
    };
    assert_eq!(of("hang", "monitors = [\"*\"]").wanted_within, Some(32_000));
    assert_eq!(of("slow", "monitors = [\"*\"]\nlatency = \"2s\"").due, NoPage);
    assert_eq!(of("slow", "monitors = [\"*\"]\nlatency = \"12s\"").due, Page);
    assert_eq!(of("agent_egress", "regions = [\"a\"]").due, NoPage);
    assert_eq!(of("control_crash", "").due, NoPage);
}
