//! Signed sets reach the agents they are for, from whichever replica stored them.

use crate::site::{Site, eventually};
use hyperverge_control_plane::store::assignments::{self, StoredSet};
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::wire::{
    AssignmentSet, Hello, RefusalCode, SetAccepted, agent_frame, control_frame::Body,
};
use prost::Message;

async fn store_set(site: &Site, agent_id: &str, version: i64, parts: &[&[u8]]) {
    let set = AssignmentSet { version: version as u64, ..AssignmentSet::default() };
    let key = site.shared.keys.assignment().unwrap();
    let envelope = envelope::seal(Purpose::AssignmentSet, set.encode_to_vec().into(), key);
    let stored = StoredSet {
        version,
        content_hash: vec![1],
        envelope: envelope.encode_to_vec(),
        parts: parts.iter().map(|part| part.to_vec()).collect(),
        issued_at: version,
    };
    let mut tx = site.shared.store.begin().await.unwrap();
    assert!(assignments::put_set(&mut tx, site.organisation, agent_id, &stored).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_new_set_is_sent_whole_and_its_acceptance_noted() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let (mut link, _) = agent.session().await;
    for version in [5, 9] {
        store_set(&site, &agent.id(), version, &[b"first", b"second"]).await;
        site.shared.wake.gateway.notify_one();
        let Some(Body::SetManifest(manifest)) = link.receive().await else { panic!() };
        let key = site.shared.keys.assignment_public();
        let envelope = manifest.envelope.unwrap();
        let payload = envelope::open(Purpose::AssignmentSet, &envelope, key).unwrap();
        let set = AssignmentSet::decode(payload.clone()).unwrap();
        assert_eq!(set.version, version as u64);
        for (index, bytes) in [b"first".as_slice(), b"second"].into_iter().enumerate() {
            let Some(Body::SetPart(part)) = link.receive().await else { panic!() };
            assert_eq!((part.version, part.index), (version as u64, index as u32));
            assert_eq!(part.payload, bytes);
        }
    }
    link.send(agent_frame::Body::SetAccepted(SetAccepted { version: 9 })).await;
    let accepted = "SELECT COUNT(*) AS n FROM agents WHERE accepted_version = 9";
    eventually("the acceptance is noted", async || site.number(accepted).await == Some(1)).await;
}

#[tokio::test]
async fn an_agent_that_holds_the_newest_set_is_not_sent_it_again() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    store_set(&site, &agent.id(), 7, &[b"part"]).await;
    let mut link = agent.connect().await;
    let hello = Hello { set_version: 7, ..agent.hello() };
    link.send(agent_frame::Body::Hello(hello)).await;
    assert!(matches!(link.receive().await, Some(Body::Welcome(_))));
    let accepted = "SELECT COUNT(*) AS n FROM agents WHERE accepted_version = 7";
    eventually("the held set is noted", async || site.number(accepted).await == Some(1)).await;
    store_set(&site, &agent.id(), 8, &[b"newer"]).await;
    assert!(matches!(link.receive().await, Some(Body::SetManifest(_))));
    assert!(matches!(link.receive().await, Some(Body::SetPart(part)) if part.version == 8));
}

#[tokio::test]
async fn an_agent_that_does_not_read_is_still_cut_off_when_it_is_revoked() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let (link, _) = agent.session().await;
    let part = vec![7; 500 * 1024];
    store_set(&site, &agent.id(), 5, &[part.as_slice(); 16]).await;
    let sent = &site.shared.metrics;
    site.shared.wake.gateway.notify_one();
    // More than its window is on the way, and nobody takes it.
    eventually("bytes are on the way", async || link.connection.stats().udp_rx.bytes > 1024 * 1024)
        .await;
    assert_eq!(sent.link_sets_sent_total.get(), 0);
    let began = hyperverge_control_plane::clock::monotonic();
    site.execute("UPDATE agents SET state = 'revoked'").await;
    assert_eq!(link.closed().await.1, "this agent is revoked");
    assert!(began.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn a_set_that_was_never_sent_cannot_be_accepted() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let (mut link, _) = agent.session().await;
    link.send(agent_frame::Body::SetAccepted(SetAccepted { version: 3 })).await;
    let refusal = link.refused(RefusalCode::Malformed).await;
    assert_eq!(refusal.message, "set_accepted.version must be a set that was sent");
}
