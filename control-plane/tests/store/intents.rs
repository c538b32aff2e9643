//! Page intents: one an event, due in order, settled once.

use crate::back_ends::on_both;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::Tx;
use hyperverge_control_plane::store::intents::{self, Intent, Postponed, Settled};

#[tokio::test]
async fn an_intent_waits_until_due_and_is_settled_once() {
    on_both(async |store| {
        let organisation_id = clock::new_id();
        let opened = Intent {
            organisation_id,
            incident_id: clock::new_id(),
            event_number: 1,
            quiet: false,
            kind: NoticeKind::Opened,
            due_at: 500,
            created_at: 100,
        };
        let widened =
            Intent { event_number: 2, kind: NoticeKind::Widened, due_at: 600, ..opened.clone() };
        let mut tx = store.begin().await.unwrap();
        assert!(intents::insert(&mut tx, &opened).await.unwrap());
        let twice = Intent { due_at: 1, ..opened.clone() };
        assert!(!intents::insert(&mut tx, &twice).await.unwrap());
        assert!(intents::insert(&mut tx, &widened).await.unwrap());
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        assert!(busy(&mut tx, 499).await.is_empty());
        assert_eq!(busy(&mut tx, 500).await, [organisation_id]);
        assert!(!intents::any_due(&mut tx, organisation_id, 499).await.unwrap());
        assert!(intents::any_due(&mut tx, organisation_id, 500).await.unwrap());
        assert!(!intents::any_due(&mut tx, clock::new_id(), 500).await.unwrap());
        let hour_before = 500 - 3_600_000;
        assert!(intents::any_due(&mut tx, organisation_id, hour_before).await.unwrap());
        assert_eq!(busy(&mut tx, hour_before).await, [organisation_id], "the clock was set back");
        let waiting = intents::waiting(&mut tx, organisation_id, 10).await.unwrap();
        let waiting: Vec<Intent> = waiting.into_iter().map(|one| one.intent).collect();
        assert_eq!(waiting, [opened.clone(), widened.clone()]);

        let held = |event_number, due_at| Postponed {
            incident_id: opened.incident_id,
            event_number,
            due_at,
            reason: "a \"silence\"".to_owned(),
        };
        intents::postpone(&mut tx, organisation_id, &[held(1, 900), held(2, 800)]).await.unwrap();
        let waiting = intents::waiting(&mut tx, organisation_id, 10).await.unwrap();
        let due: Vec<_> = waiting.iter().map(|one| one.intent.due_at).collect();
        assert_eq!(due, [800, 900]);
        assert_eq!(waiting[0].hold_reason.as_deref(), Some("a \"silence\""));

        let settled = |event_number| Settled {
            incident_id: opened.incident_id,
            event_number,
            outcome: "told 2 channels".to_owned(),
        };
        let both = [settled(1), settled(2)];
        assert_eq!(intents::settle(&mut tx, organisation_id, &both[..1], 900).await.unwrap(), 1);
        assert_eq!(intents::settle(&mut tx, organisation_id, &both, 950).await.unwrap(), 1);
        assert!(busy(&mut tx, 10_000).await.is_empty());
        let event = intents::opening(&mut tx, organisation_id, opened.incident_id, false).await;
        assert_eq!(event.unwrap(), Some(1), "also of one that is settled");
    })
    .await;
}

async fn busy(tx: &mut Tx, now: i64) -> Vec<uuid::Uuid> {
    intents::organisations_with_work(tx, now, 3, 10).await.unwrap()
}
