//! Groups: a lead has one of each kind, the newest come first, and what was none goes.

use crate::back_ends::on_both;
use hyperverge_control_core::paging::{Cause, CauseKind};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::groups::{self, StoredGroup};
use hyperverge_control_plane::store::{Tx, incidents};
use uuid::Uuid;

fn group(lead: Uuid, newest_started_at: i64) -> StoredGroup {
    StoredGroup {
        id: clock::new_id(),
        cause: Cause { kind: CauseKind::Host, value: "edge.example".into() },
        summary: "2 monitors on the host edge.example are down".into(),
        lead_incident_id: lead,
        opened_at: 100,
        resolved_at: None,
        paged: true,
        quiet: false,
        told_global: false,
        newest_started_at,
        interval_ms: 60_000,
    }
}

/// An open incident of a monitor, in this group.
async fn incident(tx: &mut Tx, organisation: Uuid, group: Option<Uuid>) -> Uuid {
    let (id, monitor) = (clock::new_id(), clock::new_id());
    let sql = "INSERT INTO incidents (organisation_id, id, subject_kind, subject_id, subject_name,
            state, verdict, scope, severity, summary, regions, group_id, started_at, opened_at,
            last_event, paged)
        VALUES ($1, $2, 'monitor', $3, 'm', 'open', 'down', 'global', 'critical', '', '[]', $4, 1, 1,
            1, FALSE)";
    let values = params![organisation, id, monitor.to_string(), group];
    tx.execute(sql, values).await.unwrap();
    id
}

#[tokio::test]
async fn a_lead_takes_its_group_up_again_and_has_a_quiet_one_beside_it() {
    on_both(async |store| {
        let (organisation, lead) = (clock::new_id(), clock::new_id());
        let mut tx = store.begin().await.unwrap();
        let quiet = StoredGroup { quiet: true, ..group(lead, 1) };
        assert_eq!(groups::insert(&mut tx, organisation, &quiet).await.unwrap(), quiet.id);
        let loud = group(lead, 2);
        assert_eq!(groups::insert(&mut tx, organisation, &loud).await.unwrap(), loud.id);
        groups::close(&mut tx, organisation, vec![loud.id], 200).await.unwrap();
        let again = StoredGroup { newest_started_at: 3, opened_at: 300, ..group(lead, 3) };
        assert_eq!(groups::insert(&mut tx, organisation, &again).await.unwrap(), loud.id);
        let stored = groups::get(&mut tx, organisation, loud.id).await.unwrap().unwrap();
        assert_eq!(stored, StoredGroup { id: loud.id, ..again });
    })
    .await;
}

#[tokio::test]
async fn the_newest_come_first_and_what_is_over_is_found() {
    on_both(async |store| {
        let organisation = clock::new_id();
        let mut tx = store.begin().await.unwrap();
        let old = group(clock::new_id(), 10);
        let new = group(clock::new_id(), 20);
        let untold = StoredGroup { paged: false, ..group(clock::new_id(), 5) };
        for one in [&old, &new, &untold] {
            groups::insert(&mut tx, organisation, one).await.unwrap();
        }
        let first = groups::open(&mut tx, organisation, 1).await.unwrap();
        assert_eq!(first[0].id, new.id);
        let member = incident(&mut tx, organisation, None).await;
        groups::tell(&mut tx, organisation, old.id, false, vec![member]).await.unwrap();
        let listed = incident(&mut tx, organisation, Some(new.id)).await;
        let untold_one = incident(&mut tx, organisation, Some(untold.id)).await;
        let over = |found: Vec<StoredGroup>| found.iter().map(|one| one.id).collect::<Vec<_>>();
        let found = over(groups::over(&mut tx, organisation, 9).await.unwrap());
        assert_eq!(found, [new.id], "who is only listed keeps no group that people were told of");
        let newest = incidents::hurting(&mut tx, organisation, 2).await.unwrap();
        let newest: Vec<Uuid> = newest.iter().map(|one| one.id).collect();
        assert_eq!(newest, [untold_one, listed], "the newest are not cut off");
        let first = incidents::these(&mut tx, organisation, vec![member]).await.unwrap();
        assert_eq!(first[0].id, member);

        // One that nobody was told of and nobody is in goes; what people were told of stays.
        groups::list(&mut tx, organisation, None, vec![untold_one]).await.unwrap();
        let both = vec![new.id, untold.id];
        groups::close(&mut tx, organisation, both, 400).await.unwrap();
        let closed = groups::get(&mut tx, organisation, new.id).await.unwrap().unwrap();
        assert_eq!(closed.resolved_at, Some(400));
        assert!(groups::get(&mut tx, organisation, untold.id).await.unwrap().is_none());
        assert_eq!(groups::open(&mut tx, organisation, 9).await.unwrap().len(), 1);
    })
    .await;
}
