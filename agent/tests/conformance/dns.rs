//! `kind: dns` against BIND, Unbound, dnsdist and aioquic.

use crate::servers::{
    Authority, BIG_TEXTS, BIND_NAME, Bind, DNSDIST_NAME, DOQ_NAME, Dnsdist, Doq, UNBOUND_NAME,
    Unbound, free_port,
};
use hyperverge_agent::probe::dns::NameServers;
use hyperverge_agent::probe::{self, CheckId, ProbeContext, ProbeSettings};
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{DnsFacts, Observation, Outcome, Reason};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn context(authority: &Authority, own: Vec<SocketAddr>) -> ProbeContext {
    let settings = ProbeSettings {
        egress: EgressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a network")] },
        ca_pem: Some(authority.pem().into_bytes()),
        name_servers: Some(NameServers::new(own)),
        ..ProbeSettings::default()
    };
    ProbeContext::new(settings).expect("a context")
}

/// Whom to ask, and how.
#[derive(Clone, Copy)]
struct Way<'a> {
    context: &'a ProbeContext,
    server: SocketAddr,
    transport: &'static str,
    /// The name in the server's certificate.
    name: &'static str,
}

impl Way<'_> {
    /// Asks for `record` of `target`, with `more` in the monitor.
    async fn ask(&self, target: &str, record: &str, more: Value) -> Observation {
        let mut spec = json!({
            "name": "a", "kind": "dns", "target": target, "timeout": "10s",
            "dns": { "record": record, "server": self.server.to_string(), "transport": self.transport },
        });
        if !["udp", "tcp"].contains(&self.transport) {
            spec["tls"] = json!({ "server_name": self.name });
        }
        for (key, value) in more.as_object().expect("an object") {
            spec[key] = value.clone();
        }
        let spec = MonitorSpec::from_json(spec.to_string().as_bytes()).expect("a monitor");
        let check = CheckId { monitor_name: "a", region: "eu", slot: 1 };
        probe::run(self.context, &spec, &check).await
    }

    async fn fails(&self, target: &str, more: Value, reason: Reason) {
        let seen = self.ask(target, "A", more).await;
        let transport = self.transport;
        assert_eq!(seen.reason, Some(reason), "{target} over {transport}: {seen:?}");
        assert_eq!(seen.outcome, Outcome::Fail, "{target} over {transport}: {seen:?}");
    }

    async fn is_ok(&self, target: &str, record: &str, more: Value) -> Observation {
        let seen = self.ask(target, record, more).await;
        let transport = self.transport;
        assert_eq!(seen.outcome, Outcome::Ok, "{target} {record} over {transport}: {seen:?}");
        assert_eq!(seen.address, Some(self.server));
        let phases = seen.phases;
        assert!(phases.processing.is_some() && phases.resolve.is_none(), "{seen:?}");
        let encrypted = !["udp", "tcp"].contains(&transport);
        assert_eq!(phases.tls.is_some(), encrypted, "{seen:?}");
        assert_eq!(seen.certificate_expires_s.is_some(), encrypted, "{seen:?}");
        seen
    }
}

fn facts(seen: &Observation) -> &DnsFacts {
    seen.details.as_ref().and_then(|details| details.dns.as_ref()).expect("facts")
}

fn expecting(answers: &[&str]) -> Value {
    json!({ "expect": { "answers": answers, "answers_only": true } })
}

/// Four ways to one server.
fn ways<'a>(
    context: &'a ProbeContext,
    (plain, tls, https): (SocketAddr, SocketAddr, SocketAddr),
    name: &'static str,
) -> [Way<'a>; 4] {
    [("udp", plain), ("tcp", plain), ("tls", tls), ("https", https)]
        .map(|(transport, server)| Way { context, server, transport, name })
}

