use super::*;
use hyperverge_agent_core::missed::MissedReason;
use hyperverge_protocol::wire::{Envelope, Outcome, ResultBatch, ResultRow};
use prost::Message;
use std::collections::BTreeSet;
use uuid::Uuid;

const ROOMY: SpoolLimits = SpoolLimits { bytes: 1 << 30, age_ms: i64::MAX };

fn open(dir: &Path, limits: SpoolLimits) -> (Spool, Found, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let key = SigningKey::from_bytes(&[5; 32]);
    let (spool, found) =
        Spool::open(dir, limits, key, [1; 16], metrics.clone()).expect("a usable directory");
    (spool, found, metrics)
}

fn row(slot: i64, outcome: Outcome, message_bytes: usize) -> ResultRow {
    ResultRow {
        monitor_id: Uuid::from_u128(1).into_bytes().to_vec().into(),
        revision: 1,
        slot,
        due_us: slot * 1_000_000,
        outcome: outcome.into(),
        message: "x".repeat(message_bytes),
        ..ResultRow::default()
    }
}

fn draft(rows: Vec<ResultRow>, complete_through_ms: Option<i64>) -> Draft {
    let rows_bytes = rows.iter().map(|row| row.encoded_len() + 8).sum();
    Draft { rows, rows_bytes, complete_through_ms, ..Draft::default() }
}

async fn seal(spool: &Spool, rows: Vec<ResultRow>, through: Option<i64>) -> SealReport {
    seal_all(spool, [draft(rows, through)].into()).await
}

async fn seal_all(spool: &Spool, drafts: VecDeque<Draft>) -> SealReport {
    let request = SealRequest { drafts, set_version: 1, now_ms: Some(1) };
    spool.seal(request).expect("room").await.expect("the thread lives")
}

async fn acknowledge(spool: &Spool, lane: Lane, number: u64) {
    let stored = Acknowledged { lane, number, stored: 1, duplicates: 0, refused: 0 };
    spool.acknowledged(stored).await;
}

fn decode(envelope: Bytes) -> ResultBatch {
    let envelope = Envelope::decode(envelope).expect("an envelope");
    ResultBatch::decode(envelope.payload).expect("a batch")
}

fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(directory(dir)).expect("listed");
    let segments = entries
        .map(|e| e.expect("an entry"))
        .filter(|e| e.path().extension().is_some_and(|extension| extension == "seg"));
    segments.map(|e| e.metadata().expect("there").len()).sum()
}

#[tokio::test]
async fn sealed_bytes_are_the_same_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    create(dir.path()).expect("made");
    let (spool, found, _) = open(dir.path(), ROOMY);
    assert_eq!(found.numbers, Numbers { live: 1, backlog: 1 });
    seal(&spool, vec![row(4, Outcome::Ok, 3)], Some(3_000)).await;
    spool.set_session(true);
    let of_a_burst = ResultRow { burst_id: vec![7; 16].into(), ..row(7, Outcome::Fail, 3) };
    seal(&spool, vec![row(6, Outcome::Fail, 3), of_a_burst], Some(4_500)).await;
    let before = spool.read(Lane::Live, 1).await.expect("held");
    drop(spool); // no shut-down: as after a kill
    let (spool, found, _) = open(dir.path(), ROOMY);
    assert_eq!((found.live, found.backlog), (vec![1], vec![1]));
    assert_eq!(found.resume.complete_through_ms, Some(4_500));
    assert_eq!(found.resume.sealed, BTreeSet::from([(Uuid::from_u128(1), 1, 6)]));
    assert_eq!(spool.read(Lane::Live, 1).await.expect("held"), before);
    assert_eq!(decode(before).number, 1);
    seal(&spool, vec![], Some(5_000)).await;
    assert_eq!(*spool.numbers().borrow(), Numbers { live: 2, backlog: 3 });
}

#[tokio::test]
async fn numbers_outlive_every_segment() {
    let dir = tempfile::tempdir().expect("a directory");
    create(dir.path()).expect("made");
    let (spool, _, metrics) = open(dir.path(), ROOMY);
    for slot in 1..=12 {
        let rows = (0..1_000).map(|_| row(slot, Outcome::Ok, 600)).collect();
        seal(&spool, rows, Some(slot * 1_000)).await;
        acknowledge(&spool, Lane::Backlog, slot as u64).await;
    }
    assert!(spool.read(Lane::Backlog, 12).await.is_none(), "nothing waits");
    assert!(metrics.spool.bytes.get() < 5_000_000, "acknowledged segments are deleted");
    assert_eq!(disk_bytes(dir.path()), metrics.spool.bytes.get() as u64);
    spool.shut_down().await;
    let (_, found, _) = open(dir.path(), ROOMY);
    assert_eq!((found.numbers.backlog, found.backlog.len()), (13, 0));
    assert_eq!(found.resume.complete_through_ms, Some(12_000));
}

