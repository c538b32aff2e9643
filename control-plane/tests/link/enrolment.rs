//! A token becomes an agent, exactly once.

use crate::back_ends::on_both;
use crate::fake_agent::FakeAgent;
use crate::site::{Site, acknowledge_all};
use hyperverge_control_plane::params;
use hyperverge_protocol::identity;
use hyperverge_protocol::wire::{RefusalCode, agent_frame, control_frame::Body};

async fn try_enroll(agent: &FakeAgent, secret: Vec<u8>) -> Body {
    let mut link = agent.connect().await;
    link.send(agent_frame::Body::Enroll(agent.enroll_request(secret))).await;
    link.receive().await.unwrap()
}

fn code(body: &Body) -> Option<RefusalCode> {
    match body {
        Body::Refusal(refusal) => Some(refusal.code()),
        _ => None,
    }
}

#[tokio::test]
async fn a_token_enrols_one_key_and_answers_it_the_same_way_again() {
    let site = Site::start().await;
    let agent = FakeAgent::new(site.address, site.pin());
    let secret = site.token("eu-west", 3_600_000).await;
    let first = try_enroll(&agent, secret.clone()).await;
    let Body::Enrolled(enrolled) = &first else { panic!("{first:?}") };
    assert_eq!(enrolled.region, "eu-west");
    assert_eq!(enrolled.agent_id, identity::fingerprint(&agent.key).as_bytes().as_slice());
    assert_eq!(try_enroll(&agent, secret.clone()).await, first);

    let other = FakeAgent::new(site.address, site.pin());
    let refused = try_enroll(&other, secret).await;
    assert_eq!(code(&refused), Some(RefusalCode::TokenUsed));
    assert_eq!(site.number("SELECT COUNT(*) AS n FROM agents").await, Some(1));
    assert_eq!(site.number("SELECT COUNT(*) AS n FROM agent_lanes").await, Some(2));
    assert!(site.number("SELECT first_agent_at AS n FROM regions").await.is_some());
}

#[tokio::test]
async fn expired_unknown_and_malformed_tokens_are_told_apart() {
    let site = Site::start().await;
    let agent = FakeAgent::new(site.address, site.pin());
    let expired = site.token("eu-west", -1).await;
    assert_eq!(code(&try_enroll(&agent, expired).await), Some(RefusalCode::TokenExpired));
    assert_eq!(code(&try_enroll(&agent, vec![9; 32]).await), Some(RefusalCode::TokenUnknown));
    let Body::Refusal(short) = try_enroll(&agent, vec![9; 31]).await else { panic!() };
    assert_eq!(short.code(), RefusalCode::Malformed);
    assert_eq!(short.message, "enroll.token_secret must be 32 bytes");
    assert_eq!(site.number("SELECT COUNT(*) AS n FROM agents").await, Some(0));
}

#[tokio::test]
async fn who_guesses_tokens_has_to_wait() {
    let site = Site::start().await;
    let agent = FakeAgent::new(site.address, site.pin());
    for guess in 0..=u8::MAX {
        let answer = try_enroll(&agent, vec![guess; 32]).await;
        match code(&answer) {
            Some(RefusalCode::TokenUnknown) => {}
            Some(RefusalCode::Busy) => {
                let Body::Refusal(refusal) = answer else { panic!() };
                assert!(refusal.retry_after_ms > 0 && guess > 0);
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("256 guesses were looked up");
}

#[tokio::test]
async fn of_many_racing_for_one_token_exactly_one_wins() {
    on_both(async |store| {
        let site = Site::over(store, acknowledge_all()).await;
        let secret = site.token("eu-west", 3_600_000).await;
        let racers: Vec<_> = (0..8).map(|_| FakeAgent::new(site.address, site.pin())).collect();
        let races = racers.iter().map(|agent| try_enroll(agent, secret.clone()));
        let answers = futures_util::future::join_all(races).await;
        let winners: Vec<_> =
            racers.iter().zip(&answers).filter(|(_, a)| matches!(a, Body::Enrolled(_))).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        let losers = answers.iter().filter(|a| code(a) == Some(RefusalCode::TokenUsed));
        assert_eq!(losers.count(), racers.len() - 1, "{answers:?}");
        let mut tx = site.shared.store.read().await.unwrap();
        let rows = tx.fetch_all("SELECT id FROM agents", params![]).await.unwrap();
        let ids: Vec<String> = rows.iter().map(|row| row.get("id").unwrap()).collect();
        assert_eq!(ids, [winners[0].0.id()]);
        drop(tx);
        site.stop.cancel();
        site.running.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn one_key_racing_with_itself_is_one_agent() {
    on_both(async |store| {
        let site = Site::over(store, acknowledge_all()).await;
        let agent = FakeAgent::new(site.address, site.pin());
        let tokens = [site.token("eu-west", 3_600_000).await, site.token("eu-west", 60_000).await];
        let races = (0..6).map(|n| try_enroll(&agent, tokens[n % 2].clone()));
        for answer in futures_util::future::join_all(races).await {
            assert!(matches!(answer, Body::Enrolled(_)), "{answer:?}");
        }
        assert_eq!(site.number("SELECT COUNT(*) AS n FROM agents").await, Some(1));
        site.stop.cancel();
        site.running.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_key_does_not_move_and_does_not_come_back_from_revocation() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let elsewhere = site.token("us-east", 3_600_000).await;
    let Body::Refusal(refusal) = try_enroll(&agent, elsewhere).await else { panic!() };
    assert!(refusal.message.contains("eu-west"), "{}", refusal.message);

    site.execute("UPDATE agents SET state = 'revoked', state_reason = 'stolen'").await;
    let fresh = site.token("eu-west", 3_600_000).await;
    let Body::Refusal(refusal) = try_enroll(&agent, fresh).await else { panic!() };
    assert_eq!(refusal.code(), RefusalCode::Revoked);
    assert_eq!(refusal.message, "this agent is revoked: stolen");
    let unused = "SELECT COUNT(*) AS n FROM enrollment_tokens WHERE used_at IS NULL";
    assert_eq!(site.number(unused).await, Some(2));
}
