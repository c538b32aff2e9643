//! One incident from its opening to its end, through the evaluation that writes it.

use crate::back_ends::on_both;
use crate::fleet::{SmallFleet, small_fleet};
use crate::monitor::{assigned_monitor, reported};
use hyperverge_control_core::correlation::{RegionState, Scope, StateRow, Verdict};
use hyperverge_control_core::incident::{Ending, IncidentState, SubjectKind};
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_plane::clock::new_id;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::groups::{self, Note};
use hyperverge_control_plane::store::incidents::{self, Filter, Incident};
use hyperverge_control_plane::store::intents::{self, Intent, Settled};
use hyperverge_control_plane::store::{Store, Tx, monitors, states};
use hyperverge_control_plane::verdicts::{self, Turned};
use uuid::Uuid;

const WAIT_MS: i64 = 5_000;

async fn fail(tx: &mut Tx, fleet: &SmallFleet, monitor: Uuid, region: usize, since: i64) {
    let row = StateRow {
        revision: 1,
        state: RegionState::Down,
        since: Some(since),
        failures: 2,
        successes: 0,
        streak_began: Some(since),
        newest_slot: 50,
        newest_at: None,
        broken_at: None,
        burst: None,
        observed_at: Some(50_000),
        reason: Some("connect_refused".into()),
        message: None,
    };
    let region = fleet.regions[region];
    states::put_row(tx, fleet.organisation_id, monitor, region, &row).await.unwrap();
}

async fn heal(tx: &mut Tx, fleet: &SmallFleet, monitor: Uuid) {
    states::delete_rows(tx, fleet.organisation_id, monitor).await.unwrap();
}

async fn evaluate(tx: &mut Tx, fleet: &SmallFleet, monitor: Uuid, now: i64) -> Turned {
    evaluate_all(tx, fleet, &[monitor], now).await
}

async fn evaluate_all(tx: &mut Tx, fleet: &SmallFleet, monitors: &[Uuid], now: i64) -> Turned {
    let (organisation, monitors) = (fleet.organisation_id, monitors.to_vec());
    verdicts::evaluate(tx, organisation, monitors, WAIT_MS, now).await.unwrap()
}

