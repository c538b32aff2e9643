//! Refresh tokens: good once, in families that end together.

use crate::back_ends::on_both;
use hyperverge_control_plane::auth::Role;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::login_sessions::{self, LoginSession, Use};
use hyperverge_control_plane::store::users::{self, User};
use hyperverge_control_plane::store::{Store, Tx, retention};

const NOW: i64 = 1_000;
const EXPIRES: i64 = 2_000;

async fn signed_in(tx: &mut Tx) -> LoginSession {
    let (organisation, id) = (clock::new_id(), clock::new_id());
    let email = format!("{}@example.com", id.simple());
    let user = User { organisation, id, email, role: Role::Editor, generation: 3, created_at: 1 };
    users::insert(tx, &user, "$hash").await.unwrap();
    let session = LoginSession {
        organisation,
        id: clock::new_id(),
        family: clock::new_id(),
        user: id,
        generation: 3,
        created_at: NOW,
        expires_at: EXPIRES,
        used_at: None,
        revoked_at: None,
    };
    login_sessions::insert(tx, &session, hash_of(&session)).await.unwrap();
    session
}

fn hash_of(session: &LoginSession) -> Vec<u8> {
    [session.id.as_bytes().as_slice(), &[0; 16]].concat()
}

async fn spend(store: Store, hash: Vec<u8>, now: i64) -> Use {
    let mut tx = store.begin().await.unwrap();
    let used = login_sessions::spend(&mut tx, hash, now).await.unwrap();
    tx.commit().await.unwrap();
    used
}

#[tokio::test]
async fn of_many_uses_one_is_first_and_the_others_are_noticed() {
    on_both(async |store| {
        let mut tx = store.begin().await.unwrap();
        let session = signed_in(&mut tx).await;
        tx.commit().await.unwrap();
        let racing = (0..6).map(|_| spend(store.clone(), hash_of(&session), NOW + 1));
        let uses = futures_util::future::join_all(racing).await;
        let first = uses.iter().filter(|used| matches!(used, Use::First(_))).count();
        let again = uses.iter().filter(|used| matches!(used, Use::Again(_))).count();
        assert_eq!((first, again), (1, 5), "{uses:?}");
    })
    .await;
}

#[tokio::test]
async fn what_expired_ended_or_never_was_is_refused() {
    on_both(async |store| {
        let mut tx = store.begin().await.unwrap();
        let (late, ended) = (signed_in(&mut tx).await, signed_in(&mut tx).await);
        login_sessions::end_family(&mut tx, ended.organisation, ended.family, NOW).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(spend(store.clone(), hash_of(&late), EXPIRES).await, Use::Refused);
        assert_eq!(spend(store.clone(), hash_of(&ended), NOW).await, Use::Refused);
        assert_eq!(spend(store.clone(), vec![9; 32], NOW).await, Use::Refused);
        assert!(matches!(spend(store.clone(), hash_of(&late), NOW).await, Use::First(_)));
    })
    .await;
}

#[tokio::test]
async fn somebody_stands_until_the_family_ends_or_the_organisation_is_another() {
    on_both(async |store| {
        let mut tx = store.begin().await.unwrap();
        let (session, other) = (signed_in(&mut tx).await, signed_in(&mut tx).await);
        let LoginSession { organisation, user, family, .. } = session;
        let standing = login_sessions::standing(&mut tx, organisation, user, family).await;
        assert_eq!(standing.unwrap(), Some((Role::Editor, 3)));
        for (organisation, user, family) in [
            (other.organisation, user, family),
            (organisation, other.user, family),
            (organisation, user, other.family),
        ] {
            let standing = login_sessions::standing(&mut tx, organisation, user, family).await;
            assert_eq!(standing.unwrap(), None);
        }
        login_sessions::end_family(&mut tx, other.organisation, family, NOW).await.unwrap();
        let standing = login_sessions::standing(&mut tx, organisation, user, family).await;
        assert!(standing.unwrap().is_some(), "another organisation cannot end it");
        login_sessions::end_family(&mut tx, organisation, family, NOW).await.unwrap();
        let standing = login_sessions::standing(&mut tx, organisation, user, family).await;
        assert_eq!(standing.unwrap(), None);
        let table = retention::table("sessions").unwrap();
        assert_eq!(retention::forget(&mut tx, table, EXPIRES + 1, 10).await.unwrap(), 2);
    })
    .await;
}
