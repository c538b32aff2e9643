//! Page intents: one an event, due in order, settled once.

use crate::back_ends::on_both;
use hyperverge_control_core::notification::NoticeKind;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::intents::{self, Intent};

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
        assert_eq!(intents::next_due(&mut tx).await.unwrap(), Some(500));
        assert!(intents::organisations_due(&mut tx, 499, 10).await.unwrap().is_empty());
        let due = intents::organisations_due(&mut tx, 500, 10).await.unwrap();
        assert_eq!(due, [organisation_id]);
        let due = intents::due(&mut tx, organisation_id, 500, 10).await.unwrap();
        assert_eq!(due, std::slice::from_ref(&opened));
        assert!(intents::due(&mut tx, clock::new_id(), 500, 10).await.unwrap().is_empty());
        let waiting = intents::unsettled(&mut tx, organisation_id, opened.incident_id).await;
        assert_eq!(waiting.unwrap(), [opened.clone(), widened.clone()]);

        assert!(intents::settle(&mut tx, &opened, "told 2 channels", 700).await.unwrap());
        assert!(!intents::settle(&mut tx, &opened, "again", 800).await.unwrap());
        assert_eq!(intents::next_due(&mut tx).await.unwrap(), Some(600));
        assert!(intents::settle(&mut tx, &widened, "not needed", 800).await.unwrap());
        assert_eq!(intents::next_due(&mut tx).await.unwrap(), None);
    })
    .await;
}
