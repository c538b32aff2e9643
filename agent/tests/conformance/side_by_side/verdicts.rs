//! The targets, and what both probers must say about each.

use super::world::{
    CLOSE, CLOSED, EXPIRED, GARBAGE, HALF, HTTP, HTTPS, MAIL, RESET, Row, SELF_SIGNED, SILENT,
    UNKNOWN_ROOT, WRONG_HOST, compare,
};
use hyperverge_protocol::outcome::Reason;
use serde_json::{Value, json};

/// A row about a URL.
fn web(module: &'static str, url: &str, more: Value, wrong: impl Into<Option<Reason>>) -> Row {
    let mut monitor = more;
    monitor["target"] = json!(url);
    Row { module, target: url.to_owned(), monitor, wrong: wrong.into() }
}

#[test]
fn http() {
    compare("side_by_side::verdicts::http", || {
        let at = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
        let secure = |port: u16| format!("https://127.0.0.1:{port}/");
        let name = || json!({ "tls": { "server_name": "good.test" } });
        let expect = |expect: Value| json!({ "expect": expect });
        let none = || json!({});
        let stay = json!({ "http": { "redirects": 0 } });
        vec![
            web("http", &at(HTTP, "/"), none(), None),
            web("http", &format!("http://good.test:{HTTP}/"), none(), None),
            web("http", &at(HTTP, "/empty"), none(), None),
            web("http_204", &at(HTTP, "/empty"), expect(json!({ "status": ["204"] })), None),
            web("http_204", &at(HTTP, "/"), expect(json!({ "status": ["204"] })), Reason::Status),
            web("http", &at(HTTP, "/missing"), none(), Reason::Status),
            web("http", &at(HTTP, "/broken"), none(), Reason::Status),
            web("http", &at(HTTP, "/moved"), none(), None),
            web("http_stay", &at(HTTP, "/moved"), stay, Reason::Status),
            web("http", &at(HTTP, "/round"), none(), Reason::RedirectLimit),
            web("http", &at(HTTP, "/away"), none(), Reason::ConnectRefused),
            web("http_body", &at(HTTP, "/"), expect(json!({ "body_regex": "we(ll|st)" })), None),
            web(
                "http_body",
                &at(HTTP, "/empty"),
                expect(json!({ "body_regex": "we(ll|st)" })),
                Reason::Body,
            ),
            web(
                "http_no_body",
                &at(HTTP, "/"),
                expect(json!({ "body_without": "well" })),
                Reason::Body,
            ),
            web(
                "http_header",
                &at(HTTP, "/"),
                expect(json!({ "headers": { "x-state": "^fine$" } })),
                None,
            ),
            web(
                "http_header",
                &at(HTTP, "/empty"),
                expect(json!({ "headers": { "x-state": "^fine$" } })),
                Reason::Header,
            ),
            web("http", &at(CLOSED, "/"), none(), Reason::ConnectRefused),
            web("http", &at(SILENT, "/"), none(), Reason::TimeoutProcessing),
            web("http", &at(HALF, "/"), none(), Reason::TimeoutTransfer),
            web("http", &at(RESET, "/"), none(), Reason::ResetProcessing),
            web("http", &at(CLOSE, "/"), none(), Reason::ResetProcessing),
            web("http", &at(GARBAGE, "/"), none(), Reason::HttpMalformed),
            web("http", "http://nothing.test/", none(), Reason::DnsNxdomain),
            web("http", "http://refused.example/", none(), Reason::DnsRefused),
            web("http", "http://203.0.113.2/", none(), Reason::ConnectUnreachable),
            web("http", "http://203.0.113.3/", none(), Reason::TimeoutConnect),
            web("https", &secure(HTTPS), name(), None),
            web("https", &secure(EXPIRED), name(), Reason::TlsExpired),
            web("https", &secure(WRONG_HOST), name(), Reason::TlsWrongHost),
            web("https", &secure(UNKNOWN_ROOT), name(), Reason::TlsUnknownIssuer),
            web("https", &secure(SELF_SIGNED), name(), Reason::TlsSelfSigned),
            web("https", &secure(HTTP), name(), Reason::TlsHandshake),
            web("https", &secure(SILENT), name(), Reason::TimeoutTls),
        ]
    });
}

#[test]
fn icmp() {
    compare("side_by_side::verdicts::icmp", || {
        let ping = |module, target: &str, icmp: Value, wrong: Option<Reason>| {
            let mut icmp = icmp;
            icmp["packets"] = json!(1);
            let monitor = json!({ "kind": "icmp", "target": target, "icmp": icmp });
            Row { module, target: target.to_owned(), monitor, wrong }
        };
        let none = || json!({});
        vec![
            ping("icmp", "127.0.0.1", none(), None),
            ping("icmp6", "::1", none(), None),
            ping("icmp", "192.0.2.2", none(), None),
            ping("icmp", "198.51.100.2", none(), None),
            ping("icmp", "far.test", none(), None),
            ping("icmp6", "2001:db8:2::2", none(), None),
            ping("icmp_ttl1", "192.0.2.2", json!({ "ttl": 1 }), None),
            ping("icmp_ttl1", "198.51.100.2", json!({ "ttl": 1 }), Some(Reason::IcmpUnreachable)),
            ping("icmp", "203.0.113.1", none(), Some(Reason::IcmpUnreachable)),
            ping("icmp", "203.0.113.2", none(), Some(Reason::IcmpUnreachable)),
            ping("icmp", "203.0.113.3", none(), Some(Reason::IcmpNoReply)),
            ping("icmp", "nothing.test", none(), Some(Reason::DnsNxdomain)),
        ]
    });
}

