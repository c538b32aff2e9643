//! Organisations, people, and the one who came first.

use crate::back_ends::on_both;
use hyperverge_control_plane::auth::Role;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::users::{self, User};
use hyperverge_control_plane::store::{Store, StoreError, organisations};

fn user(email: &str) -> User {
    User {
        organisation: clock::new_id(),
        id: clock::new_id(),
        email: email.to_owned(),
        role: Role::Owner,
        generation: 1,
        created_at: 7,
    }
}

/// Whether this one became the owner.
async fn register(store: Store, email: String) -> bool {
    let owner = user(&email);
    let mut tx = store.begin().await.unwrap();
    let won = organisations::claim_installation(&mut tx, owner.organisation, owner.id, 7);
    if !won.await.unwrap() {
        return false;
    }
    organisations::insert(&mut tx, owner.organisation, "first", 7).await.unwrap();
    users::insert(&mut tx, &owner, "$hash").await.unwrap();
    tx.commit().await.unwrap();
    true
}

#[tokio::test]
async fn of_many_who_register_at_once_one_is_first() {
    on_both(async |store| {
        let mut tx = store.read().await.unwrap();
        assert!(!organisations::is_installed(&mut tx).await.unwrap());
        drop(tx);
        let racing = (0..8).map(|n| register(store.clone(), format!("u{n}@example.com")));
        let won = futures_util::future::join_all(racing).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let mut tx = store.read().await.unwrap();
        assert!(organisations::is_installed(&mut tx).await.unwrap());
        let index = won.iter().position(|won| *won).unwrap();
        let email = format!("u{index}@example.com");
        let (owner, hash) = users::by_email(&mut tx, &email).await.unwrap().unwrap();
        assert_eq!((owner.role, hash.as_str()), (Role::Owner, "$hash"));
        let name = organisations::name(&mut tx, owner.organisation).await.unwrap();
        assert_eq!(name.as_deref(), Some("first"));
    })
    .await;
}

#[tokio::test]
async fn an_address_belongs_to_one_person_and_a_new_role_raises_the_generation() {
    on_both(async |store| {
        let (ann, other) = (user("ann@example.com"), user("ann@example.com"));
        let mut tx = store.begin().await.unwrap();
        users::insert(&mut tx, &ann, "$a").await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let taken = users::insert(&mut tx, &other, "$b").await;
        assert!(matches!(taken, Err(StoreError::Conflict)), "{taken:?}");
        drop(tx);

        let mut tx = store.begin().await.unwrap();
        assert_eq!(users::get(&mut tx, ann.organisation, ann.id).await.unwrap(), Some(ann.clone()));
        assert_eq!(users::get(&mut tx, other.organisation, ann.id).await.unwrap(), None);
        let role = Role::Viewer;
        assert!(!users::change_role(&mut tx, other.organisation, ann.id, role).await.unwrap());
        assert!(users::change_role(&mut tx, ann.organisation, ann.id, role).await.unwrap());
        let changed = users::get(&mut tx, ann.organisation, ann.id).await.unwrap().unwrap();
        assert_eq!((changed.role, changed.generation), (role, 2));
    })
    .await;
}
