//! A few hundred seeds; `make campaign NAME=seeds` runs ten thousand.

use hyperverge_sim::campaign;

fn hold(from: u64) {
    let summary = campaign::run(from, 60);
    assert!(summary.broken.is_empty(), "{summary}");
    assert_eq!(summary.seeds, 60);
    for (what, count) in [
        ("notices", summary.pages),
        ("checks of bursts", summary.burst_checks),
        ("conflicts", summary.conflicts),
        ("votes lost", summary.votes_lost),
        ("incidents about agents", summary.agent_incidents),
        ("incidents about regions", summary.region_incidents),
        ("groups", summary.groups),
        ("agents known to be at fault", summary.judged.agents),
        ("silent regions noticed", summary.judged.regions),
        ("faults seen to be over", summary.judged.recovered),
    ] {
        assert!(count > 0, "no {what}: {summary}");
    }
    assert!(summary.judged.tightly >= 10, "{summary}");
    assert!(summary.judged.told >= 10, "{summary}");
}

#[test]
fn the_first_seeds_hold() {
    hold(1);
}

#[test]
fn the_second_seeds_hold() {
    hold(61);
}

#[test]
fn the_third_seeds_hold() {
    hold(121);
}

#[test]
fn the_fourth_seeds_hold() {
    hold(181);
}
