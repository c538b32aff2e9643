//! Batches reach ingest in order, and their answers come back in order.

use crate::site::{Site, soon};
use hyperverge_control_plane::link::Submit;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::wire::{
    BatchAcknowledged, Envelope, Heartbeat, Lane, Refusal, RefusalCode, ResultBatch, agent_frame,
    control_frame::Body,
};
use prost::Message;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// An ingest that verifies as the real one does, and that the test can hold up.
fn gated(gate: Arc<Semaphore>, seen: mpsc::UnboundedSender<u64>) -> Submit {
    Arc::new(move |source, envelope| {
        let (gate, seen) = (gate.clone(), seen.clone());
        Box::pin(async move {
            let payload = envelope::open(Purpose::ResultBatch, &envelope, &source.public_key);
            let Ok(payload) = payload else {
                return Body::Refusal(Refusal {
                    code: RefusalCode::BadSignature.into(),
                    message: "signature does not fit the payload".into(),
                    ..Refusal::default()
                });
            };
            let batch = ResultBatch::decode(payload.clone()).unwrap();
            seen.send(batch.number).unwrap();
            gate.acquire().await.unwrap().forget();
            Body::Acknowledged(BatchAcknowledged {
                lane: batch.lane,
                number: batch.number,
                ..BatchAcknowledged::default()
            })
        })
    })
}

#[tokio::test]
async fn answers_come_in_order_and_heartbeats_do_not_wait_for_commits() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let site = Site::with_submit(gated(gate.clone(), sender)).await;
    let agent = site.enrolled_agent("eu-west").await;
    let (mut link, _) = agent.session().await;
    for number in 1..=3 {
        let batch = agent.batch(Lane::Live, number);
        link.send(agent_frame::Body::ResultBatch(batch)).await;
        assert_eq!(soon("the batch", seen.recv()).await, Some(number));
    }
    link.send(agent_frame::Body::Heartbeat(Heartbeat::default())).await;
    assert!(matches!(link.receive().await, Some(Body::Heartbeat(_))));
    gate.add_permits(3);
    for number in 1..=3 {
        let Some(Body::Acknowledged(answer)) = link.receive().await else { panic!() };
        assert_eq!((answer.lane(), answer.number), (Lane::Live, number));
    }
}

#[tokio::test]
async fn an_agent_that_sends_too_much_is_held_back_and_loses_nothing() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let site = Site::with_submit(gated(gate.clone(), sender)).await;
    let agent = site.enrolled_agent("eu-west").await;
    let (mut link, _) = agent.session().await;
    for number in 1..=40 {
        link.send(agent_frame::Body::ResultBatch(agent.batch(Lane::Live, number))).await;
    }
    assert_eq!(soon("the first batch", seen.recv()).await, Some(1));
    gate.add_permits(1);
    assert!(matches!(link.receive().await, Some(Body::Acknowledged(a)) if a.number == 1));
    assert!(seen.len() < 39, "everything was taken although nothing was committed");
    gate.add_permits(39);
    for number in 2..=40 {
        assert!(matches!(link.receive().await, Some(Body::Acknowledged(a)) if a.number == number));
    }
}

#[tokio::test]
async fn a_refused_batch_does_not_end_the_session() {
    let (sender, _seen) = mpsc::unbounded_channel();
    let site = Site::with_submit(gated(Arc::new(Semaphore::new(9)), sender)).await;
    let agent = site.enrolled_agent("eu-west").await;
    let (mut link, _) = agent.session().await;
    let good = agent.batch(Lane::Live, 1);
    let mut payload = good.payload.to_vec();
    payload[0] ^= 1;
    let tampered = Envelope { payload: payload.into(), ..good.clone() };
    link.send(agent_frame::Body::ResultBatch(tampered)).await;
    let Some(Body::Refusal(refusal)) = link.receive().await else { panic!() };
    assert_eq!(refusal.code(), RefusalCode::BadSignature);
    link.send(agent_frame::Body::ResultBatch(good)).await;
    assert!(matches!(link.receive().await, Some(Body::Acknowledged(a)) if a.number == 1));
}

#[tokio::test]
async fn a_stop_lets_commits_finish_and_acknowledges_them() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let site = Site::with_submit(gated(gate.clone(), sender)).await;
    let agent = site.enrolled_agent("eu-west").await;
    let (mut link, _) = agent.session().await;
    link.send(agent_frame::Body::ResultBatch(agent.batch(Lane::Live, 1))).await;
    assert_eq!(soon("the batch", seen.recv()).await, Some(1));
    site.stop.cancel();
    tokio::task::yield_now().await;
    gate.add_permits(1);
    assert!(matches!(link.receive().await, Some(Body::Acknowledged(a)) if a.number == 1));
    assert_eq!(link.closed().await.1, "the control plane is stopping");
    soon("the gateway's end", site.running).await.unwrap();
}
