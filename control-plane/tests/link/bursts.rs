//! Orders of bursts reach the agents they are for, from whichever replica signed them.

use crate::fake_agent::FakeAgent;
use crate::site::{Site, eventually};
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::bursts::{self, NewBurst};
use hyperverge_control_plane::tasks;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::wire::{BurstOrder, control_frame::Body};
use prost::Message;
use uuid::Uuid;

/// Asks a burst of these agents, each in a region of its own, and signs it.
async fn order(site: &Site, agents: &[&FakeAgent]) -> Uuid {
    let mut tx = site.shared.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    let id = clock::new_id();
    let new = NewBurst {
        id,
        monitor_id: clock::new_id(),
        revision: 1,
        region_id: clock::new_id(),
        agent_id: agents[0].id(),
        host: "example.com".into(),
        failures: 2,
        asked_at: now,
        expires_at: now + 60_000,
    };
    let regions: Vec<_> = agents.iter().map(|agent| (clock::new_id(), agent.id())).collect();
    bursts::ask(&mut tx, site.organisation, &new, &regions).await.unwrap();
    tx.commit().await.unwrap();
    tasks::bursts::round(&site.shared).await.unwrap();
    id
}

fn opened(site: &Site, agent: &FakeAgent, body: Option<Body>) -> Uuid {
    let Some(Body::Burst(sealed)) = body else { panic!("an order: {body:?}") };
    let key = site.shared.keys.assignment_public();
    let payload = envelope::open(Purpose::BurstOrder, &sealed, key).unwrap();
    let order = BurstOrder::decode(payload.clone()).unwrap();
    assert_eq!(hex::encode(&order.agent_id), agent.id());
    Uuid::from_slice(&order.burst_id).unwrap()
}

#[tokio::test]
async fn each_session_gets_its_own_orders_once() {
    let site = Site::start().await;
    let replica = site.beside().await;
    let near = site.enrolled_agent("eu-west").await;
    let far = replica.enrolled_agent("us-east").await;
    let (mut near_link, _) = near.session().await;
    let (mut far_link, _) = far.session().await;
    let first = order(&site, &[&near, &far]).await;
    assert_eq!(opened(&site, &near, near_link.receive().await), first);
    assert_eq!(opened(&site, &far, far_link.receive().await), first, "signed by the other replica");
    // What comes next is the next, not the first again.
    let second = order(&site, &[&near]).await;
    assert_eq!(opened(&site, &near, near_link.receive().await), second);
    let sent = "SELECT COUNT(*) AS n FROM burst_orders WHERE sent_at IS NOT NULL";
    eventually("that is noted", async || site.number(sent).await == Some(3)).await;
    assert_eq!(site.shared.metrics.burst_orders_sent_total.get(), 2);
    assert_eq!(replica.shared.metrics.burst_orders_sent_total.get(), 1);
}

#[tokio::test]
async fn a_new_session_gets_what_is_open_and_nothing_that_is_over() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let answered = order(&site, &[&agent]).await;
    let waits = order(&site, &[&agent]).await;
    let (mut link, _) = agent.session().await;
    for id in [answered, waits] {
        assert_eq!(opened(&site, &agent, link.receive().await), id);
    }
    site.execute(
        "UPDATE burst_orders SET answered_at = 1 WHERE burst_id = (SELECT MIN(id) FROM bursts)",
    )
    .await;
    drop(link);
    let (mut link, _) = agent.session().await;
    assert_eq!(opened(&site, &agent, link.receive().await), waits, "it may not have arrived");
}
