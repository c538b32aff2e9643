//! What holds for every channel: order, crashes, shutdowns, and that nobody
//! waits for somebody else's receiver.

use crate::back_ends::on_both;
use crate::receiver::{Answer, Receiver, silent_peer};
use crate::stage::{QUICK, Stage, opened, resolved, wait_for, widened};
use hyperverge_control_core::notification::DeliveryState;
use hyperverge_control_plane::notify::Pace;
use hyperverge_control_plane::store::deliveries;
use hyperverge_control_plane::{clock, params};
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn a_hung_channel_delays_no_other() {
    let stage = Stage::new().await;
    let hung = Receiver::start(vec![Answer::Hang; 100]).await;
    let well = Receiver::start([]).await;
    let (bad, _) = stage.webhook(&hung.url()).await;
    let (good, _) = stage.webhook(&well.url()).await;
    let mut stuck = Vec::new();
    for _ in 0..100 {
        stuck.push(stage.tell_one(bad, &opened(clock::new_id())).await);
    }
    let _running = stage.run(QUICK);
    wait_for(async || Some(()).filter(|()| hung.received().len() == 4)).await;
    for _ in 0..20 {
        let id = stage.tell_one(good, &opened(clock::new_id())).await;
        stage.until(id, |d| d.state == DeliveryState::Delivered).await;
    }
    assert_eq!(hung.received().len(), 4, "and the hung one has its few places");
    for id in stuck {
        assert_eq!(stage.delivery(id).await.last_error, None, "before any of its attempts ended");
    }
}

