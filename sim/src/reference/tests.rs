//! Each invariant, broken once: what is noted here no product did.

use super::*;
use crate::control::EPOCH_MS;
use crate::control::database::{AssignmentRow, IncidentRow, Subject};
use crate::control::note::{Joined, Seen, Told, Unasked};
use crate::scenario::read;
use hyperverge_control_core::assignment::Slots;
use hyperverge_control_core::correlation::burst::Kept;
use hyperverge_control_core::correlation::{Scope, evaluate};
use hyperverge_control_core::incident::{EventKind, Severity, SubjectKind};
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_core::paging::{Cause, CauseKind};
use hyperverge_protocol::monitor::Quorum;
use hyperverge_protocol::outcome::Outcome;

/// A fleet of three regions and four unrelated monitors, with the fault that `more` says.
struct Case {
    cast: Cast,
    truth: Truth,
    control: Control,
    reference: Reference,
    now: i64,
}

impl Case {
    fn new(more: &str) -> Self {
        let monitor = |at: usize| {
            format!(
                "[[monitors]]\nname = \"m{at}\"\ntarget = \"https://www.own-{at}.example/\"\n\
                 interval = \"10s\"\ntimeout = \"1s\"\npolicy = {{ fail_after = 1, recover_after = 1 }}\n"
            )
        };
        let monitors: String = (0..4).map(monitor).collect();
        let text = format!("regions = [\"a\", \"b\", \"c\"]\nduration = \"25m\"\n{monitors}{more}");
        let scenario = read(&text, "broken").unwrap();
        let cast = Cast::of(&scenario, 1);
        let mut control = Control::new(&cast, true);
        for (monitor, watched) in cast.monitors.iter().enumerate() {
            for region in 0..3 {
                let slots = Slots::spread(watched.id, 10_000, u32::try_from(region).unwrap(), 3);
                let row = AssignmentRow {
                    agent: region,
                    revision: 1,
                    first_slot: 0,
                    slots,
                    last_slot: None,
                    predecessor_through: None,
                };
                control.db.current.put((monitor, region), row);
            }
        }
        let truth = Truth::of(&scenario, &cast);
        let reference = Reference::new(&scenario, &cast);
        Self { cast, truth, control, reference, now: 200_000 }
    }

    fn note(&mut self, note: &Note) {
        let at = At { cast: &self.cast, truth: &self.truth, control: &self.control, now: self.now };
        self.reference.note(&at, note);
    }

    fn sees(&mut self, monitor: usize, region: usize, fails: bool) {
        let seen = Seen {
            monitor,
            region,
            agent: region,
            revision: 1,
            slot: self.now / 1_000,
            burst: None,
            started_at: EPOCH_MS + self.now - 200,
            ended_at: EPOCH_MS + self.now - 100,
            outcome: if fails { Outcome::Fail } else { Outcome::Ok },
            reason: String::new(),
            dated: true,
            late: false,
        };
        self.note(&Note::Stored(seen));
    }

    fn turns(&mut self, monitor: usize, to: Verdict) {
        let mut state = self.control.db.monitor_states.get(&monitor).unwrap().clone();
        let from = std::mem::replace(&mut state.verdict, to);
        self.control.db.monitor_states.put(monitor, state);
        let evaluation = Box::new(evaluate(Vec::new(), Quorum::Majority));
        self.note(&Note::Verdict { monitor, from, to, scope: None, since: 0, evaluation });
    }

    fn incident(&mut self, id: u64, subject: Subject, kind: EventKind, cause: &str) {
        let row = IncidentRow {
            subject,
            verdict: Verdict::Down,
            scope: Scope::Global,
            severity: Severity::Critical,
            cause: Some(cause.to_owned()),
            summary: String::new(),
            regions: Vec::new(),
            started_at: 0,
            opened_at: 0,
            resolved_at: None,
            last_event: 1,
            changed_at: 0,
            widest_down: None,
            told: None,
            flaps: false,
            paged: false,
            told_quietly: false,
            group: None,
            listed: false,
        };
        if kind == EventKind::Opened {
            self.control.db.open.put(subject, id);
        }
        self.note(&Note::Incident { id, subject, kind, row: Box::new(row), reasons: Vec::new() });
    }