#[tokio::test]
async fn an_authority_answers_every_type_by_every_transport() {
    let authority = Authority::new();
    let bind = Bind::start(&authority);
    let context = context(&authority, Vec::new());
    for way in ways(&context, (bind.plain, bind.tls, bind.https), BIND_NAME) {
        for (target, record, answers) in [
            ("www.example.test", "A", &["192.0.2.1", "192.0.2.2"][..]),
            ("WWW.Example.Test.", "AAAA", &["2001:DB8:0::1"]),
            ("alias.example.test", "A", &["192.0.2.2", "192.0.2.1"]),
            ("alias.example.test", "CNAME", &["Other.example.test"]),
            ("any.wild.example.test", "A", &["192.0.2.42"]),
            ("example.test", "MX", &["10 Mail.Example.TEST", "20 backup.example.test."]),
            ("example.test", "NS", &["ns1.example.test", "ns2.example.test"]),
            ("example.test", "TXT", &["v=spf1 -all", "semi; colon and \"quotes\""]),
            (
                "example.test",
                "SOA",
                &["ns1.example.test host\\.master.example.test 2024010100 7200 900 1209600 60"],
            ),
            ("_sip._tcp.example.test", "SRV", &["0 5 5060 sip.example.test"]),
            (
                "example.test",
                "CAA",
                &["0 issue ca.example.net", "128 iodef \"mailto:security@example.test\""],
            ),
            ("192.0.2.1", "PTR", &["www.example.test"]),
        ] {
            let seen = way.is_ok(target, record, expecting(answers)).await;
            let facts = facts(&seen);
            assert!(facts.authoritative && facts.rcode == "NOERROR", "{seen:?}");
            assert_eq!(facts.answers.len(), answers.len(), "{seen:?}");
            assert!(facts.answers.is_sorted(), "{seen:?}");
        }
        let seen = way.is_ok("www.example.test", "A", json!({})).await;
        assert_eq!(facts(&seen).ttl_s, Some(60));
        let (soa, ns) = (
            "ns1.example.test host\\.master.example.test 2024010100 7200 900 1209600 60",
            "NS1.child.example.test",
        );
        let gone = json!({ "expect": { "rcode": ["NXDOMAIN"], "authority": [soa] } });
        way.is_ok("gone.example.test", "A", gone).await;
        let none = json!({ "expect": { "answers_only": true, "authority": [soa] } });
        way.is_ok("www.example.test", "MX", none).await;
        let referral = json!({ "expect": { "authority": [ns], "authoritative": false } });
        way.is_ok("a.child.example.test", "A", referral).await;

        let nothing = || json!({});
        way.fails("gone.example.test", nothing(), Reason::DnsNxdomain).await;
        way.fails("a.broken.test", nothing(), Reason::DnsServfail).await;
        way.fails("elsewhere.test", nothing(), Reason::DnsRefused).await;
        way.fails("example.test", nothing(), Reason::DnsAnswer).await;
        let wrong = expecting(&["192.0.2.1"]);
        way.fails("www.example.test", wrong, Reason::DnsAnswer).await;
        let wrong = json!({ "expect": { "answers": ["192.0.2.9"] } });
        way.fails("www.example.test", wrong, Reason::DnsAnswer).await;
        let longer = json!({ "expect": { "ttl": "61s" } });
        way.fails("www.example.test", longer, Reason::DnsTtl).await;
        let other = json!({ "expect": { "authority": ["ns9.example.test"] } });
        way.fails("a.child.example.test", other, Reason::DnsAuthority).await;
    }
}

