//! An installation has one set of keys, whichever process comes first.

use crate::back_ends::on_both;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::keys::{self, KeyMismatch, Keys};

#[tokio::test]
async fn a_replica_with_other_keys_is_told_which_one_differs() {
    on_both(async |store| {
        let ours = Keys::generate(&mut clock::rng());
        keys::require_known(&store, &ours).await.unwrap();
        keys::require_known(&store, &ours).await.unwrap();
        let others = Keys::generate(&mut clock::rng());
        let refused = keys::require_known(&store, &others).await.unwrap_err();
        assert!(matches!(refused, KeyMismatch::Differs { name: "link", .. }), "{refused}");
        keys::require_known(&store, &ours).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_two_that_start_at_once_with_different_keys_one_is_refused() {
    on_both(async |store| {
        let [a, b] = [(); 2].map(|()| Keys::generate(&mut clock::rng()));
        let (first, second) =
            tokio::join!(keys::require_known(&store, &a), keys::require_known(&store, &b));
        assert_ne!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
        let winner = if first.is_ok() { &a } else { &b };
        keys::require_known(&store, winner).await.unwrap();
    })
    .await;
}
