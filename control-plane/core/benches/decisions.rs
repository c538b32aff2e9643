//! What steps 5 and 6 cost on one core, without a database.
//!
//! `results` is a thousand observations of as many monitors in one region of
//! three: all plain successes, or one in a hundred that changes a state and so is
//! counted, viewed, voted on and planned for. `outage` is a shared upstream that
//! takes 2,800 monitors in three regions with it: every failure counted, every
//! vote taken, every incident opened, the agents compared with each other, and all
//! of it judged for pages, which must be one.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyperverge_control_core::assignment::Slots;
use hyperverge_control_core::correlation::{
    Evaluation, Held, Newest, Scope, Seat, Sight, StateRow, Step, Thresholds, Track, Verdict,
    evaluate, view,
};
use hyperverge_control_core::incident::{self, SubjectKind, flap};
use hyperverge_control_core::{paging, vantage};
use hyperverge_protocol::monitor::Quorum;
use hyperverge_protocol::outcome::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use uuid::Uuid;

const NOW: i64 = 1_767_225_600_000;
const RESULTS: usize = 1_000;
const MONITORS: u128 = 2_800;
const REGIONS: [&str; 3] = ["ap-south", "eu-west", "us-east"];
const THRESHOLDS: Thresholds =
    Thresholds { fail_after: 2, recover_after: 2, stale_after_ms: 180_000 };
const INTERVAL_MS: i64 = 60_000;

fn slots() -> Slots {
    Slots { anchor_ms: 0, interval_ms: INTERVAL_MS }
}

fn sight(slots_ago: i64, outcome: Outcome) -> Step {
    let slot = NOW / INTERVAL_MS - slots_ago;
    Step::Sight(Sight {
        slot,
        burst: None,
        started_at: slot * INTERVAL_MS,
        outcome,
        reason: (outcome != Outcome::Ok).then(|| "connect_refused".to_owned()),
        message: None,
    })
}

/// The row after these failures of a region that was steadily up.
fn after_failures(failures: i64) -> Option<StateRow> {
    let before = NOW / INTERVAL_MS - failures;
    let newest = Newest { slot: before - 1, started_at: (before - 1) * INTERVAL_MS };
    let mut track = Track::new(1, THRESHOLDS, None, Some(newest));
    for ago in (0..failures).rev() {
        track.step(&sight(ago, Outcome::Fail), NOW);
    }
    track.into_row()
}

fn vote(rows: [Option<StateRow>; 3]) -> Evaluation {
    let seats = REGIONS.iter().zip(rows).map(|(region, row)| {
        let held = Held {
            revision: 1,
            first_slot: 0,
            slots: slots(),
            predecessor_through: None,
            complete_through: Some(NOW),
            discredited: false,
        };
        let seat = Seat { region: (*region).to_owned(), region_id: None, held: Some(held), row };
        view(&seat, THRESHOLDS.stale_after_ms, NOW)
    });
    evaluate(seats.collect(), Quorum::Majority)
}

fn decide(name: &str, evaluation: Evaluation) -> Option<incident::Change> {
    let input = incident::Input {
        name: name.to_owned(),
        open: None,
        evaluation,
        group_wait_ms: 5_000,
        labels: BTreeMap::new(),
        flap: flap::Rule { changes: 4, within_ms: 1_800_000, settle_ms: 600_000 },
        turns: Vec::new(),
        hold_until: None,
    };
    incident::plan(&input, NOW).change
}

/// One batch: where nothing is stored and the observation is plain, nothing is done.
fn batch(steps: &[Step]) -> usize {
    let mut changes = 0;
    for step in steps {
        let mut track = Track::new(1, THRESHOLDS, None, None);
        track.step(step, NOW);
        let Some(row) = track.into_row() else { continue };
        let down =
            StateRow { state: hyperverge_control_core::correlation::RegionState::Down, ..row };
        changes += usize::from(decide("shop", vote([Some(down), None, None])).is_some());
    }
    changes
}

fn results(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("results");
    group.throughput(Throughput::Elements(RESULTS as u64));
    let steady = vec![sight(0, Outcome::Ok); RESULTS];
    let mut some = steady.clone();
    some.iter_mut().step_by(100).for_each(|step| *step = sight(0, Outcome::Fail));
    assert_eq!((batch(&steady), batch(&some)), (0, RESULTS / 100));
    group.bench_function("no_change", |bencher| bencher.iter(|| batch(black_box(&steady))));
    group.bench_function("one_in_a_hundred", |bencher| bencher.iter(|| batch(black_box(&some))));
    group.finish();
}

fn candidate(
    number: u128,
    evaluation: &Evaluation,
    change: &incident::Change,
) -> paging::Candidate {
    let intent = change.intent.unwrap();
    paging::Candidate {
        incident_id: Uuid::from_u128(number),
        subject: SubjectKind::Monitor,
        name: format!("shop-{number}"),
        verdict: evaluation.verdict,
        scope: evaluation.scope.unwrap_or(Scope::Global),
        started_at: change.started_at,
        resolved: false,
        paged: false,
        told_quietly: false,
        told_alone: false,
        group: None,
        waiting: vec![paging::Waiting {
            event_number: 1,
            kind: intent.kind,
            due_at: NOW,
            quiet: intent.quiet,
        }],
        traits: paging::Traits {
            host: Some(format!("shop-{number}.example")),
            addresses: BTreeSet::from([format!("198.51.100.{}", number % 8)]),
            networks: BTreeSet::from(["198.51.100.0/24".to_owned()]),
            certificate: None,
            regions: BTreeSet::new(),
        },
        parents: Vec::new(),
        interval_ms: INTERVAL_MS,
        recheck_ms: INTERVAL_MS + 10_000,
        hold: None,
    }
}

fn watch(number: u128) -> vantage::Watch {
    vantage::Watch {
        host: format!("shop-{number}.example"),
        network: Some("198.51.100.0/24".to_owned()),
        needed: 2,
        settles_ms: 25_000,
        seats: REGIONS
            .iter()
            .map(|region| vantage::Look {
                agent: (*region).to_owned(),
                failing_since: Some(NOW),
                well_since: None,
                at: NOW,
            })
            .collect(),
    }
}

/// Everything from the first failures to the page.
fn outage() -> usize {
    let mut candidates = Vec::new();
    for number in 0..MONITORS {
        let evaluation = vote([after_failures(2), after_failures(2), after_failures(2)]);
        assert_eq!(evaluation.verdict, Verdict::Down);
        let change = decide("shop", evaluation.clone()).unwrap();
        candidates.push(candidate(number, &evaluation, &change));
    }
    let agents = REGIONS.iter().map(|region| vantage::Agent {
        id: (*region).to_owned(),
        region_id: (*region).to_owned(),
        discredited_at: None,
        assigned: true,
    });
    let fleet = vantage::Input {
        agents: agents.collect(),
        watches: (0..MONITORS).map(watch).collect(),
        open: BTreeSet::new(),
    };
    assert!(vantage::plan(&fleet, NOW).is_empty());
    let input = paging::Input { candidates, ..paging::Input::default() };
    paging::plan(&input, NOW).sends.len()
}

fn upstream(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outage");
    group.sample_size(20);
    assert_eq!(outage(), 1, "one page");
    group.bench_function("2800_monitors_one_upstream", |bencher| bencher.iter(outage));
    group.finish();
}

criterion_group!(benches, results, upstream);
criterion_main!(benches);
