//! Orders of bursts are signed once, by whichever scheduler comes first.

use crate::back_ends::on_both;
use crate::fixture::Fixture;
use bytes::Bytes;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::bursts::{self, NewBurst, OpenOrder};
use hyperverge_control_plane::tasks;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::wire::{BurstOrder, Envelope};
use prost::Message;
use uuid::Uuid;

async fn ask(fixture: &Fixture, expires_in: i64) -> NewBurst {
    let monitor_id = fixture.monitor(&format!("m{expires_in}")).await;
    let mut tx = fixture.shared.store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    let region = tx.fetch_optional("SELECT id FROM regions", params![]).await.unwrap().unwrap();
    let region_id: Uuid = region.get("id").unwrap();
    let new = NewBurst {
        id: clock::new_id(),
        monitor_id,
        revision: 1,
        region_id,
        agent_id: fixture.agent.clone(),
        host: "example.com".into(),
        failures: 2,
        asked_at: now,
        expires_at: now + expires_in,
    };
    let regions = [(region_id, fixture.agent.clone())];
    bursts::ask(&mut tx, fixture.organisation, &new, &regions).await.unwrap();
    tx.commit().await.unwrap();
    new
}

async fn open(fixture: &Fixture) -> Vec<OpenOrder> {
    let mut tx = fixture.shared.store.read().await.unwrap();
    let now = tx.now().await.unwrap();
    bursts::open_orders(&mut tx, vec![fixture.agent.clone()], now, 10).await.unwrap()
}

#[tokio::test]
async fn an_order_is_signed_once_and_an_old_one_never() {
    on_both(async |store| {
        let fixture = Fixture::new(store).await;
        let new = ask(&fixture, 60_000).await;
        let old = ask(&fixture, 0).await;
        assert!(open(&fixture).await.is_empty(), "unsigned, so nobody sends it");
        for _ in 0..2 {
            tasks::bursts::round(&fixture.shared).await.unwrap();
        }
        let metrics = &fixture.shared.metrics;
        assert_eq!(metrics.burst_orders_signed_total.get(), 1);
        let orders = open(&fixture).await;
        assert_eq!(orders.len(), 1);
        assert_eq!((orders[0].burst_id, &orders[0].agent_id), (new.id, &fixture.agent));

        let sealed = Envelope::decode(Bytes::from(orders[0].envelope.clone())).unwrap();
        let key = fixture.shared.keys.assignment().unwrap().verifying_key();
        let payload = envelope::open(Purpose::BurstOrder, &sealed, &key).unwrap();
        let order = BurstOrder::decode(payload.clone()).unwrap();
        assert_eq!(hex::encode(&order.agent_id), fixture.agent);
        assert_eq!(order.monitor_id, new.monitor_id.as_bytes().as_slice());
        let times = (order.asked_ms, order.expires_ms);
        assert_eq!(times, (new.asked_at, new.expires_at));
        assert_eq!((order.revision, order.failures), (1, 2));

        let mut tx = fixture.shared.store.read().await.unwrap();
        let range = (0, i64::MAX);
        let (organisation, monitor) = (fixture.organisation, old.monitor_id);
        let over = bursts::confirmation(&mut tx, organisation, monitor, range, 9).await.unwrap();
        assert_eq!(over.bursts[0].outcome.as_deref(), Some("expired"));
    })
    .await;
}