#[tokio::test]
async fn a_full_spool_gives_up_successes_then_everything_and_never_grows() {
    let dir = tempfile::tempdir().expect("a directory");
    create(dir.path()).expect("made");
    let limits = SpoolLimits { bytes: 400_000, age_ms: i64::MAX };
    let (spool, found, metrics) = open(dir.path(), limits);
    assert!(found.backlog.is_empty());
    let mut sealed_failures = 0;
    let mut given_up = Vec::new();
    for slot in 1..=200 {
        let outcome = if slot % 4 == 0 { Outcome::Fail } else { Outcome::Ok };
        let report = seal(&spool, vec![row(slot, outcome, 5_000)], None).await;
        if report.missed.is_empty() {
            sealed_failures += usize::from(outcome == Outcome::Fail);
        }
        given_up.extend(report.missed);
        assert!(disk_bytes(dir.path()) <= 400_000);
    }
    assert!(!given_up.is_empty(), "200 rows of 5 kB do not fit");
    let lost_failure = given_up.iter().any(|m| m.reason == MissedReason::Overload);
    let lost_success = given_up.iter().any(|m| m.reason == MissedReason::SpoolFull);
    assert!(lost_failure && lost_success, "in the end both");
    let numbers = spool.numbers().borrow().backlog;
    let mut folded = 0;
    let mut kept_failures = 0;
    for number in 1..numbers {
        let batch = decode(spool.read(Lane::Backlog, number).await.expect("held"));
        folded += batch.missed.len();
        kept_failures += batch.rows.iter().filter(|r| r.outcome == Outcome::Fail as i32).count();
    }
    assert!(folded > 0, "before that, successes became gap records");
    assert_eq!(kept_failures, sealed_failures);
    let counted = metrics.spool.results_folded_total.with_label_values(&["success"]).get()
        + metrics.spool.results_folded_total.with_label_values(&["failure"]).get();
    assert_eq!(counted as usize, folded + given_up.len(), "every loss is counted");
}

#[tokio::test]
async fn what_is_given_up_is_not_said_to_be_complete() {
    let dir = tempfile::tempdir().expect("a directory");
    create(dir.path()).expect("made");
    let limits = SpoolLimits { bytes: 100_000, age_ms: i64::MAX };
    let (spool, _, _) = open(dir.path(), limits);
    seal(&spool, vec![], Some(1_000)).await;
    let large = draft(vec![row(2, Outcome::Fail, 150_000)], None);
    let small = draft(vec![row(3, Outcome::Fail, 5)], Some(4_000));
    let report = seal_all(&spool, [large.clone(), small].into()).await;
    assert_eq!(report.missed.iter().map(|missed| missed.first).collect::<Vec<_>>(), [2]);
    let sealed = decode(spool.read(Lane::Backlog, 2).await.expect("held"));
    assert_eq!((sealed.rows.len(), sealed.complete_through_ms), (1, None));
    // A batch that would say nothing else is not made.
    seal_all(&spool, [large, draft(vec![], Some(5_000))].into()).await;
    assert_eq!(spool.numbers().borrow().backlog, 3);
    // The next request lists what was given up, and is complete.
    seal(&spool, vec![], Some(6_000)).await;
    spool.shut_down().await;
    let (_, found, _) = open(dir.path(), limits);
    assert_eq!(found.resume.complete_through_ms, Some(6_000));
}

#[tokio::test]
async fn what_spills_into_the_backlog_is_not_called_complete() {
    let dir = tempfile::tempdir().expect("a directory");
    create(dir.path()).expect("made");
    let (spool, _, _) = open(dir.path(), ROOMY);
    spool.set_session(true);
    assert!(seal(&spool, vec![row(0, Outcome::Ok, 3)], Some(500)).await.missed.is_empty());
    let mut drafts: VecDeque<_> =
        (1..=20).map(|slot| draft(vec![row(slot, Outcome::Ok, 3)], None)).collect();
    drafts.push_back(draft(vec![row(21, Outcome::Ok, 3)], Some(21_000)));
    assert!(seal_all(&spool, drafts).await.missed.is_empty());
    let numbers = *spool.numbers().borrow();
    assert!(numbers.backlog > 10, "most of it is backlog: {numbers:?}");
    // It goes live whatever waits, and speaks for what was sealed before that.
    let last = decode(spool.read(Lane::Live, numbers.live - 1).await.expect("held"));
    assert_eq!((last.rows[0].slot, last.complete_through_ms), (21, Some(500)));
}

#[tokio::test]
async fn unknown_numbers_wait_for_the_control_plane() {
    let dir = tempfile::tempdir().expect("a directory");
    let (spool, _, _) = open(dir.path(), ROOMY);
    let report = seal(&spool, vec![row(1, Outcome::Ok, 3)], Some(1)).await;
    assert_eq!(report.missed.len(), 1, "not sealed under a number that may be taken");
    let outcome = spool.reconcile(Some(40), Some(7)).await;
    assert_eq!(outcome.begin, [(Lane::Live, 40), (Lane::Backlog, 7)]);
    assert!(seal(&spool, vec![row(2, Outcome::Ok, 3)], Some(2)).await.missed.is_empty());
    assert_eq!(decode(spool.read(Lane::Backlog, 7).await.expect("held")).number, 7);
    spool.shut_down().await;
    std::fs::remove_file(directory(dir.path()).join(format!("{:016x}.seg", 1))).expect("removed");
    let (spool, _, _) = open(dir.path(), ROOMY);
    let report = seal(&spool, vec![row(3, Outcome::Ok, 3)], Some(3)).await;
    assert_eq!(report.missed.len(), 1, "a segment that is missing makes numbers doubtful");
}