#[tokio::test]
async fn after_a_crash_another_sends_the_same_message_under_the_same_id() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([Answer::Hang]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let crashing = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    wait_for(async || Some(()).filter(|()| receiver.received().len() == 1)).await;
    drop(crashing);

    let _running = stage.run(QUICK);
    let other = stage.tell_one(channel, &opened(clock::new_id())).await;
    stage.until(other, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(stage.delivery(id).await.attempts, 1, "not before the lease ends");
    stage.let_leases_end().await;
    let sent = stage.until(id, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(sent.attempts, 2);
    let received = receiver.received();
    let ids: Vec<&str> = received.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids, [id.to_string(), other.to_string(), id.to_string()]);
    assert_eq!(received[0].body, received[2].body);
}

#[tokio::test]
async fn two_notifiers_send_each_delivery_once_and_in_order() {
    on_both(async |store| {
        let stage = Stage::over(store, "smtp://127.0.0.1:9");
        let receiver = Receiver::start([]).await;
        let (channel, _) = stage.webhook(&receiver.url()).await;
        let _one = stage.run(QUICK);
        let _two = stage.run(QUICK);
        let mut ids = Vec::new();
        for _ in 0..30 {
            let incident = clock::new_id();
            ids.push(stage.tell_one(channel, &opened(incident)).await);
            ids.push(stage.tell_one(channel, &widened(incident)).await);
        }
        for id in &ids {
            stage.until(*id, |d| d.state == DeliveryState::Delivered).await;
        }
        let received = receiver.received();
        let place = |id: &Uuid| {
            let places: Vec<usize> = (0..received.len())
                .filter(|at| received[*at].header("webhook-id") == id.to_string())
                .collect();
            assert_eq!(places.len(), 1, "{id} once");
            places[0]
        };
        for pair in ids.chunks(2) {
            assert!(place(&pair[0]) < place(&pair[1]), "the opening first");
        }
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_marks_what_was_sent_and_gives_back_what_was_not() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([Answer::Hang]).await;
    let (mute, peer) = silent_peer().await;
    let (sending, _) = stage.webhook(&receiver.url()).await;
    let (connecting, _) = stage.webhook(&format!("https://127.0.0.1:{mute}/")).await;
    let running = stage.run(QUICK);
    let sent = stage.tell_one(sending, &opened(clock::new_id())).await;
    let unsent = stage.tell_one(connecting, &opened(clock::new_id())).await;
    wait_for(async || {
        Some(()).filter(|()| receiver.received().len() == 1 && peer.connections() == 1)
    })
    .await;
    running.stop().await;
    let sent = stage.delivery(sent).await;
    assert!(sent.outcome_unknown && sent.state == DeliveryState::Pending);
    assert!(sent.last_error.unwrap().contains("shutdown"));
    let unsent = stage.delivery(unsent).await;
    assert_eq!((unsent.attempts, unsent.outcome_unknown), (0, false));
    let mut tx = stage.shared.store.read().await.unwrap();
    let held = tx
        .fetch_all("SELECT id FROM deliveries WHERE lease_until IS NOT NULL LIMIT 1", params![])
        .await
        .unwrap();
    assert!(held.is_empty(), "nothing stays leased");
}

#[tokio::test]
async fn a_shutdown_lets_an_answer_that_comes_in_time_count() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let running = stage.run(Pace { grace: Duration::from_secs(20), ..QUICK });
    let id = stage.tell_one(channel, &opened(clock::new_id())).await;
    stage.until(id, |d| d.attempts == 1).await;
    running.stop().await;
    assert_eq!(stage.delivery(id).await.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn an_end_tells_the_beginning_that_never_arrived() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([Answer::status(503)]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let _running = stage.run(QUICK);
    let incident = clock::new_id();
    let first = stage.tell_one(channel, &opened(incident)).await;
    stage.until(first, |d| d.last_error.is_some()).await;
    let last = stage.tell_one(channel, &resolved(incident)).await;
    stage.until(last, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(stage.delivery(first).await.state, DeliveryState::Superseded);
    assert_eq!(receiver.types(), ["incident.opened", "incident.resolved"]);
    assert_eq!(receiver.received()[1].json()["data"]["opening_included"], true);
}

#[tokio::test]
async fn an_end_waits_for_a_beginning_that_may_have_arrived() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([Answer::HangUp]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let _running = stage.run(QUICK);
    let incident = clock::new_id();
    let first = stage.tell_one(channel, &opened(incident)).await;
    stage.until(first, |d| d.last_error.is_some()).await;
    let last = stage.tell_one(channel, &resolved(incident)).await;
    let probe = stage.tell_one(channel, &opened(clock::new_id())).await;
    stage.until(probe, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(stage.delivery(last).await.attempts, 0);
    stage.let_time_pass().await;
    stage.until(last, |d| d.state == DeliveryState::Delivered).await;
    let types = receiver.types();
    assert_eq!(types[types.len() - 2..], ["incident.opened", "incident.resolved"]);
}

#[tokio::test]
async fn a_replayed_letter_says_how_late_it_is_and_how_things_stand() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([Answer::status(410)]).await;
    let (channel, _) = stage.webhook(&receiver.url()).await;
    let incident = clock::new_id();
    const INCIDENT: &str = "INSERT INTO incidents (organisation_id, id, subject_kind, subject_id,
            subject_name, state, verdict, scope, severity, summary, regions, started_at, opened_at,
            resolved_at, last_event, paged)
        VALUES ($1, $2, 'monitor', '1', 'checkout-api', 'resolved', 'up', 'global', 'critical',
            'x', '[]', 1, 2, 1767323770000, 2, TRUE)";
    let mut tx = stage.shared.store.begin().await.unwrap();
    tx.execute(INCIDENT, params![stage.organisation, incident]).await.unwrap();
    tx.commit().await.unwrap();
    let _running = stage.run(QUICK);
    let id = stage.tell_one(channel, &opened(incident)).await;
    stage.until(id, |d| d.state == DeliveryState::Dead).await;

    let mut tx = stage.shared.store.begin().await.unwrap();
    tx.execute("UPDATE channels SET state = 'active', state_reason = NULL", params![])
        .await
        .unwrap();
    tx.execute("UPDATE deliveries SET created_at = created_at - 7200000", params![]).await.unwrap();
    let now = tx.now().await.unwrap();
    assert!(deliveries::replay(&mut tx, stage.organisation, id, now).await.unwrap());
    tx.commit().await.unwrap();
    stage.until(id, |d| d.state == DeliveryState::Delivered).await;
    let data = receiver.received()[1].json()["data"].clone();
    assert_eq!(data["replayed"], true);
    assert!(data["late_by_seconds"].as_i64().unwrap() >= 7_200);
    assert_eq!(data["incident_now"]["state"], "resolved");
    assert_eq!(data["incident_now"]["resolved_at"], "2026-01-02T03:16:10.000Z");
}

#[tokio::test]
async fn a_channel_whose_rows_cannot_be_read_holds_up_no_other() {
    let stage = Stage::new().await;
    let receiver = Receiver::start([]).await;
    let (broken, _) = stage.webhook(&receiver.url()).await;
    let (well, _) = stage.webhook(&receiver.url()).await;
    let bad = stage.tell_one(broken, &opened(clock::new_id())).await;
    let mut tx = stage.shared.store.begin().await.unwrap();
    const BREAK: &str = "UPDATE deliveries SET kind = 'shouted', notice = '{}' WHERE id = $1";
    tx.execute(BREAK, params![bad]).await.unwrap();
    tx.commit().await.unwrap();
    let _running = stage.run(QUICK);
    let good = stage.tell_one(well, &opened(clock::new_id())).await;
    stage.until(good, |d| d.state == DeliveryState::Delivered).await;
}
