//! A few hundred seeds; `make campaign NAME=seeds` runs ten thousand.

use hyperverge_sim::campaign;

fn hold(from: u64) {
    let summary = campaign::run(from, 60);
    assert!(summary.broken.is_empty(), "{summary}");
    assert_eq!(summary.seeds, 60);
    assert!(summary.pages > 0 && summary.incidents > 0 && summary.burst_checks > 0);
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
