//! Each rule against what its documentation says of small cases.

use super::*;
use crate::random::Random;
use crate::rule::{Fleet, Rule, RulePage};
use crate::scenario::read;
use crate::world::cast::{Cast, RegionIndex};
use NoticeKind::{Opened, Resolved};

/// Five regions with an agent each, and one monitor of 30 s.
fn cast() -> Cast {
    let text = r#"
        regions = ["a", "b", "c", "d", "e"]
        monitors = [{ name = "shop", target = "https://shop.example/", interval = "30s" }]
        duration = "1m"
    "#;
    Cast::of(&read(text, "rules").unwrap(), 1)
}

/// A rule with the fleet it watches.
struct Watch<R> {
    rule: R,
    cast: Cast,
    connected: Vec<bool>,
    now: i64,
}

impl<R: Rule> Watch<R> {
    fn new(rule: R) -> Self {
        let mut watch = Self { rule, cast: cast(), connected: vec![true; 5], now: 1_000_000 };
        assert_eq!(watch.wait(1), []);
        watch
    }

    /// Region `region` saw a failure, or a success.
    fn sees(&mut self, region: RegionIndex, fails: bool) -> Vec<NoticeKind> {
        self.now += 1_000;
        let seen = Seen {
            monitor: 0,
            region,
            agent: region,
            revision: 1,
            slot: 0,
            burst: None,
            started_at: self.now - 200,
            ended_at: self.now - 100,
            outcome: if fails { Outcome::Fail } else { Outcome::Ok },
            reason: String::new(),
            dated: true,
            late: false,
        };
        let mut pages = Vec::new();
        let fleet = Fleet { cast: &self.cast, connected: &self.connected };
        self.rule.observe(&seen, &fleet, self.now, &mut pages);
        kinds(&pages)
    }

    fn all_see(&mut self, fails: bool) -> Vec<NoticeKind> {
        (0..5).flat_map(|region| self.sees(region, fails)).collect()
    }

    /// Seconds pass.
    fn wait(&mut self, seconds: i64) -> Vec<NoticeKind> {
        let mut pages = Vec::new();
        for _ in 0..seconds {
            self.now += 1_000;
            let fleet = Fleet { cast: &self.cast, connected: &self.connected };
            self.rule.tick(&fleet, self.now, &mut pages);
        }
        kinds(&pages)
    }
}

fn kinds(pages: &[RulePage]) -> Vec<NoticeKind> {
    pages.iter().map(|page| page.kind).collect()
}

#[test]
fn kuma_tells_of_the_first_failure_that_its_one_place_sees() {
    let mut watch = Watch::new(InARow::uptime_kuma());
    assert_eq!(watch.sees(1, true), []);
    assert_eq!(watch.sees(0, true), [Opened]);
    assert_eq!(watch.sees(0, true), []);
    assert_eq!(watch.sees(0, false), [Resolved]);
}

#[test]
fn gatus_counts_three_failures_and_two_successes() {
    let mut watch = Watch::new(InARow::gatus());
    let seen = [true, true, false, true, true, true, false, false];
    let told: Vec<_> = seen.into_iter().map(|fails| watch.sees(0, fails)).collect();
    assert_eq!(told[..5], vec![Vec::new(); 5]);
    assert_eq!(told[5..], [vec![Opened], vec![], vec![Resolved]]);
}

#[test]
fn half_of_five_is_three_and_no_status_grows_old() {
    let mut watch = Watch::new(Half::default());
    assert_eq!(watch.all_see(false), []);
    assert_eq!([watch.sees(0, true), watch.sees(1, true)].concat(), []);
    assert_eq!(watch.wait(3_600), []);
    assert_eq!(watch.sees(2, true), [Opened]);
    assert_eq!(watch.sees(2, false), [Resolved]);
}

#[test]
fn agreement_asks_fewer_when_fewer_are_connected() {
    let mut watch = Watch::new(Agreement::of_majority());
    watch.all_see(false);
    assert_eq!([watch.sees(0, true), watch.sees(1, true)].concat(), []);
    assert_eq!(watch.sees(2, true), [Opened]);
    assert_eq!(watch.all_see(false), [Resolved]);
    watch.wait(1);
    watch.connected = vec![true, false, false, false, false];
    assert_eq!(watch.wait(178), []);
    assert_eq!(watch.sees(0, true), [], "three minutes are not over");
    watch.wait(1);
    assert_eq!(watch.sees(0, true), [Opened], "one connected, one agrees");
}

#[test]
fn agreement_as_it_comes_is_of_everybody() {
    let mut watch = Watch::new(Agreement::of_all());
    watch.all_see(false);
    let told: Vec<_> = (0..4).flat_map(|region| watch.sees(region, true)).collect();
    assert_eq!(told, []);
    assert_eq!(watch.sees(4, true), [Opened]);
    assert_eq!(watch.sees(4, false), [], "four say down, one says up: nothing is agreed");
}

#[test]
fn a_majority_of_those_that_report_shrinks_with_them() {
    let mut watch = Watch::new(Reporting::default());
    watch.all_see(false);
    watch.all_see(false);
    assert_eq!([watch.sees(0, true), watch.sees(0, true)].concat(), [], "one of five");
    watch.now += 299_000;
    watch.sees(1, false);
    assert_eq!(watch.sees(0, true), [], "one of two");
    watch.now += 200_000;
    watch.sees(0, true);
    watch.now += 101_000;
    assert_eq!(watch.wait(1), [Opened], "one of one: the others are silent");
    watch.sees(0, false);
    assert_eq!(watch.sees(0, false), [Resolved]);
}

#[test]
fn prometheus_waits_a_minute_and_alertmanager_half_a_one() {
    let mut watch = Watch::new(Prometheus::default());
    watch.sees(0, true);
    assert_eq!(watch.wait(89), []);
    let told = watch.wait(30);
    assert_eq!(told, [Opened], "a minute pending and half a minute of group wait");
    watch.sees(1, true);
    assert_eq!(watch.wait(120), [], "what joins waits for the group's interval");
    assert_eq!(watch.wait(300), [Opened]);
}

#[test]
fn prometheus_forgets_a_series_without_samples() {
    let mut watch = Watch::new(Prometheus::default());
    watch.sees(0, true);
    assert_eq!(watch.wait(120), [Opened]);
    assert_eq!(watch.wait(600), [Resolved]);
}

#[test]
fn what_comes_late_is_not_seen() {
    let mut watch = Watch::new(InARow::uptime_kuma());
    let mut random = Random::new(1, crate::random::Stream::Probes);
    let age = OLDEST_MS + random.between(1, 100);
    let fleet = Fleet { cast: &watch.cast, connected: &watch.connected };
    let seen = Seen {
        monitor: 0,
        region: 0,
        agent: 0,
        revision: 1,
        slot: 0,
        burst: None,
        started_at: watch.now - age - 10,
        ended_at: watch.now - age,
        outcome: Outcome::Fail,
        reason: String::new(),
        dated: true,
        late: true,
    };
    let mut pages = Vec::new();
    watch.rule.observe(&seen, &fleet, watch.now, &mut pages);
    assert_eq!(pages, []);
}
