//! The outbox: claimed once, in order, by lease and fence.

use crate::back_ends::on_both;
use hyperverge_control_core::notification::{
    AfterAttempt, ChannelConfig, DeliveryState, Next, Notice, NoticeKind, NoticeSubject,
    WebhookConfig,
};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::channels::{self, Channel};
use hyperverge_control_plane::store::deliveries::{self, Claim, Claimed, Delivery, NewDelivery};
use hyperverge_control_plane::store::{Store, StoreError};
use std::collections::BTreeSet;
use uuid::Uuid;

const LEASE_MS: i64 = 60_000;

struct Outbox {
    store: Store,
    organisation: Uuid,
    channel: Uuid,
}

fn notice(incident: Uuid, event_number: i64, kind: NoticeKind) -> Notice {
    Notice {
        kind,
        incident_id: incident,
        event_number,
        subject: NoticeSubject {
            kind: "monitor".into(),
            id: "1".into(),
            name: "checkout-api".into(),
        },
        target: Some("https://example.com/".into()),
        verdict: "down".into(),
        scope: "global".into(),
        severity: "critical".into(),
        summary: "checkout-api is down".into(),
        cause: None,
        regions: Vec::new(),
        started_at_ms: 1,
        opened_at_ms: 2,
        resolved_at_ms: None,
        opening_included: false,
        group: None,
        incident_url: "https://hv.example.com/".into(),
    }
}

fn channel(organisation_id: Uuid, name: &str) -> Channel {
    Channel {
        organisation_id,
        id: clock::new_id(),
        name: name.into(),
        config: ChannelConfig::Webhook(WebhookConfig { url: "https://example.com/hook".into() }),
        sealed_secret: Some(vec![1, 2, 3]),
        is_default: true,
        disabled: None,
        failing_since: None,
        revision: 1,
        created_at: 1,
    }
}

fn failed(next: Next) -> AfterAttempt {
    AfterAttempt {
        next,
        outcome_unknown: false,
        error: Some("answered 500".into()),
        disable_channel: false,
        quiet: None,
    }
}

fn delivered() -> AfterAttempt {
    AfterAttempt { error: None, ..failed(Next::Delivered) }
}

impl Outbox {
    fn new(store: Store) -> Self {
        Self { store, organisation: clock::new_id(), channel: clock::new_id() }
    }

    async fn put(&self, incident: Uuid, event_number: i64, kind: NoticeKind, now: i64) -> Uuid {
        let notice = notice(incident, event_number, kind);
        let id = clock::new_id();
        let mut tx = self.store.begin().await.unwrap();
        let new = NewDelivery {
            organisation_id: self.organisation,
            id,
            channel_id: self.channel,
            recipient: "",
            notice: &notice,
            now,
        };
        assert!(deliveries::insert(&mut tx, &new).await.unwrap());
        assert!(!deliveries::insert(&mut tx, &new).await.unwrap(), "the same event again");
        tx.commit().await.unwrap();
        id
    }

    async fn claim(&self, now: i64, limit: i64) -> Vec<Claimed> {
        self.try_claim(now, limit).await.unwrap()
    }