#[tokio::test]
async fn what_does_not_fit_into_a_datagram_comes_by_tcp() {
    let authority = Authority::new();
    let bind = Bind::start(&authority);
    let context = context(&authority, Vec::new());
    for way in ways(&context, (bind.plain, bind.tls, bind.https), BIND_NAME) {
        let seen = way.is_ok("big.example.test", "TXT", json!({})).await;
        assert_eq!(facts(&seen).answers.len(), BIG_TEXTS);
        assert_eq!(facts(&seen).truncated, way.transport == "udp", "{seen:?}");
        assert!(seen.phases.connect.is_some() && seen.phases.transfer.is_some(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_resolver_answers_without_authority() {
    let authority = Authority::new();
    let bind = Bind::start(&authority);
    let unbound = Unbound::start(&authority, bind.plain);
    let context = context(&authority, vec![unbound.plain]);
    for way in ways(&context, (unbound.plain, unbound.tls, unbound.https), UNBOUND_NAME) {
        let more = json!({ "expect": { "answers": ["192.0.2.1"], "authoritative": false } });
        way.is_ok("alias.example.test", "A", more).await;
        way.fails("gone.example.test", json!({}), Reason::DnsNxdomain).await;
        way.fails("a.broken.test", json!({}), Reason::DnsServfail).await;
        let more = json!({ "expect": { "authoritative": true } });
        way.fails("www.example.test", more, Reason::DnsAuthority).await;
        if !["udp", "tcp"].contains(&way.transport) {
            let other = json!({ "tls": { "server_name": "other.test" } });
            way.fails("www.example.test", other, Reason::TlsWrongHost).await;
        }
    }
    let path = format!("https://{}/elsewhere", unbound.https);
    let way = ways(&context, (unbound.plain, unbound.tls, unbound.https), UNBOUND_NAME)[3];
    let dns = json!({ "dns": { "server": path, "transport": "https" } });
    way.fails("www.example.test", dns, Reason::Status).await;
    // As the host's own resolver, which needs no permission.
    let own = json!({ "dns": { "record": "MX" } });
    let seen = ways(&context, (unbound.plain, unbound.tls, unbound.https), UNBOUND_NAME)[0]
        .is_ok("example.test", "MX", own)
        .await;
    assert_eq!(facts(&seen).answers, ["10 mail.example.test.", "20 backup.example.test."]);
}

#[tokio::test]
async fn a_balancer_that_misbehaves() {
    let authority = Authority::new();
    let bind = Bind::start(&authority);
    let dnsdist = Dnsdist::start(&authority, bind.plain);
    let context = context(&authority, Vec::new());
    for way in ways(&context, (dnsdist.plain, dnsdist.tls, dnsdist.https), DNSDIST_NAME) {
        way.is_ok("www.example.test", "A", expecting(&["192.0.2.1", "192.0.2.2"])).await;
        for (name, reason) in [
            ("nxdomain.test", Reason::DnsNxdomain),
            ("servfail.test", Reason::DnsServfail),
            ("refused.test", Reason::DnsRefused),
            ("notimp.test", Reason::DnsRcode),
        ] {
            way.fails(name, json!({}), reason).await;
        }
        let spoofed = json!({ "expect": { "answers": ["192.0.2.1"] } });
        way.fails("spoof.test", spoofed, Reason::DnsAnswer).await;
        let seen = way.is_ok("cut.test", "A", expecting(&["192.0.2.77"])).await;
        assert_eq!(facts(&seen).truncated, way.transport == "udp", "{seen:?}");
    }
    // Over a stream dnsdist closes the connection of a question that it drops.
    let [udp, tcp, tls, _] =
        ways(&context, (dnsdist.plain, dnsdist.tls, dnsdist.https), DNSDIST_NAME);
    udp.fails("drop.test", json!({ "timeout": "500ms" }), Reason::DnsTimeout).await;
    for way in [tcp, tls] {
        way.fails("drop.test", json!({}), Reason::ResetProcessing).await;
    }
}

#[tokio::test]
async fn a_server_over_quic() {
    let authority = Authority::new();
    let doq = Doq::start(&authority);
    let context = context(&authority, Vec::new());
    let way = Way { context: &context, server: doq.address, transport: "quic", name: DOQ_NAME };
    let seen = way.is_ok("good.example.test", "A", expecting(&["192.0.2.1"])).await;
    assert!(facts(&seen).authoritative);
    for (name, timeout, reason) in [
        ("none.example.test", "10s", Reason::DnsNxdomain),
        ("wrong.example.test", "10s", Reason::DnsMalformed),
        ("garbage.example.test", "10s", Reason::DnsMalformed),
        ("reset.example.test", "10s", Reason::ResetProcessing),
        ("close.example.test", "10s", Reason::ResetProcessing),
        ("hang.example.test", "2s", Reason::DnsTimeout),
        ("half.example.test", "2s", Reason::TimeoutTransfer),
    ] {
        way.fails(name, json!({ "timeout": timeout }), reason).await;
    }
    let other = json!({ "tls": { "server_name": "other.test" } });
    way.fails("good.example.test", other, Reason::TlsWrongHost).await;
}

#[tokio::test]
async fn a_server_that_is_gone_or_stopped() {
    let authority = Authority::new();
    let bind = Bind::start(&authority);
    let context = context(&authority, Vec::new());
    let brief = || json!({ "timeout": "500ms" });
    bind.daemon.freeze();
    let [udp, tcp, tls, https] = ways(&context, (bind.plain, bind.tls, bind.https), BIND_NAME);
    for way in [udp, tcp] {
        way.fails("www.example.test", brief(), Reason::DnsTimeout).await;
    }
    for way in [tls, https] {
        way.fails("www.example.test", brief(), Reason::TimeoutTls).await;
    }
    let gone = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for way in ways(&context, (gone, gone, gone), BIND_NAME) {
        way.fails("www.example.test", json!({}), Reason::ConnectRefused).await;
    }
    // QUIC shares its sockets, and the kernel tells those nothing of a closed port.
    let quic = Way { context: &context, server: gone, transport: "quic", name: DOQ_NAME };
    quic.fails("www.example.test", brief(), Reason::TimeoutTls).await;
}
