//! Rows of regions that are not steadily up, and what people are shown.

use crate::back_ends::on_both;
use crate::fleet::small_fleet;
use crate::monitor::{assigned_monitor, reported};
use hyperverge_control_core::correlation::{BurstMarks, RegionState, Scope, StateRow, Verdict};
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::results::{self, NewResult, Origin};
use hyperverge_control_plane::store::states::{self, MonitorState};
use std::time::Duration;
use uuid::Uuid;

fn down(newest_slot: i64) -> StateRow {
    StateRow {
        revision: 1,
        state: RegionState::Down,
        since: Some(newest_slot * 1_000),
        failures: 2,
        successes: 0,
        streak_began: Some(newest_slot * 1_000),
        newest_slot,
        newest_at: None,
        broken_at: None,
        burst: None,
        observed_at: Some(newest_slot * 1_000),
        reason: Some("connect_refused".into()),
        message: Some("nobody listens".into()),
    }
}

#[tokio::test]
async fn a_row_is_written_over_and_removed() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let organisation = fleet.organisation_id;
        let mut tx = store.begin().await.unwrap();
        let monitor = assigned_monitor(&mut tx, &fleet, 1).await;
        let region = fleet.regions[0];
        let unknown = StateRow {
            state: RegionState::Unknown,
            since: None,
            observed_at: None,
            streak_began: None,
            broken_at: Some(2_900),
            burst: Some(BurstMarks { id: monitor, index: 3, below: u64::MAX - 1 }),
            ..down(3)
        };
        for row in [down(2), unknown] {
            states::put_row(&mut tx, organisation, monitor, region, &row).await.unwrap();
            let rows = states::rows(&mut tx, organisation, vec![monitor]).await.unwrap();
            assert_eq!(rows, [(monitor, region, row)]);
        }
        assert!(states::delete_row(&mut tx, organisation, monitor, region).await.unwrap());
        assert!(!states::delete_row(&mut tx, organisation, monitor, region).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn only_what_is_unsteady_is_looked_at() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let organisation = fleet.organisation_id;
        let mut tx = store.begin().await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(assigned_monitor(&mut tx, &fleet, 1).await);
        }
        // The first is new and so not up; the second has a row here, the third elsewhere.
        for id in &ids[1..] {
            for state in states::lock(&mut tx, organisation, vec![*id]).await.unwrap() {
                let up = MonitorState { verdict: Verdict::Up, ..state };
                states::set_verdict(&mut tx, organisation, &up).await.unwrap();
            }
        }
        let (here, there) = (fleet.regions[0], fleet.regions[1]);
        states::put_row(&mut tx, organisation, ids[1], here, &down(2)).await.unwrap();
        states::put_row(&mut tx, organisation, ids[2], there, &down(2)).await.unwrap();
        let unsteady = states::unsteady(&mut tx, organisation, here, ids.clone()).await.unwrap();
        assert_eq!(unsteady, ids[..2]);
        reported(&mut tx, &fleet, 50_000).await;
        let nil = Uuid::nil();
        let fresh = 20_000..=50_000;
        let turning = states::may_turn(&mut tx, organisation, fresh.clone(), nil, 9).await.unwrap();
        assert_eq!(turning, ids[..3]);
        let rest = states::may_turn(&mut tx, organisation, fresh, ids[0], 1).await.unwrap();
        assert_eq!(rest, [ids[1]]);
        for other in [50_001..=80_000, 20_000..=49_999] {
            let all = states::may_turn(&mut tx, organisation, other, nil, 9).await.unwrap();
            let known = "an agent whose reports are not of now concerns all that it knew of";
            assert_eq!(all, ids[1..], "{known}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_overview_shows_every_seat_with_its_newest_result() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 3).await;
        let organisation = fleet.organisation_id;
        let mut tx = store.begin().await.unwrap();
        let monitor = assigned_monitor(&mut tx, &fleet, 1).await;
        reported(&mut tx, &fleet, 60_000).await;
        states::put_row(&mut tx, organisation, monitor, fleet.regions[1], &down(60)).await.unwrap();
        let origin = Origin {
            organisation_id: organisation,
            region_id: fleet.regions[0],
            agent_id: fleet.agents[0].clone(),
            lane: 1,
            batch_number: 1,
            undated: false,
            received_at: 1,
        };
        let result = NewResult {
            monitor_id: monitor,
            revision: 1,
            slot: 60,
            due_us: 60_000_000,
            started_us: 60_001_000,
            ended_us: 60_003_000,
            outcome: 1,
            connect_us: Some(5),
            details: Some(b"as sent".to_vec()),
            ..NewResult::default()
        };
        results::insert(&mut tx, &origin, &[result]).await.unwrap();
        let shown = states::monitor_regions(&mut tx, organisation, monitor, 61_000).await.unwrap();
        let shown = shown.unwrap();
        assert_eq!((shown.verdict, shown.scope), (Verdict::Unknown, None));
        let seen: Vec<_> = shown.items.iter().map(|i| (i.region.as_str(), i.state)).collect();
        assert_eq!(
            seen,
            [
                ("region-0", RegionState::Up),
                ("region-1", RegionState::Down),
                ("region-2", RegionState::Up)
            ]
        );
        assert_eq!(shown.items[0].last_result_at, Some(60_001));
        assert_eq!(shown.items[0].details.as_deref(), Some(&b"as sent"[..]));
        assert_eq!(shown.items[0].phases.unwrap().connect, Some(Duration::from_micros(5)));
        assert_eq!(shown.items[1].reason.as_deref(), Some("connect_refused"));
        assert_eq!(shown.items[1].since, Some(60_000));
        assert_eq!(shown.items[2].last_result_at, None);
        let later = states::overview(&mut tx, organisation, &[monitor], 200_000).await.unwrap();
        assert!(later[0].items.iter().all(|item| item.state == RegionState::Unknown));
        assert_eq!(later[0].items[0].reason.as_deref(), Some("silent"));
        let revised = "UPDATE monitors SET revision = 2";
        tx.execute(revised, params![]).await.unwrap();
        let revised = states::overview(&mut tx, organisation, &[monitor], 61_000).await.unwrap();
        let asked = revised[0].items.iter().all(|item| item.state == RegionState::Unknown);
        assert!(asked, "nobody was asked the new question yet");
        let nobody = states::monitor_regions(&mut tx, organisation, Uuid::nil(), 1).await.unwrap();
        assert!(nobody.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_verdict_is_written_under_its_lock() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 1).await;
        let organisation = fleet.organisation_id;
        let mut tx = store.begin().await.unwrap();
        let monitor = assigned_monitor(&mut tx, &fleet, 1).await;
        let state = states::lock(&mut tx, organisation, vec![monitor]).await.unwrap().remove(0);
        let next = MonitorState {
            generation: state.generation + 1,
            verdict: Verdict::Down,
            scope: Some(Scope::Global),
            since: 7,
            ..state
        };
        states::set_verdict(&mut tx, organisation, &next).await.unwrap();
        assert_eq!(states::lock(&mut tx, organisation, vec![monitor]).await.unwrap(), [next]);
    })
    .await;
}
