//! Debian's prometheus-blackbox-exporter.

use crate::servers::Daemon;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

/// Where a running exporter is asked.
#[derive(Clone, Copy)]
pub(super) struct Blackbox {
    address: SocketAddr,
}

/// What it says about one probe.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) success: bool,
    /// Its own account of how it went.
    pub(super) log: String,
}

impl Said {
    /// A metric of its answer.
    pub(super) fn value(&self, metric: &str) -> f64 {
        let line = self.log.lines().find_map(|line| line.strip_prefix(metric));
        let value = line.and_then(|value| value.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {metric} in {}", self.log))
    }
}

impl Blackbox {
    /// Starts it with modules that trust `ca` and give up after five seconds.
    pub(super) fn start(ca: &Path) -> (Self, Daemon) {
        let dir = tempfile::tempdir().expect("a folder");
        let config = dir.path().join("blackbox.yml");
        std::fs::write(&config, modules(ca)).expect("written");
        let address: SocketAddr = ([127, 0, 0, 1], 9115).into();
        let listen = format!("--web.listen-address={address}");
        let arguments = ["--config.file=blackbox.yml", &listen];
        let daemon = Daemon::start("prometheus-blackbox-exporter", &arguments, dir, &[address]);
        (Self { address }, daemon)
    }

    /// Has it probe `target` by `module`.
    pub(super) fn probe(self, module: &str, target: &str) -> Said {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        let target: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let path = format!("/probe?module={module}&target={target}&debug=true");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("asked");
        let mut log = String::new();
        stream.read_to_string(&mut log).expect("an answer");
        let value = log.lines().find_map(|line| line.strip_prefix("probe_success "));
        Said { success: value.unwrap_or_else(|| panic!("{module}: {log}")) == "1", log }
    }
}

fn modules(ca: &Path) -> String {
    let ca = ca.display();
    let tls = |name: &str| format!("tls_config: {{ca_file: {ca}, server_name: {name}}}");
    let http = |more: &str| {
        format!("{{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4, {more}}}}}")
    };
    let tcp = |more: &str| {
        format!("{{prober: tcp, timeout: 5s, tcp: {{preferred_ip_protocol: ip4, {more}}}}}")
    };
    let dns = |more: &str| {
        format!("{{prober: dns, timeout: 5s, dns: {{preferred_ip_protocol: ip4, {more}}}}}")
    };
    let modules = [
        ("http", http("")),
        ("http_204", http("valid_status_codes: [204]")),
        ("http_body", http("fail_if_body_not_matches_regexp: ['we(ll|st)']")),
        ("http_no_body", http("fail_if_body_matches_regexp: ['well']")),
        ("http_header", http("fail_if_header_not_matches: [{header: X-State, regexp: '^fine$'}]")),
        ("http_stay", http("follow_redirects: false")),
        ("https", http(&tls("good.test"))),
        ("https_named", http(&format!("tls_config: {{ca_file: {ca}}}"))),
        ("dns_10", dns("query_name: d10.test, query_type: A")),
        ("dns_50", dns("query_name: d50.test, query_type: A")),
        ("dns_100", dns("query_name: d100.test, query_type: A")),
        ("dns_200", dns("query_name: d200.test, query_type: A")),
        ("tcp", tcp("")),
        ("tcp_banner", tcp("query_response: [{expect: '^220 '}]")),
        ("tcp_dialogue", tcp("query_response: [{expect: '^220 '}, {send: 'EHLO probe'}, {expect: '^250 '}]")),
        ("tls", tcp(&format!("tls: true, {}", tls("good.test")))),
        ("dns_a", dns("query_name: good.test, query_type: A")),
        ("dns_a_tcp", dns("query_name: good.test, query_type: A, transport_protocol: tcp")),
        ("dns_mx", dns("query_name: good.test, query_type: MX, validate_answer_rrs: {fail_if_none_matches_regexp: ['10 mail.good.test']}")),
        ("dns_mx_wrong", dns("query_name: good.test, query_type: MX, validate_answer_rrs: {fail_if_none_matches_regexp: ['10 other.good.test']}")),
        ("dns_nxdomain", dns("query_name: nothing.test, query_type: A")),
        ("dns_nxdomain_wanted", dns("query_name: nothing.test, query_type: A, valid_rcodes: [NXDOMAIN]")),
        ("dns_refused", dns("query_name: refused.example, query_type: A")),
        ("icmp", "{prober: icmp, timeout: 5s, icmp: {preferred_ip_protocol: ip4}}".to_owned()),
        ("icmp6", "{prober: icmp, timeout: 5s, icmp: {preferred_ip_protocol: ip6, ip_protocol_fallback: false}}".to_owned()),
        ("icmp_ttl1", "{prober: icmp, timeout: 5s, icmp: {preferred_ip_protocol: ip4, ttl: 1}}".to_owned()),
    ];
    let lines = modules.map(|(name, module)| format!("  {name}: {module}\n"));
    format!("modules:\n{}", lines.concat())
}
