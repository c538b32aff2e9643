//! A Hello becomes a session, and a session ends for a reason.

use crate::fake_agent::FakeAgent;
use crate::site::{Site, eventually, soon};
use hyperverge_control_plane::clock;
use hyperverge_protocol::wire::{
    Goodbye, Heartbeat, Lane, RefusalCode, agent_frame, control_frame::Body,
};

#[tokio::test]
async fn a_welcome_says_the_time_the_region_and_the_expected_numbers() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    site.execute("UPDATE agent_lanes SET next_number = 42 WHERE lane = 2").await;
    let before = site.shared.store.now().await.unwrap();
    let (_link, welcome) = agent.session().await;
    let after = site.shared.store.now().await.unwrap();
    let numbers: Vec<_> = welcome.lanes.iter().map(|l| (l.lane(), l.next_number)).collect();
    assert_eq!(numbers, [(Lane::Live, 1), (Lane::Backlog, 42)]);
    assert_eq!(welcome.boot_time_ms, 77);
    assert_eq!(welcome.region, "eu-west");
    assert!((before - 50..=after + 50).contains(&welcome.control_time_ms), "{welcome:?}");
    assert_eq!(site.shared.metrics.link_agents_connected.get(), 1);
    let said = "SELECT COUNT(*) AS n FROM agents WHERE version = '0.1.0' AND host_name = 'probe-1'
        AND capabilities LIKE '%probe:http%' AND session_id IS NOT NULL
        AND wall_skew_ms BETWEEN -5000 AND 5000";
    assert_eq!(site.number(said).await, Some(1));
}

#[tokio::test]
async fn strangers_and_those_who_may_not_take_part_are_told_so() {
    let site = Site::start().await;
    let stranger = FakeAgent::new(site.address, site.pin());
    let mut link = stranger.connect().await;
    link.send(agent_frame::Body::Hello(stranger.hello())).await;
    link.refused(RefusalCode::NotEnrolled).await;

    let agent = site.enrolled_agent("eu-west").await;
    for (state, code) in [
        ("UPDATE agents SET state = 'quarantined'", RefusalCode::Quarantined),
        ("UPDATE agents SET state = 'revoked'", RefusalCode::Revoked),
    ] {
        site.execute(state).await;
        let mut link = agent.connect().await;
        link.send(agent_frame::Body::Hello(agent.hello())).await;
        link.refused(code).await;
    }
}

#[tokio::test]
async fn heartbeats_are_answered_with_the_databases_time_and_noted() {
    let site = Site::start().await;
    let agent = site.enrolled_agent("eu-west").await;
    let (mut link, _) = agent.session().await;
    site.execute("UPDATE agents SET last_heartbeat_at = 0").await;
    let heartbeat = Heartbeat {
        boot_time_ms: 123,
        wall_time_ms: clock::wall_ms() - 3_600_000,
        ..Heartbeat::default()
    };
    link.send(agent_frame::Body::Heartbeat(heartbeat)).await;
    let Some(Body::Heartbeat(reply)) = link.receive().await else { panic!("no reply") };
    let now = site.shared.store.now().await.unwrap();
    assert_eq!(reply.boot_time_ms, 123);
    assert!((now - reply.control_time_ms).abs() < 5_000, "{reply:?} at {now}");
    assert!(reply.backlog_credit > 0);
    let noted = "SELECT COUNT(*) AS n FROM agents
        WHERE last_heartbeat_at > 0 AND wall_skew_ms BETWEEN -3700000 AND -3500000";
    eventually("the heartbeat is noted", async || site.number(noted).await == Some(1)).await;
}

#[tokio::test]
async fn a_revoked_agents_session_ends_within_seconds_on_every_replica() {
    let site = Site::start().await;
    let replica = site.beside().await;
    let here = site.enrolled_agent("eu-west").await;
    let there = FakeAgent { address: replica.address, ..site.enrolled_agent("us-east").await };
    let (mut first, _) = here.session().await;
    let (mut second, _) = there.session().await;
    let began = clock::monotonic();
    site.execute("UPDATE agents SET state = 'revoked'").await;
    first.refused(RefusalCode::Revoked).await;
    second.refused(RefusalCode::Revoked).await;
    assert!(began.elapsed().as_secs() < 5);
    assert_eq!(site.shared.metrics.link_agents_connected.get(), 0);
}

#[tokio::test]
async fn a_newer_session_of_a_key_ends_the_older_wherever_it_is() {
    let site = Site::start().await;
    let replica = site.beside().await;
    let agent = site.enrolled_agent("eu-west").await;
    let (mut oldest, _) = agent.session().await;
    let (mut older, _) = agent.session().await;
    let refusal = oldest.refused(RefusalCode::Unspecified).await;
    assert_eq!(refusal.message, "this key has a newer session");

    let elsewhere = FakeAgent { address: replica.address, ..agent };
    let (_newest, _) = elsewhere.session().await;
    older.send(agent_frame::Body::Heartbeat(Heartbeat::default())).await;
    assert!(matches!(older.receive().await, Some(Body::Heartbeat(_))));
    older.refused(RefusalCode::Unspecified).await;
}

#[tokio::test]
async fn a_goodbye_ends_a_session_and_a_stop_ends_all() {
    let site = Site::start().await;
    let leaving = site.enrolled_agent("eu-west").await;
    let staying = site.enrolled_agent("us-east").await;
    let (mut leaves, _) = leaving.session().await;
    let (mut stays, _) = staying.session().await;
    leaves.send(agent_frame::Body::Goodbye(Goodbye { reason: "update".into() })).await;
    assert_eq!(leaves.receive().await, None);
    assert_eq!(leaves.closed().await, (0, "goodbye".into()));
    let connected = &site.shared.metrics.link_agents_connected;
    eventually("one left", async || connected.get() == 1).await;

    site.stop.cancel();
    assert_eq!(stays.receive().await, None);
    assert_eq!(stays.closed().await, (0, "the control plane is stopping".into()));
    soon("the gateway's end", site.running).await.unwrap();
}

/// While no gateway gives signs, nobody is late.
#[tokio::test]
async fn a_gateway_says_that_it_is_there_with_or_without_agents() {
    let site = Site::start().await;
    let replica = site.beside().await;
    let there = "SELECT COUNT(*) AS n FROM gateways";
    eventually("both give signs", async || site.number(there).await == Some(2)).await;
    site.execute("UPDATE gateways SET since = 7").await;
    let newest = "SELECT MIN(heard_at) AS n FROM gateways";
    let first = site.number(newest).await;
    eventually("and go on", async || site.number(newest).await > first).await;
    let kept = "SELECT COUNT(*) AS n FROM gateways WHERE since = 7";
    assert_eq!(site.number(kept).await, Some(2), "without a pause");
    site.execute("UPDATE gateways SET heard_at = heard_at - 20000").await;
    eventually("a pause begins anew", async || site.number(kept).await == Some(0)).await;
    drop(replica);
}