async fn only(tx: &mut Tx, fleet: &SmallFleet) -> Incident {
    let mut all =
        incidents::page(tx, fleet.organisation_id, &Filter::default(), None, 9).await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

async fn begin(store: &Store) -> (SmallFleet, Tx, Uuid) {
    let fleet = small_fleet(store, 3).await;
    let mut tx = store.begin().await.unwrap();
    let monitor = assigned_monitor(&mut tx, &fleet, 1).await;
    reported(&mut tx, &fleet, 50_000).await;
    (fleet, tx, monitor)
}

#[tokio::test]
async fn quiet_then_wide_then_over() {
    on_both(async |store| {
        let (fleet, mut tx, monitor) = begin(&store).await;
        let organisation = fleet.organisation_id;
        assert_eq!(evaluate(&mut tx, &fleet, monitor, 51_000).await.verdicts, 1, "now up");
        assert_eq!(evaluate(&mut tx, &fleet, monitor, 51_000).await, Turned::default());

        fail(&mut tx, &fleet, monitor, 0, 40_000).await;
        let turned = evaluate(&mut tx, &fleet, monitor, 52_000).await;
        assert_eq!((turned.opened, turned.intents), (vec![Scope::Local], 1));
        let quiet = only(&mut tx, &fleet).await;
        assert_eq!(
            (quiet.scope, quiet.started_at, quiet.opened_at),
            (Scope::Local, 40_000, 52_000)
        );
        assert_eq!(evaluate(&mut tx, &fleet, monitor, 52_500).await, Turned::default());

        fail(&mut tx, &fleet, monitor, 1, 45_000).await;
        fail(&mut tx, &fleet, monitor, 2, 47_000).await;
        assert_eq!(evaluate(&mut tx, &fleet, monitor, 53_000).await.intents, 1);
        let wide = only(&mut tx, &fleet).await;
        assert_eq!((wide.id, wide.verdict, wide.scope), (quiet.id, Verdict::Down, Scope::Global));
        assert_eq!((wide.started_at, wide.last_event, wide.regions.len()), (45_000, 2, 3));
        assert_eq!(wide.regions[1].since_ms, Some(45_000));
        let waiting = waiting(&mut tx, &fleet).await;
        assert_eq!((waiting[0].due_at, waiting[0].quiet), (57_000, true));
        assert_eq!((waiting[1].kind, waiting[1].due_at), (NoticeKind::Opened, 58_000));
        let state = states::lock(&mut tx, organisation, vec![monitor]).await.unwrap().remove(0);
        assert_eq!((state.verdict, state.since), (Verdict::Down, 51_000), "not before it was up");

        let somebody = new_id();
        let acknowledged =
            incidents::acknowledge(&mut tx, organisation, wide.id, somebody, 54_000).await.unwrap();
        assert!(acknowledged);
        assert!(
            !incidents::acknowledge(&mut tx, organisation, wide.id, somebody, 1).await.unwrap()
        );
        heal(&mut tx, &fleet, monitor).await;
        assert_eq!(evaluate(&mut tx, &fleet, monitor, 55_000).await.intents, 1);
        let over = only(&mut tx, &fleet).await;
        assert_eq!((over.state, over.resolved_at), (IncidentState::Resolved, Some(55_000)));
        assert_eq!((over.verdict, over.scope), (Verdict::Down, Scope::Global), "its worst");
        assert_eq!(over.acknowledged_by, Some(somebody));
        let told = self::waiting(&mut tx, &fleet).await;
        let told: Vec<_> = told.iter().map(|intent| (intent.kind, intent.quiet)).collect();
        let (resolved, opened) = (NoticeKind::Resolved, NoticeKind::Opened);
        assert_eq!(told, [(resolved, false), (opened, true), (opened, false)]);
        let timeline = incidents::timeline(&mut tx, organisation, over.id, 0, 9).await.unwrap();
        let told: Vec<_> = timeline.iter().map(|e| (e.number, e.kind.as_str())).collect();
        assert_eq!(told, [(1, "opened"), (2, "widened"), (3, "acknowledged"), (4, "resolved")]);
        assert_eq!(timeline[1].evidence["input"]["evaluation"]["down"], 3);

        fail(&mut tx, &fleet, monitor, 0, 56_000).await;
        evaluate(&mut tx, &fleet, monitor, 57_000).await;
        let open = Filter { resolved: Some(false), ..Filter::default() };
        let open = incidents::page(&mut tx, organisation, &open, None, 9).await.unwrap();
        assert_eq!(open.len(), 1);
        assert_ne!(open[0].id, over.id, "the next time is another incident");
        let subject = (SubjectKind::Monitor, monitor.to_string());
        let of_it = Filter { subject: Some(subject), resolved: Some(true), ..Filter::default() };
        let past =
            incidents::page(&mut tx, organisation, &of_it, Some(open[0].id), 9).await.unwrap();
        assert_eq!(past[0].id, over.id);
    })
    .await;
}

#[tokio::test]
async fn a_monitor_that_ends_resolves_its_incident_with_a_notice() {
    on_both(async |store| {
        let (fleet, mut tx, monitor) = begin(&store).await;
        let organisation = fleet.organisation_id;
        let mut spec = monitors::get(&mut tx, organisation, monitor).await.unwrap().unwrap().spec;
        spec.name = "shop".into();
        let none = verdicts::end(&mut tx, organisation, monitor, &spec, Ending::Disabled, 51_000);
        assert_eq!(none.await.unwrap().intents, 0);
        for region in 0..3 {
            fail(&mut tx, &fleet, monitor, region, 40_000).await;
        }
        evaluate(&mut tx, &fleet, monitor, 52_000).await;
        tx.execute("UPDATE incidents SET paged = TRUE", params![]).await.unwrap();
        let ended = verdicts::end(&mut tx, organisation, monitor, &spec, Ending::Deleted, 53_000);
        assert_eq!(ended.await.unwrap().intents, 1);
        let over = only(&mut tx, &fleet).await;
        assert_eq!(over.summary, "shop was deleted while its incident was open");
        assert_eq!(over.resolved_at, Some(53_000));
        assert!(states::rows(&mut tx, organisation, vec![monitor]).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_second_outage_of_an_open_incident_is_told_again() {
    on_both(async |store| {
        let (fleet, mut tx, monitor) = begin(&store).await;
        let organisation = fleet.organisation_id;
        for region in 0..3 {
            fail(&mut tx, &fleet, monitor, region, 40_000).await;
        }
        evaluate(&mut tx, &fleet, monitor, 52_000).await;
        // What the correlator does with it.
        let incident_id = only(&mut tx, &fleet).await.id;
        let outcome = "put in the outbox".to_owned();
        let settled = [Settled { incident_id, event_number: 1, outcome }];
        assert_eq!(intents::settle(&mut tx, organisation, &settled, 52_500).await.unwrap(), 1);
        let told = Note {
            incident_id,
            kind: "paged",
            summary: "Told somebody (opened)".to_owned(),
            evidence: serde_json::json!({}),
            paged: true,
            told_quietly: false,
        };
        groups::note(&mut tx, organisation, &[told], 52_500).await.unwrap();

        let [_, second, third] = fleet.regions[..] else { panic!("three regions") };
        for region in [second, third] {
            states::delete_row(&mut tx, organisation, monitor, region).await.unwrap();
        }
        assert_eq!(evaluate(&mut tx, &fleet, monitor, 53_000).await.intents, 0, "local");
        fail(&mut tx, &fleet, monitor, 1, 53_500).await;
        assert_eq!(evaluate(&mut tx, &fleet, monitor, 54_000).await.intents, 1);
        fail(&mut tx, &fleet, monitor, 2, 54_500).await;
        assert_eq!(evaluate(&mut tx, &fleet, monitor, 55_000).await.intents, 0, "it waits");
        let waiting = waiting(&mut tx, &fleet).await;
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].kind, NoticeKind::Widened);
        assert_eq!(only(&mut tx, &fleet).await.started_at, 40_000, "people know it since then");
    })
    .await;
}

#[tokio::test]
async fn silence_opens_and_resolves_nothing() {
    on_both(async |store| {
        let (fleet, mut tx, monitor) = begin(&store).await;
        for region in 0..3 {
            fail(&mut tx, &fleet, monitor, region, 40_000).await;
        }
        evaluate(&mut tx, &fleet, monitor, 52_000).await;
        let turned = evaluate(&mut tx, &fleet, monitor, 500_000).await;
        assert_eq!((turned.verdicts, turned.intents), (1, 0));
        let open = only(&mut tx, &fleet).await;
        assert_eq!((open.state, open.verdict), (IncidentState::Open, Verdict::Down));
    })
    .await;
}

/// What waits to be told, the first due first.
async fn waiting(tx: &mut Tx, fleet: &SmallFleet) -> Vec<Intent> {
    let waiting = intents::waiting(tx, fleet.organisation_id, 9).await.unwrap();
    waiting.into_iter().map(|one| one.intent).collect()
}

/// One upstream, many monitors: what opens, goes on and is over in one transaction.
#[tokio::test]
async fn many_change_at_once_each_in_its_own_way() {
    on_both(async |store| {
        let (fleet, mut tx, first) = begin(&store).await;
        let organisation = fleet.organisation_id;
        let mut all = vec![first];
        for _ in 1..4 {
            all.push(assigned_monitor(&mut tx, &fleet, 1).await);
        }
        for monitor in &all[..3] {
            fail(&mut tx, &fleet, *monitor, 0, 40_000).await;
        }
        fail(&mut tx, &fleet, all[2], 1, 41_000).await;
        let turned = evaluate_all(&mut tx, &fleet, &all, 52_000).await;
        assert_eq!((turned.opened.len(), turned.intents, turned.verdicts), (3, 3, 4));
        heal(&mut tx, &fleet, all[0]).await;
        fail(&mut tx, &fleet, all[1], 1, 45_000).await;
        fail(&mut tx, &fleet, all[3], 2, 46_000).await;
        evaluate_all(&mut tx, &fleet, &all, 53_000).await;
        let incidents = incidents::page(&mut tx, organisation, &Filter::default(), None, 9).await;
        let mut stand: Vec<_> = incidents
            .unwrap()
            .into_iter()
            .map(|one| {
                let place = all.iter().position(|id| id.to_string() == one.subject_id).unwrap();
                (place, one.verdict, one.last_event, one.resolved_at, one.started_at)
            })
            .collect();
        stand.sort_unstable_by_key(|one| one.0);
        assert_eq!(
            stand,
            [
                (0, Verdict::Up, 2, Some(53_000), 40_000),
                (1, Verdict::Down, 2, None, 45_000),
                (2, Verdict::Down, 1, None, 41_000),
                (3, Verdict::Up, 1, None, 46_000),
            ]
        );
        let kinds = waiting(&mut tx, &fleet).await;
        assert_eq!(kinds.iter().filter(|one| !one.quiet).count(), 2, "one widened, one began so");
        let rows = states::rows(&mut tx, organisation, all).await.unwrap();
        assert_eq!(rows.len(), 5);
    })
    .await;
}