    fn opens(&mut self, id: u64, monitor: usize) {
        self.incident(id, (SubjectKind::Monitor, monitor), EventKind::Opened, "refused");
    }

    fn told(&mut self, kind: NoticeKind, incident: u64, opening_included: bool) {
        self.note(&Note::Told(Told {
            kind,
            incident,
            members: vec![incident],
            begins: vec![incident],
            group: None,
            channels: vec![0],
            summary: String::new(),
            waited: 0,
            opening_included,
            quiet: false,
        }));
    }

    fn wait(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += 1_000;
            let at =
                At { cast: &self.cast, truth: &self.truth, control: &self.control, now: self.now };
            self.reference.tick(&at);
        }
    }

    fn finish(&mut self) {
        self.now = 1_500_000;
        let at = At { cast: &self.cast, truth: &self.truth, control: &self.control, now: self.now };
        self.reference.finish(&at, &[]);
    }

    /// What is broken, and that nothing was before.
    #[track_caller]
    fn breaks(&mut self, wanted: &str) {
        let broken = std::mem::take(&mut self.reference.violations);
        assert!(broken.iter().any(|what| what.contains(wanted)), "{wanted}: {broken:?}");
    }

    #[track_caller]
    fn holds(&self) {
        assert_eq!(self.reference.violations, [""; 0]);
    }
}

const REFUSED: &str =
    "[[faults]]\nkind = \"refuse\"\nat = \"200s\"\nfor = \"200s\"\nmonitors = [\"m0\"]\n";
const OUR_OWN: &str =
    "[[faults]]\nkind = \"agent_dns\"\nat = \"190s\"\nfor = \"200s\"\nregions = [\"a\"]\n";

/// `m0` is down in two regions, as it truly is.
fn down() -> Case {
    let mut case = Case::new(REFUSED);
    case.now = 204_000;
    case.sees(0, 0, true);
    case.sees(0, 1, true);
    case.turns(0, Verdict::Down);
    case.holds();
    case
}

#[test]
fn a_verdict_without_a_quorum() {
    let mut case = Case::new(REFUSED);
    case.now = 204_000;
    case.sees(0, 0, true);
    case.turns(0, Verdict::Down);
    case.breaks("m0 is down with 1 fresh votes of the 2 it needs");
}

#[test]
fn a_verdict_that_rests_on_votes_that_grew_old() {
    let mut case = down();
    case.wait(120);
    case.breaks("m0 stays down without the 2 votes it needs");
}

#[test]
fn a_target_that_hurt_nowhere() {
    let mut case = Case::new("");
    case.sees(0, 0, true);
    case.sees(0, 1, true);
    case.turns(0, Verdict::Down);
    case.breaks("though it hurt nowhere");
}

#[test]
fn an_agent_at_fault_that_votes_on() {
    let mut case = Case::new(OUR_OWN);
    for monitor in 0..4 {
        (1..3).for_each(|region| case.sees(monitor, region, false));
    }
    case.sees(0, 0, true);
    case.sees(1, 0, true);
    case.wait(1);
    case.sees(2, 0, true);
    case.sees(3, 0, true);
    case.wait(11);
    case.holds();
    // Only who looks now has seen how they are.
    for _ in 0..4 {
        for monitor in 0..4 {
            (1..3).for_each(|region| case.sees(monitor, region, false));
        }
        case.wait(9);
    }
    case.breaks("a-1 fails 4 unrelated targets that others see well, and votes");
}

#[test]
fn a_quorum_that_an_agent_known_to_be_at_fault_completes() {
    let fault = "kind = \"refuse\"\nat = \"190s\"\nfor = \"200s\"\nmonitors = [\"m0\"]";
    let mut case = Case::new(&format!("{OUR_OWN}[[faults]]\n{fault}\nregions = [\"b\"]\n"));
    case.sees(0, 2, false);
    case.sees(0, 1, true);
    for monitor in 1..4 {
        case.sees(monitor, 0, true);
        (1..3).for_each(|region| case.sees(monitor, region, false));
    }
    case.sees(0, 0, true);
    case.wait(2);
    case.turns(0, Verdict::Down);
    case.holds();
    for _ in 0..4 {
        for monitor in 1..4 {
            (1..3).for_each(|region| case.sees(monitor, region, false));
        }
        case.wait(9);
    }
    case.reference.violations.clear();
    case.turns(0, Verdict::Down);
    case.breaks("the rest was known to fail by itself");
}

