//! One key, one answer.

use crate::back_ends::on_both;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::{Store, idempotency, retention};
use uuid::Uuid;

const DAY_MS: i64 = 24 * 3_600_000;

/// Claims, and answers 201; whether it was this one's to answer.
async fn answer(store: Store, organisation: Uuid, body: String) -> bool {
    let mut tx = store.begin().await.unwrap();
    if !idempotency::claim(&mut tx, organisation, "key", vec![1], 10).await.unwrap() {
        return false;
    }
    idempotency::settle(&mut tx, organisation, "key", 201, &body).await.unwrap();
    tx.commit().await.unwrap();
    true
}

#[tokio::test]
async fn of_many_at_once_one_answers_and_all_find_its_answer() {
    on_both(async |store| {
        let organisation = clock::new_id();
        let racing = (0..6).map(|n| answer(store.clone(), organisation, format!("body {n}")));
        let won = futures_util::future::join_all(racing).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let index = won.iter().position(|won| *won).unwrap();
        let mut tx = store.read().await.unwrap();
        let found = idempotency::find(&mut tx, organisation, "key").await.unwrap().unwrap();
        assert_eq!((found.status, found.body), (201, format!("body {index}")));
        assert_eq!(found.request_hash, [1]);
        let elsewhere = idempotency::find(&mut tx, clock::new_id(), "key").await.unwrap();
        assert_eq!(elsewhere, None);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_free_again_when_its_work_was_undone_or_a_day_has_passed() {
    on_both(async |store| {
        let organisation = clock::new_id();
        let claim = async |now: i64, keep: bool| {
            let mut tx = store.begin().await.unwrap();
            let mine = idempotency::claim(&mut tx, organisation, "key", vec![1], now).await;
            if keep {
                tx.commit().await.unwrap();
            }
            mine.unwrap()
        };
        assert!(claim(10, false).await);
        assert!(claim(10, true).await);
        assert!(!claim(10 + DAY_MS, true).await);
        assert!(claim(11 + DAY_MS, true).await);
        let mut tx = store.begin().await.unwrap();
        let table = retention::table("idempotency_keys").unwrap();
        assert_eq!(retention::forget(&mut tx, table, 12 + DAY_MS, 10).await.unwrap(), 1);
    })
    .await;
}
