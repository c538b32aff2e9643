//! Section `tls`, and kinds `tcp` and `tls`: every mistake with its field and rule.

use hyperverge_protocol::monitor::MonitorSpec;
use serde_json::{Value, json};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

/// What is wrong with a monitor of `kind`, as `field rule` sentences.
fn problems(kind: &str, more: &Value) -> Vec<String> {
    let target = match kind {
        "http" => "https://example.com/",
        "icmp" | "dns" => "example.com",
        _ => "example.com:443",
    };
    let mut spec = json!({ "name": "a", "kind": kind, "target": target });
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    match MonitorSpec::from_json(&serde_json::to_vec(&spec).expect("JSON")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn accepted(kind: &str, more: Value) {
    assert_eq!(problems(kind, &more), Vec::<String>::new(), "{more}");
}

#[track_caller]
fn refused(kind: &str, more: Value, sentence: &str) {
    let found = problems(kind, &more);
    assert!(found.iter().any(|problem| problem == sentence), "{more}: found {found:?}");
}

#[test]
fn tls_options_belong_where_tls_is_spoken() {
    let options = json!({ "server_name": "a.test" });
    accepted("http", json!({ "tls": options }));
    accepted("tls", json!({ "tls": options }));
    accepted("tcp", json!({ "tls": options, "tcp": { "tls": true } }));
    accepted("tcp", json!({ "tls": options, "tcp": { "steps": ["starttls"] } }));
    accepted("tcp", json!({ "tls": { "starttls": "smtp", "server_name": "a.test" } }));
    for transport in ["tls", "https", "quic"] {
        let dns = json!({ "transport": transport, "server": "192.0.2.53" });
        accepted("dns", json!({ "tls": options, "dns": dns }));
    }
    let nowhere = "tls must be absent where no TLS is spoken";
    refused("icmp", json!({ "tls": options }), nowhere);
    refused("dns", json!({ "tls": options }), nowhere);
    refused("tcp", json!({ "tls": options }), nowhere);
    accepted("tls", json!({ "tls": { "verify": false } }));
    refused(
        "http",
        json!({ "tls": { "verify": false } }),
        "tls.verify must be left out when kind is http: say http.verify",
    );
    for field in ["starttls", "alpn"] {
        let value = if field == "alpn" { json!(["h2"]) } else { json!("smtp") };
        accepted("tls", json!({ "tls": { field: value } }));
        let rule = format!("tls.{field} must be absent unless kind is tcp or tls");
        refused("http", json!({ "tls": { field: value } }), &rule);
    }
}

#[test]
fn certificates_and_keys_are_pem() {
    accepted("tls", json!({ "tls": { "ca": CERTIFICATE.repeat(64) } }));
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        let key = KEY.replace("PRIVATE KEY", label);
        accepted("tls", json!({ "tls": { "certificate": CERTIFICATE, "key": key } }));
    }
    let rule = "must hold 1 to 64 certificates in PEM form";
    for bad in ["", "nonsense", KEY, &CERTIFICATE.replace("AAAA", "A"), &CERTIFICATE.repeat(65)] {
        refused("tls", json!({ "tls": { "ca": bad } }), &format!("tls.ca {rule}"));
        let pair = json!({ "certificate": bad, "key": KEY });
        refused("tls", json!({ "tls": pair }), &format!("tls.certificate {rule}"));
    }
    let long = " ".repeat(65_537);
    refused("tls", json!({ "tls": { "ca": long } }), "tls.ca must be at most 65536 bytes");
    let rule =
        "tls.key must be a private key in PEM form, without a password, of at most 65536 bytes";
    let locked = KEY.replace("PRIVATE", "ENCRYPTED PRIVATE");
    for bad in ["", CERTIFICATE, &locked, &KEY.repeat(2), &format!("{long}{KEY}")] {
        refused("tls", json!({ "tls": { "certificate": CERTIFICATE, "key": bad } }), rule);
    }
    refused(
        "tls",
        json!({ "tls": { "key": KEY } }),
        "tls.certificate must be there when tls.key is",
    );
    refused(
        "tls",
        json!({ "tls": { "certificate": CERTIFICATE } }),
        "tls.key must be there when tls.certificate is",
    );
}

#[test]
fn pins_names_and_protocols_are_bounded() {
    let pin = "0aF".repeat(22)[..64].to_owned();
    accepted("tls", json!({ "tls": { "pins": vec![&pin; 8] } }));
    let nine = json!({ "pins": vec![&pin; 9] });
    refused("tls", json!({ "tls": nine }), "tls.pins must be at most 8 fingerprints");
    for bad in ["", &pin[1..], &format!("{}g", &pin[1..]), &"é".repeat(32)] {
        refused(
            "tls",
            json!({ "tls": { "pins": [pin, bad] } }),
            "tls.pins[1] must be 64 hexadecimal digits (SHA-256)",
        );
    }
    for good in [
        "a.test",
        "a.test.",
        "192.0.2.1",
        "2001:db8::1",
        "[2001:db8::1]",
        "under_score.test",
        "b\u{fc}cher.example",
    ] {
        accepted("tls", json!({ "tls": { "server_name": good } }));
    }
    for bad in [
        "",
        "a.test:443",
        "https://a.test",
        "a b",
        "a\r\nb",
        "a-.test",
        "-a.test",
        "a$b.test",
        &"a".repeat(254),
    ] {
        let rule = "tls.server_name must be a host name or an address";
        refused("tls", json!({ "tls": { "server_name": bad } }), rule);
    }
    accepted("tls", json!({ "tls": { "alpn": vec!["a".repeat(255); 8] } }));
    for bad in [json!(vec!["h2"; 9]), json!([""]), json!(["a".repeat(256)])] {
        let rule = "tls.alpn must be at most 8 names of 1 to 255 bytes";
        refused("tls", json!({ "tls": { "alpn": bad } }), rule);
    }
}

#[test]
fn what_speaks_tls_has_a_name_for_it() {
    let rule = "must name a host that a certificate can be for: letters, digits, underscores and \
                inner hyphens between dots";
    for host in ["a-.test", "-a.test", "shop.b-", "a$b.test"] {
        let refused = |kind: &str, field: &str, more: Value| {
            refused(kind, more, &format!("{field} {rule}"));
        };
        refused("http", "target", json!({ "target": format!("https://{host}/") }));
        refused("tls", "target", json!({ "target": format!("{host}:443") }));
        let secure = json!({ "target": format!("{host}:443"), "tcp": { "tls": true } });
        refused("tcp", "target", secure);
        refused("http", "http.proxy", json!({ "http": { "proxy": format!("https://{host}:1") } }));
        refused("dns", "dns.server", json!({ "dns": { "server": host, "transport": "tls" } }));
        // Where nobody shows a certificate, a host is what the name servers say.
        accepted("http", json!({ "target": format!("http://{host}/") }));
        accepted("tcp", json!({ "target": format!("{host}:25") }));
    }
    for host in ["b\u{fc}cher.example", "[2001:db8::1]", "192.0.2.1", "under_score.test", "a.test."]
    {
        accepted("http", json!({ "target": format!("https://{host}/") }));
        accepted("tls", json!({ "target": format!("{host}:443") }));
    }
}

#[test]
fn what_is_for_the_own_origin_needs_one_that_speaks_tls() {
    let plain = |tls: Value| json!({ "target": "http://example.com/", "tls": tls });
    let pair = json!({ "certificate": CERTIFICATE, "key": KEY });
    for (tls, fields) in [
        (json!({ "server_name": "a.test" }), &["server_name"][..]),
        (json!({ "pins": ["0".repeat(64)] }), &["pins"]),
        (pair, &["certificate", "key"]),
    ] {
        for field in fields {
            let sentence = format!("tls.{field} must be absent unless the target is https");
            refused("http", plain(tls.clone()), &sentence);
        }
        accepted("http", json!({ "target": "HTTPS://example.com/", "tls": tls }));
    }
    // These hold wherever a redirect leads.
    accepted("http", plain(json!({ "ca": CERTIFICATE, "min_version": "1.3" })));
}

#[test]
fn steps_are_bounded_and_compile() {
    let steps = |steps: Value| json!({ "tcp": { "steps": steps } });
    accepted(
        "tcp",
        steps(json!([
            { "expect_regex": "^220 " }, { "send": "EHLO x\r\n" }, { "expect": "250" },
            { "send_hex": "00ff" }, { "expect_hex": "FF00" }, "starttls"
        ])),
    );
    accepted("tcp", steps(json!(vec![json!({ "send": "x" }); 16])));
    refused(
        "tcp",
        steps(json!(vec![json!({ "send": "x" }); 17])),
        "tcp.steps must be at most 16 steps",
    );
    let hex = |bytes| format!("must be pairs of hexadecimal digits, for 1 to {bytes} bytes");
    for (step, rule) in [
        (json!({ "send": "" }), "must be 1 to 4096 bytes".to_owned()),
        (json!({ "send": "x".repeat(4_097) }), "must be 1 to 4096 bytes".to_owned()),
        (json!({ "expect": "" }), "must be 1 to 1024 bytes".to_owned()),
        (json!({ "expect": "x".repeat(1_025) }), "must be 1 to 1024 bytes".to_owned()),
        (json!({ "send_hex": "" }), hex(4_096)),
        (json!({ "send_hex": "0" }), hex(4_096)),
        (json!({ "send_hex": "0g" }), hex(4_096)),
        (json!({ "send_hex": "00".repeat(4_097) }), hex(4_096)),
        (json!({ "expect_hex": "00".repeat(1_025) }), hex(1_024)),
        (json!({ "expect_regex": "" }), "must be 1 to 1024 bytes".to_owned()),
        (
            json!({ "expect_regex": "(a{1000}){1000}" }),
            "must be a smaller regular expression: its repetitions multiply".to_owned(),
        ),
    ] {
        let sentence = format!("tcp.steps[1] {rule}");
        refused("tcp", steps(json!([{ "send": "x" }, step])), &sentence);
    }
}

#[test]
fn tls_begins_once() {
    let once = "tcp must begin TLS at most once: by tcp.tls, by tls.starttls or by one step \
                \"starttls\"";
    refused("tcp", json!({ "tcp": { "tls": true, "steps": ["starttls"] } }), once);
    refused("tcp", json!({ "tcp": { "steps": ["starttls", "starttls"] } }), once);
    let options = json!({ "starttls": "imap" });
    refused("tcp", json!({ "tcp": { "tls": true }, "tls": options }), once);
    refused("tcp", json!({ "tcp": { "steps": ["starttls"] }, "tls": options }), once);
}
