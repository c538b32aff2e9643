//! How long each phase took, by us and by the exporter, against servers with
//! known delays.
//!
//! Among the tests, one round shows that every phase is there and that none
//! overlaps another; more cannot be asked of a machine that does other things too.
//! The campaign `side-by-side` names a file in [`TABLE`]: then there are many
//! rounds, their medians must agree within 1 ms or 5 %, and the table goes there.

use super::blackbox::Blackbox;
use super::known::{self, Delays, delay};
use crate::network::Network;
use crate::servers::echo::{Answer, answering};
use hyperverge_agent::clock;
use hyperverge_agent::probe::{self, CheckId, ProbeContext, ProbeSettings};
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

const TABLE: &str = "HYPERVERGE_SIDE_BY_SIDE_TABLE";
const NETWORK: &str = r#"
    sysctl -qw 'net.ipv4.ping_group_range=0 0' net.ipv4.icmp_echo_ignore_all=1
    resolv=$(mktemp)
    echo 'nameserver 127.0.0.1' > "$resolv"
    mount --bind "$resolv" /etc/resolv.conf
    rm "$resolv"
"#;
const DELAYS: [Delays; 4] = [
    Delays { resolve: 10, tls: 20, processing: 50, transfer: 100 },
    Delays { resolve: 50, tls: 100, processing: 200, transfer: 10 },
    Delays { resolve: 100, tls: 200, processing: 10, transfer: 20 },
    Delays { resolve: 200, tls: 10, processing: 20, transfer: 50 },
];

/// One phase of one target.
struct Line {
    what: String,
    /// What the server was told to take, ms.
    known: f64,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// What both are asked, and which of their numbers mean the same.
struct Question {
    kind: &'static str,
    module: &'static str,
    target: String,
    monitor: Value,
    phases: Vec<Phase>,
}

/// A phase, by its name, the delay that the server was told, our number and the
/// exporter's metric.
struct Phase(&'static str, u32, fn(&Observation) -> Option<Duration>, &'static str);

#[test]
fn every_phase_is_measured() {
    Network::new(&[NETWORK]).run("side_by_side::phases::every_phase_is_measured", || async {
        let table = std::env::var_os(TABLE);
        let rounds = if table.is_some() { 15 } else { 1 };
        known::names();
        let (tls, root) = known::tls(DELAYS.map(Delays::name).into());
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("root.pem"), &root).expect("written");
        let (blackbox, _exporter) = Blackbox::start(&dir.path().join("root.pem"));
        let context = context(root);
        let mut lines = Vec::new();
        for delays in DELAYS {
            let (http, https) =
                (known::web(delays, None), known::web(delays, Some(Arc::clone(&tls))));
            for question in [web(delays, "http", http), web(delays, "https", https), dns(delays)] {
                lines.extend(ask(&question, &context, blackbox, rounds).await);
            }
        }
        let late = Arc::new(AtomicU32::new(0));
        let host = Arc::clone(&late);
        answering(move |_, request| {
            delay(host.load(SeqCst));
            vec![Answer::to(request)]
        });
        for millis in [10, 50, 200] {
            late.store(millis, SeqCst);
            lines.extend(ask(&ping(millis), &context, blackbox, rounds).await);
        }
        if let Some(path) = table {
            std::fs::write(path, written(&lines)).expect("the table");
            let apart: Vec<String> = lines.iter().filter(|l| !l.agrees()).map(Line::row).collect();
            assert!(apart.is_empty(), "apart:\n{}", apart.concat());
        }
    });
}

fn context(root: String) -> ProbeContext {
    let settings = ProbeSettings {
        egress: EgressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a network")] },
        ca_pem: Some(root.into_bytes()),
        ..ProbeSettings::default()
    };
    ProbeContext::new(settings).expect("a context")
}