    async fn try_claim(&self, now: i64, limit: i64) -> Result<Vec<Claimed>, StoreError> {
        let mut tx = self.store.begin().await?;
        let claim = Claim {
            organisation_id: self.organisation,
            channel_id: self.channel,
            holder: clock::new_id(),
            now,
            lease_ms: LEASE_MS,
            limit,
        };
        let claimed = deliveries::claim(&mut tx, &claim).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    async fn one(&self, now: i64) -> Option<Claimed> {
        let mut claimed = self.claim(now, 10).await;
        assert!(claimed.len() <= 1, "one at a time in a lane");
        claimed.pop()
    }

    async fn finish(&self, claimed: &Claimed, after: &AfterAttempt, now: i64) -> bool {
        let mut tx = self.store.begin().await.unwrap();
        let done = deliveries::finish(&mut tx, claimed, after, now).await.unwrap();
        tx.commit().await.unwrap();
        done
    }

    async fn get(&self, id: Uuid) -> Delivery {
        let mut tx = self.store.read().await.unwrap();
        deliveries::get(&mut tx, self.organisation, id).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_claim_holds_until_its_lease_ends_and_then_its_holder_is_fenced_off() {
    on_both(async |store| {
        let outbox = Outbox::new(store);
        let id = outbox.put(clock::new_id(), 1, NoticeKind::Opened, 100).await;
        assert!(outbox.one(99).await.is_none(), "not due yet");

        let first = outbox.one(100).await.unwrap();
        assert_eq!((first.delivery.id, first.delivery.attempts, first.was_unknown), (id, 1, false));
        assert!(outbox.get(id).await.outcome_unknown, "marked before anything is sent");
        assert!(outbox.one(100 + LEASE_MS - 1).await.is_none());

        let second = outbox.one(100 + LEASE_MS).await.unwrap();
        assert_eq!((second.delivery.id, second.delivery.attempts), (id, 2));
        assert!(second.was_unknown, "the first may have sent it");
        assert!(!outbox.finish(&first, &delivered(), 70_000).await, "too late");
        assert_eq!(outbox.get(id).await.state, DeliveryState::Pending);
        assert!(outbox.finish(&second, &delivered(), 70_001).await);
        let settled = outbox.get(id).await;
        assert_eq!((settled.state, settled.settled_at), (DeliveryState::Delivered, Some(70_001)));
        assert!(outbox.one(i64::MAX / 2).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn one_lane_goes_in_order_and_others_beside_it() {
    on_both(async |store| {
        let outbox = Outbox::new(store);
        let (one, other) = (clock::new_id(), clock::new_id());
        let opened = outbox.put(one, 1, NoticeKind::Opened, 100).await;
        let widened = outbox.put(one, 2, NoticeKind::Widened, 101).await;
        let elsewhere = outbox.put(other, 1, NoticeKind::Opened, 102).await;
        let taken: Vec<Uuid> =
            outbox.claim(200, 10).await.iter().map(|claimed| claimed.delivery.id).collect();
        assert_eq!(taken, [opened, elsewhere]);
        assert!(outbox.claim(200, 10).await.is_empty(), "the lane waits for its first");

        let again = outbox.claim(200 + LEASE_MS, 10).await;
        let first = again.iter().find(|claimed| claimed.delivery.id == opened).unwrap();
        outbox.finish(first, &failed(Next::Dead), 70_000).await;
        let next: Vec<Uuid> =
            outbox.claim(70_000, 10).await.iter().map(|claimed| claimed.delivery.id).collect();
        assert_eq!(next, [widened], "a dead letter blocks nothing");
    })
    .await;
}

#[tokio::test]
async fn an_opening_that_failed_for_certain_is_told_with_the_end() {
    on_both(async |store| {
        let outbox = Outbox::new(store);
        let incident = clock::new_id();
        let opened = outbox.put(incident, 1, NoticeKind::Opened, 100).await;
        let first = outbox.one(100).await.unwrap();
        outbox.finish(&first, &failed(Next::RetryAt(900_000)), 200).await;
        assert!(!outbox.get(opened).await.outcome_unknown);
        let resolved = outbox.put(incident, 2, NoticeKind::Resolved, 300).await;

        let end = outbox.one(300).await.unwrap();
        assert_eq!(end.delivery.id, resolved);
        assert!(end.delivery.notice.opening_included);
        assert_eq!(outbox.get(opened).await.state, DeliveryState::Superseded);
        assert!(outbox.get(resolved).await.notice.opening_included, "and stays so on a retry");
    })
    .await;
}

#[tokio::test]
async fn an_opening_that_may_have_arrived_is_sent_again_before_the_end() {
    on_both(async |store| {
        let outbox = Outbox::new(store);
        let incident = clock::new_id();
        let opened = outbox.put(incident, 1, NoticeKind::Opened, 100).await;
        let first = outbox.one(100).await.unwrap();
        let unknown = AfterAttempt { outcome_unknown: true, ..failed(Next::RetryAt(5_000)) };
        outbox.finish(&first, &unknown, 200).await;
        let resolved = outbox.put(incident, 2, NoticeKind::Resolved, 300).await;

        assert!(outbox.one(4_999).await.is_none());
        let again = outbox.one(5_000).await.unwrap();
        assert_eq!(again.delivery.id, opened);
        outbox.finish(&again, &delivered(), 5_001).await;
        let end = outbox.one(5_002).await.unwrap();
        assert_eq!(end.delivery.id, resolved);
        assert!(!end.delivery.notice.opening_included);
        let mut tx = outbox.store.read().await.unwrap();
        assert_eq!(deliveries::opening_of(&mut tx, &end.delivery).await.unwrap(), Some(opened));
    })
    .await;
}

#[tokio::test]
async fn what_was_not_sent_is_given_back_as_it_was() {
    on_both(async |store| {
        let outbox = Outbox::new(store);
        let id = outbox.put(clock::new_id(), 1, NoticeKind::Opened, 100).await;
        let claimed = outbox.one(100).await.unwrap();
        let mut tx = outbox.store.begin().await.unwrap();
        assert!(deliveries::release(&mut tx, &claimed).await.unwrap());
        tx.commit().await.unwrap();
        let row = outbox.get(id).await;
        assert_eq!((row.attempts, row.outcome_unknown), (0, false));
        assert!(outbox.one(100).await.is_some(), "at once");
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_replayed_from_the_start_or_discarded_and_neither_twice() {
    on_both(async |store| {
        let outbox = Outbox::new(store);
        let organisation = outbox.organisation;
        let id = outbox.put(clock::new_id(), 1, NoticeKind::Opened, 100).await;
        let claimed = outbox.one(100).await.unwrap();
        outbox.finish(&claimed, &failed(Next::Dead), 200).await;

        let mut tx = outbox.store.begin().await.unwrap();
        let listed = deliveries::dead_letters(&mut tx, organisation, None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|letter| letter.id).collect::<Vec<_>>(), [id]);
        assert_eq!(listed[0].last_error.as_deref(), Some("answered 500"));
        assert!(
            deliveries::dead_letter(&mut tx, clock::new_id(), id).await.unwrap().is_none(),
            "another organisation's"
        );
        assert!(deliveries::replay(&mut tx, organisation, id, 300).await.unwrap());
        assert!(!deliveries::replay(&mut tx, organisation, id, 300).await.unwrap());
        assert!(!deliveries::discard(&mut tx, organisation, id, 300).await.unwrap());
        tx.commit().await.unwrap();

        let again = outbox.one(300).await.unwrap();
        assert_eq!((again.delivery.attempts, again.delivery.replayed_at), (1, Some(300)));
        outbox.finish(&again, &failed(Next::Dead), 400).await;
        let mut tx = outbox.store.begin().await.unwrap();
        assert!(deliveries::discard(&mut tx, organisation, id, 500).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(outbox.get(id).await.state, DeliveryState::Discarded);
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_a_dead_channel_is_buried_but_not_what_is_being_sent() {
    on_both(async |store| {
        let outbox = Outbox::new(store);
        let sending = outbox.put(clock::new_id(), 1, NoticeKind::Opened, 100).await;
        let claimed = outbox.one(100).await.unwrap();
        let waiting = outbox.put(clock::new_id(), 1, NoticeKind::Opened, 100).await;
        let mut tx = outbox.store.begin().await.unwrap();
        let (organisation, channel) = (outbox.organisation, outbox.channel);
        let buried =
            deliveries::bury_channel(&mut tx, organisation, channel, "gone", 200).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(buried, 1);
        assert_eq!(outbox.get(waiting).await.state, DeliveryState::Dead);
        assert!(outbox.finish(&claimed, &delivered(), 300).await);
        assert_eq!(outbox.get(sending).await.state, DeliveryState::Delivered);
    })
    .await;
}

#[tokio::test]
async fn many_claimers_take_each_delivery_once() {
    on_both(async |store| {
        let outbox = Outbox::new(store);
        let mut all = BTreeSet::new();
        for _ in 0..40 {
            let incident = clock::new_id();
            all.insert(outbox.put(incident, 1, NoticeKind::Opened, 100).await);
            outbox.put(incident, 2, NoticeKind::Resolved, 1_000_000).await;
        }
        let claimers = (0..8).map(|_| async {
            let mut mine = Vec::new();
            let mut idle = 0;
            while idle < 3 {
                match outbox.try_claim(200, 3).await {
                    Ok(claimed) if claimed.is_empty() => idle += 1,
                    Ok(claimed) => mine.extend(claimed.into_iter().map(|one| one.delivery.id)),
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
            mine
        });
        let taken: Vec<Uuid> =
            futures_util::future::join_all(claimers).await.into_iter().flatten().collect();
        assert_eq!(taken.len(), all.len());
        assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), all);
    })
    .await;
}

#[tokio::test]
async fn channels_are_found_by_name_and_changed_by_revision() {
    on_both(async |store| {
        let organisation = clock::new_id();
        let mut one = channel(organisation, "one");
        let two = Channel { is_default: false, ..channel(organisation, "two") };
        let mut tx = store.begin().await.unwrap();
        channels::insert(&mut tx, &one).await.unwrap();
        channels::insert(&mut tx, &two).await.unwrap();
        channels::insert(&mut tx, &channel(clock::new_id(), "one")).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        let names = |found: &[Channel]| found.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        let wanted = ["two".to_owned(), "nobody".to_owned()];
        let found = channels::by_names(&mut tx, organisation, &wanted).await.unwrap();
        assert_eq!(names(&found), ["two"]);
        assert_eq!(names(&channels::defaults(&mut tx, organisation).await.unwrap()), ["one"]);
        assert_eq!(channels::count(&mut tx, organisation).await.unwrap(), 2);
        let page = channels::list(&mut tx, organisation, Some(one.id), 10).await.unwrap();
        assert_eq!(names(&page), ["two"]);

        one.name = "renamed".into();
        one.revision = 2;
        assert!(channels::update(&mut tx, &one, 1).await.unwrap());
        assert!(!channels::update(&mut tx, &one, 1).await.unwrap(), "somebody was faster");
        channels::note_health(&mut tx, organisation, one.id, Some(50)).await.unwrap();
        channels::note_health(&mut tx, organisation, one.id, Some(60)).await.unwrap();
        channels::disable(&mut tx, organisation, one.id, "answered 410").await.unwrap();
        let read = channels::get(&mut tx, organisation, one.id).await.unwrap().unwrap();
        assert_eq!(read.failing_since, Some(50), "since the first failure");
        assert_eq!(read.disabled.as_deref(), Some("answered 410"));
        assert_eq!(read.config, one.config);
        channels::note_health(&mut tx, organisation, one.id, None).await.unwrap();
        assert!(channels::delete(&mut tx, organisation, one.id).await.unwrap());
        assert!(!channels::delete(&mut tx, organisation, one.id).await.unwrap());
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        let taken = channels::insert(&mut tx, &channel(organisation, "two")).await;
        assert!(matches!(taken, Err(StoreError::Conflict)), "{taken:?}");
    })
    .await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_and_not_a_panic() {
    on_both(async |store| {
        let outbox = Outbox::new(store);
        outbox.put(clock::new_id(), 1, NoticeKind::Opened, 100).await;
        let mut tx = outbox.store.begin().await.unwrap();
        tx.execute("UPDATE deliveries SET notice = '{}'", params![]).await.unwrap();
        tx.commit().await.unwrap();
        let read = outbox.try_claim(200, 1).await;
        assert!(matches!(read, Err(StoreError::Column { column: "notice", .. })), "{read:?}");
    })
    .await;
}