#[test]
fn a_verdict_that_misses_a_quorum() {
    let mut case = Case::new(REFUSED);
    case.now = 204_000;
    case.turns(0, Verdict::Unknown);
    (0..3).for_each(|agent| case.control.db.complete.put(agent, EPOCH_MS + 204_000));
    case.sees(0, 0, true);
    case.sees(0, 1, true);
    case.wait(12);
    case.breaks("m0 is unknown though 2 regions say that it is down");
}

#[test]
fn a_target_that_hurts_and_is_called_well() {
    let mut case = Case::new(REFUSED);
    case.turns(0, Verdict::Degraded);
    case.wait(30);
    case.breaks("m0 hurts in 3 regions since 201000 ms and is degraded");
}

#[test]
fn an_up_that_nobody_says() {
    let mut case = Case::new("");
    case.note(&Note::Batch { agent: 0, lane: Lane::Live, number: 1, refused: 0 });
    case.turns(0, Verdict::Up);
    case.breaks("m0 is up with 1 regions heard; 2 must be");
    case.wait(6);
    case.breaks("and that for 5000 ms");
}

#[test]
fn a_silent_region_without_an_incident() {
    let fault = "kind = \"partition\"\nat = \"200s\"\nfor = \"200s\"\nregions = [\"a\"]\n";
    let mut case = Case::new(&format!("[[faults]]\n{fault}"));
    case.wait(71);
    case.breaks("a is silent and has no incident");
}

#[test]
fn an_incident_about_somebody_well() {
    let fault = "kind = \"partition\"\nat = \"190s\"\nfor = \"200s\"\nregions = [\"a\"]\n";
    let mut case = Case::new(&format!("[[faults]]\n{fault}"));
    case.incident(1, (SubjectKind::Region, 0), EventKind::Opened, "silent");
    case.holds();
    case.incident(2, (SubjectKind::Agent, 0), EventKind::Opened, "discredited");
    case.breaks("a-1 has an incident (discredited), and had no such trouble");
    case.incident(3, (SubjectKind::Region, 1), EventKind::Opened, "silent");
    case.breaks("b has an incident (silent), and had no such trouble");
}

#[test]
fn incidents_that_are_not_one() {
    let mut case = Case::new("");
    case.opens(1, 0);
    case.opens(2, 0);
    case.breaks("m0 has two open incidents, #1 and #2");
    case.incident(7, (SubjectKind::Monitor, 1), EventKind::Resolved, "refused");
    case.breaks("#7 of m1 ended and was not open");
}

#[test]
fn a_page_below_the_quorum() {
    let mut case = Case::new(REFUSED);
    case.now = 204_000;
    case.sees(0, 0, true);
    case.opens(1, 0);
    case.told(NoticeKind::Opened, 1, false);
    case.breaks("m0 is paged with 1 fresh votes of the 2 it needs");
}

#[test]
fn who_joins_a_page_below_the_quorum() {
    let mut case = Case::new("");
    case.opens(1, 0);
    let group = crate::control::database::GroupRow {
        cause: Cause { kind: CauseKind::Host, value: "edge".to_owned() },
        summary: String::new(),
        lead: 9,
        opened_at: 0,
        resolved_at: None,
        newest_started_at: 0,
        interval_ms: 0,
        quiet: false,
        told_global: false,
    };
    case.control.db.groups.put(1, group);
    case.note(&Note::GroupJoined { group: 1, incident: 1, how: Joined::Listed });
    case.holds();
    case.note(&Note::GroupJoined { group: 1, incident: 1, how: Joined::Told });
    case.breaks("m0 is paged with 0 fresh votes of the 2 it needs");
    case.note(&Note::GroupJoined { group: 1, incident: 1, how: Joined::Told });
    case.breaks("the beginning of #1 was told at 200000 ms already");
}

