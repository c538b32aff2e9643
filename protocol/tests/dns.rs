//! Monitors of kind `dns` as people write them, and what is refused in them.

use hyperverge_protocol::monitor::MonitorSpec;
use serde_json::{Value, json};

fn monitor(extra: Value) -> Value {
    let mut spec = json!({ "name": "a", "kind": "dns", "target": "www.example.com" });
    for (key, value) in extra.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    spec
}

fn problems(extra: Value) -> Vec<String> {
    match MonitorSpec::from_json(monitor(extra).to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn refused(extra: Value, sentence: &str) {
    let found = problems(extra.clone());
    assert!(
        found.iter().any(|problem| problem == sentence),
        "{extra}: wanted {sentence:?}, found {found:?}"
    );
}

fn accepted(extra: Value) {
    let found = problems(extra.clone());
    assert!(found.is_empty(), "{extra}: {found:?}");
}

#[test]
fn monitors_people_write() {
    for extra in [
        json!({}),
        json!({ "target": "_sip._tcp.example.com.", "dns": { "record": "SRV" } }),
        json!({ "target": "bücher.example", "dns": { "record": "AAAA", "recursion": false } }),
        json!({ "target": "192.0.2.1", "dns": { "record": "PTR", "server": "9.9.9.9" } }),
        json!({ "target": "1.2.0.192.in-addr.arpa", "dns": { "record": "PTR" } }),
        json!({ "target": ".", "dns": { "record": "NS", "server": "2001:500:2::c" } }),
        json!({ "dns": { "server": "ns1.example.com:5353", "transport": "tcp" } }),
        json!({ "dns": { "server": "dns.example.net", "transport": "tls" }, "tls": { "min_version": "1.3" },
                "expect": { "certificate_days": 7 }, "warn": { "chain_days": 7 } }),
        json!({ "dns": { "server": "https://dns.example.net/q", "transport": "https" } }),
        json!({ "dns": { "server": "dns.example.net", "transport": "https" } }),
        json!({ "dns": { "server": "[2001:db8::1]:8853", "transport": "quic" } }),
        json!({ "expect": { "rcode": ["NOERROR", "NXDOMAIN"], "answers": ["192.0.2.1"], "answers_only": true,
                            "ttl": "1m", "authoritative": true,
                            "authority": ["ns1.example.com", "a. b. 1 2 3 4 5"] },
                "warn": { "ttl": "1h" } }),
    ] {
        accepted(extra);
    }
}

#[test]
fn a_target_is_a_name_to_ask_about() {
    let cases = [
        ("", "target must be a domain name: it has an empty label"),
        ("a..b", "target must be a domain name: it has an empty label"),
        (
            "https://a.example",
            "target must be a domain name: the character ':' has to be written as an escape",
        ),
        (
            "192.0.2.1",
            "target must be a domain name; an address is asked about with dns.record PTR",
        ),
        (
            "2001:db8::1",
            "target must be a domain name; an address is asked about with dns.record PTR",
        ),
    ];
    for (target, sentence) in cases {
        refused(json!({ "target": target }), sentence);
    }
    let long = format!("{}.example", "a".repeat(64));
    refused(
        json!({ "target": long }),
        "target must be a domain name: a label has more than 63 bytes",
    );
    refused(
        json!({ "target": "a.".repeat(128) }),
        "target must be a domain name: it is longer than 255 bytes",
    );
}

#[test]
fn a_server_fits_its_transport() {
    let server = |server: &str, transport: &str| json!({ "dns": { "server": server, "transport": transport } });
    let endpoint = "dns.server must be a host or address with a port where one is needed, such as db.example.com:5432 or [2001:db8::1]:443, not a URL";
    for transport in ["udp", "tcp", "tls", "quic"] {
        refused(server("https://dns.example.net/q", transport), endpoint);
    }
    refused(server("http://dns.example.net/q", "https"), "dns.server must be an https URL");
    for url in ["https://dns.example.net/q{?dns}", "https://dns.example.net/q?dns=1"] {
        refused(server(url, "https"), "dns.server must be a URL without a query or a template");
    }
    refused(server("169.254.169.254", "udp"), "dns.server must not be a cloud metadata service");
    refused(server("a:0", "udp"), "dns.server must have a port of 1 to 65535");
    refused(server(&"a".repeat(2_049), "udp"), "dns.server must be at most 2048 bytes");
    for transport in ["tls", "https", "quic"] {
        refused(
            json!({ "dns": { "transport": transport } }),
            "dns.server must be given with dns.transport tls, https and quic",
        );
    }
    for transport in ["udp", "tcp"] {
        refused(
            json!({ "dns": { "transport": transport }, "tls": { "verify": false } }),
            "tls must be absent where no TLS is spoken",
        );
    }
    refused(
        json!({ "expect": { "certificate_days": 7 } }),
        "expect.certificate_days must be absent where no TLS is spoken",
    );
    refused(
        json!({ "network": { "addresses": ["192.0.2.1"] } }),
        "network.addresses must be absent unless dns.server is given",
    );
}

#[test]
fn what_an_answer_must_be_can_be_one() {
    let expect = |expect: Value| json!({ "expect": expect });
    for code in ["noerror", "OK", "RCODE77", ""] {
        refused(
            expect(json!({ "rcode": [code] })),
            "expect.rcode[0] must be a response code in capital letters, such as NOERROR or NXDOMAIN",
        );
    }
    refused(expect(json!({ "rcode": ["NOERROR", "NOERROR"] })), "expect.rcode[1] must not repeat");
    refused(
        expect(json!({ "rcode": vec!["NOERROR"; 33] })),
        "expect.rcode must be at most 32 codes",
    );
    refused(
        expect(json!({ "answers": ["192.0.2.1", "www.example.com"] })),
        "expect.answers[1] must be the data of a record of type A, such as 192.0.2.1",
    );
    refused(
        json!({ "dns": { "record": "MX" }, "expect": { "answers": ["10 a..b"] } }),
        "expect.answers[0] must be a domain name: it has an empty label",
    );
    refused(
        expect(json!({ "answers": vec!["192.0.2.1"; 33] })),
        "expect.answers must be at most 32 records",
    );
    refused(
        json!({ "dns": { "record": "TXT" }, "expect": { "answers": ["a".repeat(4_097)] } }),
        "expect.answers[0] must be at most 4096 bytes",
    );
    refused(
        expect(json!({ "authority": ["ns1.example.com x"] })),
        "expect.authority[0] must be the data of a record of type SOA, such as ns1.example.com. admin.example.com. 2024010100 7200 900 1209600 300",
    );
    for ttl in ["0s", "500ms", "1500ms", "2147483648s", "100000d"] {
        let sentence = "must be whole seconds, 1s to 2147483647s";
        refused(expect(json!({ "ttl": ttl })), &format!("expect.ttl {sentence}"));
        refused(json!({ "warn": { "ttl": ttl } }), &format!("warn.ttl {sentence}"));
    }
}
