//! A host that runs out of file descriptors says so, and blames nobody.
//!
//! A program of its own, because the limit holds for the whole process.

use hyperverge_agent::probe::{self, CheckId, ProbeContext, ProbeSettings};
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Outcome, Reason};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::File;

#[tokio::test]
async fn no_descriptor_left_is_the_agents_fault() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let target = format!("http://{}/", listener.local_addr().expect("its address"));
    let egress = EgressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a network")] };
    let context = ProbeContext::new(ProbeSettings { egress, ..ProbeSettings::default() });
    let context = context.expect("a context");
    let spec = format!(r#"{{"name": "shop", "target": "{target}", "timeout": "2s"}}"#);
    let spec = MonitorSpec::from_json(spec.as_bytes()).expect("a good monitor");
    let check = CheckId { monitor_name: "shop", region: "eu", slot: 1 };
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).expect("a limit");
    let mut held = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
    }
    let seen = probe::run(&context, &spec, &check).await;
    drop(held);
    assert_eq!((seen.outcome, seen.reason), (Outcome::Unsupported, Some(Reason::AgentFault)));
    assert!(seen.message.contains("file descriptor"), "{}", seen.message);
}
