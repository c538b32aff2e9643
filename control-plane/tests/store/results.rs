//! The first commit wins a slot; history reads newest first.

use crate::back_ends::on_both;
use crate::fleet::{SmallFleet, small_fleet};
use crate::monitor::assigned_monitor;
use hyperverge_control_plane::clock::new_id;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::results::{self, NewMissed, NewResult, Origin};
use std::time::Duration;
use uuid::Uuid;

fn origin(fleet: &SmallFleet, region: usize, batch_number: i64) -> Origin {
    Origin {
        organisation_id: fleet.organisation_id,
        region_id: fleet.regions[region],
        agent_id: fleet.agents[region].clone(),
        lane: 1,
        batch_number,
        undated: false,
        received_at: 5,
    }
}

fn result(monitor_id: Uuid, slot: i64) -> NewResult {
    NewResult {
        monitor_id,
        revision: 1,
        slot,
        due_us: slot * 1_000_000,
        started_us: slot * 1_000_000 + 10,
        ended_us: slot * 1_000_000 + 900,
        outcome: 1,
        ..NewResult::default()
    }
}

#[tokio::test]
async fn a_slot_is_stored_once_whoever_sends_it() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let monitor = new_id();
        let mut tx = store.begin().await.unwrap();
        let rows: Vec<_> = (0..171).map(|slot| result(monitor, slot)).collect();
        let first = origin(&fleet, 0, 1);
        assert_eq!(results::insert(&mut tx, &first, &rows).await.unwrap(), 171);
        let more: Vec<_> = (160..180).map(|slot| result(monitor, slot)).collect();
        assert_eq!(results::insert(&mut tx, &origin(&fleet, 0, 2), &more).await.unwrap(), 9);
        assert_eq!(results::insert(&mut tx, &origin(&fleet, 1, 1), &more).await.unwrap(), 20);
        let twice = [result(monitor, 500), result(monitor, 500)];
        assert_eq!(results::insert(&mut tx, &first, &twice).await.unwrap(), 1);
        let burst = NewResult { burst_id: new_id(), burst_index: 1, ..result(monitor, 500) };
        assert_eq!(results::insert(&mut tx, &first, &[burst]).await.unwrap(), 1);
        assert_eq!(results::insert(&mut tx, &first, &[]).await.unwrap(), 0);
        let missed =
            NewMissed { monitor_id: monitor, revision: 1, first_slot: 3, last_slot: 9, reason: 1 };
        for _ in 0..2 {
            let ranges = std::slice::from_ref(&missed);
            results::insert_missed(&mut tx, &first, ranges).await.unwrap();
        }
        let count = "SELECT COUNT(*) AS n FROM missed_slots";
        let row = tx.fetch_optional(count, params![]).await.unwrap().unwrap();
        assert_eq!(row.get::<i64>("n").unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn every_column_comes_back_and_pages_follow_each_other() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let monitor = new_id();
        let mut tx = store.begin().await.unwrap();
        let full = NewResult {
            outcome: 3,
            reason: Some("status".into()),
            message: Some("500 was not expected".into()),
            resolve_us: Some(1),
            connect_us: Some(2),
            tls_us: Some(3),
            processing_us: Some(4),
            transfer_us: None,
            address: Some("192.0.2.7:443".into()),
            status: Some(500),
            certificate_expires_s: Some(1_800_000_000),
            sample: Some(b"oh \xff no".to_vec()),
            redirects: 2,
            body_bytes: 77,
            details: Some(vec![0, 255, 7]),
            ..result(monitor, 9)
        };
        let organisation = fleet.organisation_id;
        for region in [0, 1] {
            let rows = [result(monitor, 7), result(monitor, 8), full.clone()];
            results::insert(&mut tx, &origin(&fleet, region, 1), &rows).await.unwrap();
        }
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page =
                results::page(&mut tx, organisation, monitor, None, before, 4).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.position);
            seen.extend(page);
        }
        assert_eq!(seen.iter().map(|r| r.slot).collect::<Vec<_>>(), [9, 9, 8, 8, 7, 7]);
        let one = results::page(&mut tx, organisation, monitor, Some("region-1"), None, 9).await;
        let one = one.unwrap();
        assert_eq!(one.iter().map(|r| r.slot).collect::<Vec<_>>(), [9, 8, 7]);
        let read = &one[0];
        assert_eq!((read.region.as_str(), &read.agent_id), ("region-1", &fleet.agents[1]));
        assert_eq!((read.outcome, read.reason.as_deref()), (3, Some("status")));
        assert_eq!(read.phases.processing, Some(Duration::from_micros(4)));
        assert_eq!(read.phases.transfer, None);
        assert_eq!(read.sample.as_deref(), Some(&b"oh \xff no"[..]));
        assert_eq!(read.details, Some(vec![0, 255, 7]));
        assert_eq!((read.status, read.redirects, read.body_bytes), (Some(500), 2, 77));
        assert_eq!((read.due_us, read.ended_us), (9_000_000, 9_000_900));
    })
    .await;
}

#[tokio::test]
async fn the_newest_slot_is_of_the_present_revision_and_region() {
    on_both(async |store| {
        let fleet = small_fleet(&store, 2).await;
        let mut tx = store.begin().await.unwrap();
        let monitor = assigned_monitor(&mut tx, &fleet, 1).await;
        let old = NewResult { revision: 0, ..result(monitor, 99) };
        let rows = [old, result(monitor, 4), result(monitor, 5)];
        results::insert(&mut tx, &origin(&fleet, 0, 1), &rows).await.unwrap();
        let (organisation, ids) = (fleet.organisation_id, vec![monitor]);
        let newest = results::newest(&mut tx, organisation, fleet.regions[0], ids.clone()).await;
        let newest = newest.unwrap();
        let seen: Vec<_> = newest.iter().map(|(key, n)| (*key, n.slot, n.started_at)).collect();
        assert_eq!(seen, [((monitor, 1), 5, 5_000)]);
        let none = results::newest(&mut tx, organisation, fleet.regions[1], ids).await.unwrap();
        assert!(none.is_empty());
    })
    .await;
}