fn web(delays: Delays, scheme: &'static str, port: u16) -> Question {
    let target = format!("{scheme}://{}:{port}/", delays.name());
    let metric = |phase| match phase {
        "resolve" => "probe_http_duration_seconds{phase=\"resolve\"}",
        "connect" => "probe_http_duration_seconds{phase=\"connect\"}",
        "tls" => "probe_http_duration_seconds{phase=\"tls\"}",
        "processing" => "probe_http_duration_seconds{phase=\"processing\"}",
        _ => "probe_http_duration_seconds{phase=\"transfer\"}",
    };
    let mut question = Question {
        kind: scheme,
        module: if scheme == "https" { "https_named" } else { "http" },
        monitor: json!({ "target": target, "network": { "family": "ipv4" } }),
        target,
        phases: Vec::new(),
    };
    question.phases.push(Phase(
        "resolve",
        delays.resolve,
        |seen| seen.phases.resolve,
        metric("resolve"),
    ));
    question.phases.push(Phase("connect", 0, |seen| seen.phases.connect, metric("connect")));
    if scheme == "https" {
        question.phases.push(Phase("tls", delays.tls, |seen| seen.phases.tls, metric("tls")));
    }
    let processing = metric("processing");
    question.phases.push(Phase(
        "processing",
        delays.processing,
        |seen| seen.phases.processing,
        processing,
    ));
    question.phases.push(Phase(
        "transfer",
        delays.transfer,
        |seen| seen.phases.transfer,
        metric(""),
    ));
    question
}

fn dns(delays: Delays) -> Question {
    Question {
        kind: "dns",
        module: match delays.resolve {
            10 => "dns_10",
            50 => "dns_50",
            100 => "dns_100",
            _ => "dns_200",
        },
        target: "127.0.0.1:53".to_owned(),
        monitor: json!({ "kind": "dns", "target": delays.name(), "dns": { "server": "127.0.0.1" } }),
        phases: vec![Phase(
            "request",
            delays.resolve,
            |seen| seen.phases.processing,
            "probe_dns_duration_seconds{phase=\"request\"}",
        )],
    }
}

fn ping(millis: u32) -> Question {
    Question {
        kind: "icmp",
        module: "icmp",
        target: "127.0.0.1".to_owned(),
        monitor: json!({ "kind": "icmp", "target": "127.0.0.1", "icmp": { "packets": 1 } }),
        phases: vec![Phase(
            "round trip",
            millis,
            |seen| seen.phases.processing,
            "probe_icmp_duration_seconds{phase=\"rtt\"}",
        )],
    }
}

/// Asks both in turn, `rounds` times; a line for each phase.
async fn ask(
    question: &Question,
    context: &ProbeContext,
    blackbox: Blackbox,
    rounds: usize,
) -> Vec<Line> {
    let mut lines: Vec<Line> = question
        .phases
        .iter()
        .map(|Phase(phase, known, ..)| Line {
            what: format!("{} {phase}", question.kind),
            known: f64::from(*known),
            ours: Vec::new(),
            theirs: Vec::new(),
        })
        .collect();
    let mut spec = question.monitor.clone();
    spec["name"] = json!("both");
    let spec = MonitorSpec::from_json(&serde_json::to_vec(&spec).expect("JSON"));
    let spec = spec.expect("a good monitor");
    let check = CheckId { monitor_name: "both", region: "here", slot: 1 };
    for _ in 0..rounds {
        let began = clock::monotonic();
        let ours = probe::run(context, &spec, &check).await;
        let took = clock::monotonic() - began;
        assert_eq!(ours.outcome, Outcome::Ok, "{ours:?}");
        assert!(ours.phases.total() <= took, "phases overlap: {ours:?} in {took:?}");
        let (module, target) = (question.module, question.target.clone());
        let asked = tokio::task::spawn_blocking(move || blackbox.probe(module, &target));
        let theirs = asked.await.expect("an answer");
        assert!(theirs.success, "{}", theirs.log);
        for (line, Phase(_, _, phase, metric)) in lines.iter_mut().zip(&question.phases) {
            line.ours.push(phase(&ours).expect("measured").as_secs_f64() * 1e3);
            line.theirs.push(theirs.value(metric) * 1e3);
        }
    }
    lines
}

impl Line {
    fn medians(&self) -> (f64, f64) {
        (median(&self.ours), median(&self.theirs))
    }

    /// Within 1 ms or 5 %.
    fn agrees(&self) -> bool {
        let (ours, theirs) = self.medians();
        let apart = (ours - theirs).abs();
        apart <= 1.0 || apart <= theirs * 0.05
    }

    fn row(&self) -> String {
        let (ours, theirs) = self.medians();
        let known = match self.known {
            0.0 => "loopback".to_owned(),
            known => format!("{known:.0}"),
        };
        let apart = ours - theirs;
        format!("| {} | {known} | {ours:.2} | {theirs:.2} | {apart:+.2} |\n", self.what)
    }
}

fn median(all: &[f64]) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn written(lines: &[Line]) -> String {
    let mut table = String::from("| phase | server | ours | blackbox_exporter | apart |\n");
    table.push_str("|---|---|---|---|---|\n");
    for line in lines {
        write!(table, "{}", line.row()).expect("a string");
    }
    table
}
