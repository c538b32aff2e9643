//! `kind: icmp` against a host whose answers a test writes: some, twice, late,
//! from elsewhere, or not what was asked.

use crate::icmp::{check, ended, facts};
use crate::network::{Network, run_in_each};
use crate::servers::echo::{Answer, answering};
use hyperverge_agent::clock;
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// The test answers, not the kernel.
const SILENT: &str = "sysctl -qw net.ipv4.icmp_echo_ignore_all=1\n";
const PING_SOCKETS: &str = "sysctl -qw 'net.ipv4.ping_group_range=0 0'\n";
const MS: Duration = Duration::from_millis(1);

/// Both sorts of sockets.
fn networks() -> [Network; 2] {
    [Network::new(&[SILENT, PING_SOCKETS]), Network::new(&[SILENT])]
}

#[test]
fn a_known_share_is_lost() {
    run_in_each(networks(), "icmp_answers::a_known_share_is_lost", || async {
        answering(
            |number, request| {
                if number % 4 == 0 { vec![Answer::to(request)] } else { Vec::new() }
            },
        );
        let icmp = json!({ "packets": 20, "spacing": "10ms" });
        for (expect, warn, outcome, reason, says) in [
            (json!({}), json!({}), Outcome::Ok, None, ""),
            (
                json!({ "loss": 75 }),
                json!({ "loss": 74 }),
                Outcome::Degraded,
                Some(Reason::PacketLoss),
                "15 of 20 echo requests (75%) stayed unanswered, expected at most 74%",
            ),
            (
                json!({ "loss": 74 }),
                json!({}),
                Outcome::Fail,
                Some(Reason::PacketLoss),
                "15 of 20 echo requests (75%) stayed unanswered, expected at most 74%",
            ),
        ] {
            let more = json!({ "icmp": icmp, "timeout": "600ms", "expect": expect, "warn": warn });
            let seen = check("127.0.0.1", more).await;
            ended(&seen, outcome, reason, says);
            assert_eq!((facts(&seen).sent, facts(&seen).received), (20, 5), "{seen:?}");
        }
    });
}

#[test]
fn a_reply_counts_once() {
    run_in_each(networks(), "icmp_answers::a_reply_counts_once", || async {
        answering(|_, request| (0..3).map(|_| Answer::to(request)).collect());
        let icmp = json!({ "packets": 10, "spacing": "10ms" });
        let more = json!({ "icmp": icmp, "expect": { "loss": 0 } });
        let seen = check("127.0.0.1", more).await;
        ended(&seen, Outcome::Ok, None, "");
        assert_eq!((facts(&seen).sent, facts(&seen).received), (10, 10), "{seen:?}");
    });
}

#[test]
fn what_is_no_reply_to_us_does_not_count() {
    run_in_each(networks(), "icmp_answers::what_is_no_reply_to_us_does_not_count", || async {
        answering(|_, request| {
            let altered = |place: usize| {
                let mut answer = Answer::to(request);
                answer.message[place] ^= 1;
                answer
            };
            let mut elsewhere = Answer::to(request);
            elsewhere.from = Ipv4Addr::new(127, 0, 0, 2);
            let mut short = Answer::to(request);
            short.message.truncate(20);
            let mut timestamp = Answer::to(request);
            timestamp.message[0] = 13;
            // The number drawn by the process, the serial, and a message of another type.
            vec![altered(8), altered(16), elsewhere, short, timestamp]
        });
        let seen = check("127.0.0.1", json!({ "timeout": "500ms" })).await;
        ended(&seen, Outcome::Fail, Some(Reason::IcmpNoReply), "answered none of 3");
    });
}

#[test]
fn round_trips_are_the_hosts() {
    run_in_each(networks(), "icmp_answers::round_trips_are_the_hosts", || async {
        answering(|number, request| {
            let after = [40 * MS, 80 * MS, 120 * MS][number % 3];
            vec![Answer { after, ..Answer::to(request) }]
        });
        // The next request is sent after the answer to the one before, which is
        // answered one at a time.
        let icmp = json!({ "packets": 3, "spacing": "500ms" });
        let more = json!({ "icmp": icmp, "timeout": "20s" });
        let seen = check("127.0.0.1", more).await;
        ended(&seen, Outcome::Ok, None, "");
        let facts = facts(&seen);
        assert_eq!((facts.sent, facts.received), (3, 3), "{seen:?}");
        assert!(facts.min_us >= Some(40_000) && facts.max_us >= Some(120_000), "{seen:?}");
        assert!(facts.mean_us >= Some(80_000), "{seen:?}");
    });
}

#[test]
fn an_agent_that_looks_late_does_not_charge_the_target_for_it() {
    let test = "icmp_answers::an_agent_that_looks_late_does_not_charge_the_target_for_it";
    run_in_each(networks(), test, || async {
        let log = answering(|_, request| vec![Answer::to(request)]);
        // One thread, which is busy from when the request leaves until long after
        // the answer came.
        let late = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().expect("a runtime");
            let began = clock::monotonic();
            let icmp = json!({ "packets": 1, "spacing": "10ms" });
            let more = json!({ "icmp": icmp, "timeout": "300ms" });
            let pinging = check("127.0.0.1", more);
            let polls = AtomicUsize::new(0);
            let busy = async {
                while polls.fetch_add(1, SeqCst) < 3 {
                    tokio::task::yield_now().await;
                }
                while log.lock().expect("the log").is_empty() {
                    std::thread::yield_now();
                }
                let until = clock::monotonic() + 400 * MS;
                while clock::monotonic() < until {
                    std::thread::park_timeout(until - clock::monotonic());
                }
            };
            let (seen, ()) = runtime.block_on(async { tokio::join!(pinging, busy) });
            let answered = log.lock().expect("the log")[0];
            (seen, answered.duration_since(began), began.elapsed())
        });
        let (seen, answered, took) = late.join().expect("no panic");
        // Past the timeout, too: the answer was there in time.
        ended(&seen, Outcome::Ok, None, "");
        let trip = seen.phases.processing.expect("measured");
        assert!(took >= 400 * MS && trip <= answered + MS, "{trip:?} of {answered:?}");
    });
}