#[test]
fn tcp() {
    compare("side_by_side::verdicts::tcp", || {
        let connect = |module, address: String, tcp: Value, wrong: Option<Reason>| {
            let monitor = json!({ "kind": "tcp", "target": address, "tcp": tcp });
            Row { module, target: address, monitor, wrong }
        };
        let at = |port: u16| format!("127.0.0.1:{port}");
        let none = || json!({});
        let banner = || json!({ "steps": [{ "expect_regex": "^220 " }] });
        let dialogue = json!({ "steps": [
            { "expect_regex": "^220 " }, { "send": "EHLO probe\n" }, { "expect_regex": "^250 " },
        ] });
        vec![
            connect("tcp", at(MAIL), none(), None),
            connect("tcp", format!("good.test:{MAIL}"), none(), None),
            connect("tcp", at(SILENT), none(), None),
            connect("tcp_banner", at(MAIL), banner(), None),
            connect("tcp_dialogue", at(MAIL), dialogue, None),
            connect("tcp_banner", at(SILENT), banner(), Some(Reason::TimeoutProcessing)),
            connect("tcp_banner", at(GARBAGE), banner(), Some(Reason::Response)),
            connect("tcp_banner", at(CLOSE), banner(), Some(Reason::ResetProcessing)),
            connect("tcp", at(CLOSED), none(), Some(Reason::ConnectRefused)),
            connect("tcp", "203.0.113.2:80".into(), none(), Some(Reason::ConnectUnreachable)),
            connect("tcp", "203.0.113.3:80".into(), none(), Some(Reason::TimeoutConnect)),
            connect("tcp", "nothing.test:80".into(), none(), Some(Reason::DnsNxdomain)),
        ]
    });
}

#[test]
fn tls() {
    compare("side_by_side::verdicts::tls", || {
        let mut rows = Vec::new();
        for (port, wrong) in [
            (HTTPS, None),
            (EXPIRED, Some(Reason::TlsExpired)),
            (WRONG_HOST, Some(Reason::TlsWrongHost)),
            (UNKNOWN_ROOT, Some(Reason::TlsUnknownIssuer)),
            (SELF_SIGNED, Some(Reason::TlsSelfSigned)),
            (HTTP, Some(Reason::TlsHandshake)),
            (SILENT, Some(Reason::TimeoutTls)),
            (CLOSED, Some(Reason::ConnectRefused)),
        ] {
            let target = format!("127.0.0.1:{port}");
            let name = json!({ "server_name": "good.test" });
            let monitors = [
                json!({ "kind": "tls", "target": target, "tls": name }),
                json!({ "kind": "tcp", "target": target, "tls": name, "tcp": { "tls": true } }),
            ];
            rows.extend(monitors.map(|monitor| {
                let target = target.clone();
                Row { module: "tls", target, monitor, wrong }
            }));
        }
        rows
    });
}

#[test]
fn dns() {
    compare("side_by_side::verdicts::dns", || {
        let ask = |module, server: u16, more: Value, wrong: Option<Reason>| {
            let mut monitor = json!({ "kind": "dns", "target": "good.test" });
            for (key, value) in more.as_object().expect("an object") {
                monitor[key] = value.clone();
            }
            let server = format!("127.0.0.1:{server}");
            monitor["dns"]["server"] = json!(server);
            Row { module, target: server, monitor, wrong }
        };
        let none = || json!({});
        let mail =
            |answer: &str| json!({ "dns": { "record": "MX" }, "expect": { "answers": [answer] } });
        let of = |name: &str| json!({ "target": name });
        vec![
            ask("dns_a", 53, none(), None),
            ask("dns_a_tcp", 53, json!({ "dns": { "transport": "tcp" } }), None),
            ask("dns_mx", 53, mail("10 mail.good.test."), None),
            ask("dns_mx_wrong", 53, mail("10 other.good.test."), Some(Reason::DnsAnswer)),
            ask("dns_nxdomain", 53, of("nothing.test"), Some(Reason::DnsNxdomain)),
            ask(
                "dns_nxdomain_wanted",
                53,
                json!({ "target": "nothing.test", "expect": { "rcode": ["NXDOMAIN"] } }),
                None,
            ),
            ask("dns_refused", 53, of("refused.example"), Some(Reason::DnsRefused)),
            ask("dns_a", SILENT, none(), Some(Reason::DnsTimeout)),
            ask("dns_a", CLOSED, none(), Some(Reason::ConnectRefused)),
            ask(
                "dns_a_tcp",
                CLOSED,
                json!({ "dns": { "transport": "tcp" } }),
                Some(Reason::ConnectRefused),
            ),
        ]
    });
}