#[test]
fn an_end_that_tells_of_a_beginning_there_never_was() {
    let mut case = Case::new("");
    case.opens(1, 0);
    case.incident(1, (SubjectKind::Monitor, 0), EventKind::Resolved, "refused");
    case.told(NoticeKind::Resolved, 1, true);
    case.breaks("m0 is paged, and never had a quorum");
}

#[test]
fn a_beginning_told_twice_and_never_ended() {
    let mut case = down();
    case.opens(1, 0);
    case.told(NoticeKind::Opened, 1, false);
    case.holds();
    case.told(NoticeKind::Opened, 1, false);
    case.breaks("the beginning of #1 was told at 204000 ms already");
    case.finish();
    case.breaks("default was told 2 times that #1 began and 0 times that it ended");
}

#[test]
fn what_flaps_and_ends_at_once() {
    let mut case = down();
    for id in 1..=4 {
        case.opens(id, 0);
        case.told(NoticeKind::Opened, id, false);
        case.now += 10_000;
        case.turns(0, Verdict::Up);
        case.incident(id, (SubjectKind::Monitor, 0), EventKind::Resolved, "refused");
        case.told(NoticeKind::Resolved, id, false);
        case.now += 10_000;
    }
    case.breaks("it flaps");
}

#[test]
fn what_is_found_late_or_never() {
    let mut never = Case::new(REFUSED);
    never.finish();
    never.breaks("m0 hurt from 200000 ms and was never down");
    let found = |kept: Option<Kept>| {
        let mut case = Case::new(REFUSED);
        case.now = 205_000;
        if let Some(kept) = kept {
            let why = Unasked::Kept(kept);
            case.note(&Note::BurstKept { monitor: 0, agent: 0, why });
        }
        case.now = 212_000;
        case.sees(0, 0, true);
        case.sees(0, 1, true);
        case.turns(0, Verdict::Down);
        case.finish();
        case
    };
    found(None).breaks("m0 hurt from 200000 ms and was down 12000 ms later");
    // Another burst answers all the same; a cap lets the ordinary slots do it.
    found(Some(Kept::Active)).breaks("was down 12000 ms later");
    let slowly = found(Some(Kept::HostCap));
    assert_eq!((slowly.reference.judged.tightly, slowly.reference.judged.slowly), (0, 1));
    assert!(!slowly.reference.violations.iter().any(|what| what.contains("ms later")));
}

#[test]
fn nobody_is_told_and_nobody_sees_the_end() {
    let mut case = down();
    case.opens(1, 0);
    case.finish();
    let told = "m0 was down at 204000 ms and nobody was told by 212100 ms";
    let broken = case.reference.violations.clone();
    assert!(broken.iter().any(|what| what.contains(told)), "{broken:?}");
    case.breaks("m0 was well from 400000 ms and is not up by 415000 ms");
}

#[test]
fn what_is_not_at_rest() {
    let mut case = Case::new("");
    case.opens(1, 0);
    case.control.db.lost.put(0, 0);
    case.control.db.discredited.put(1, 0);
    case.finish();
    let broken = case.reference.violations.join("\n");
    for wanted in ["#1 of m0 is still open", "a-1 is still taken as lost", "b-1 has not got"] {
        assert!(broken.contains(wanted), "{wanted}: {broken}");
    }
}

#[test]
fn results_that_are_lost_doubled_or_refused() {
    let mut case = Case::new("");
    case.sees(0, 0, false);
    case.sees(0, 0, false);
    case.breaks("slot 200 of m0 is counted twice");
    case.note(&Note::Batch { agent: 0, lane: Lane::Live, number: 1, refused: 2 });
    case.breaks("2 rows of batch 1 of a-1 are refused");
    case.note(&Note::AgentLost(0));
    case.note(&Note::Batch { agent: 0, lane: Lane::Live, number: 2, refused: 2 });
    case.holds();
    let batch = ResultBatch { number: 3, ..ResultBatch::default() };
    let at = At { cast: &case.cast, truth: &case.truth, control: &case.control, now: case.now };
    case.reference.acknowledged(&at, 0, Lane::Live, &batch);
    case.breaks("batch 3 of a-1 is acknowledged and not stored");
}

#[test]
fn what_the_store_refuses() {
    let mut case = Case::new("");
    case.note(&Note::Refused("#1 leads a group already".to_owned()));
    case.breaks("#1 leads a group already");
}
