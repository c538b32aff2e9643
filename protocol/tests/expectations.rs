//! Every field of `expect`, `warn` and `assert` out of its range, and where it
//! does not belong, with the rule it breaks.

use hyperverge_protocol::limits;
use hyperverge_protocol::monitor::{Kind, MonitorSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

fn minimal(kind: Kind) -> Value {
    let target = match kind {
        Kind::Http => "https://example.com/",
        Kind::Tcp | Kind::Tls => "example.com:443",
        Kind::Icmp | Kind::Dns => "example.com",
    };
    json!({ "name": "a", "kind": kind.as_str(), "target": target })
}

fn problems(kind: Kind, section: &str, field: &str, value: &Value) -> Vec<String> {
    let mut spec = minimal(kind);
    if field.is_empty() {
        spec[section] = value.clone();
    } else {
        spec[section] = json!({ field: value });
    }
    match MonitorSpec::from_json(spec.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_value_out_of_range_is_refused_with_its_rule() {
    let long = "x".repeat(limits::PATTERN_BYTES + 1);
    let many: Value =
        (0..65).map(|n| (format!("x-{n}"), json!("1"))).collect::<serde_json::Map<_, _>>().into();
    let bomb = "(a{1000}){1000}";
    for (kind, section, field, value, sentence) in [
        (
            Kind::Http,
            "expect",
            "status",
            json!(vec!["200"; 33]),
            "expect.status must hold 1 to 32 ranges",
        ),
        (
            Kind::Http,
            "expect",
            "status",
            json!(["99"]),
            "expect.status[0] must be a status such as 204 or a range such as 200-299, within 100-599",
        ),
        (
            Kind::Http,
            "expect",
            "status",
            json!([200]),
            "expect.status[0] must be a string, not a whole number",
        ),
        (Kind::Http, "expect", "latency", json!("0s"), "expect.latency must be more than 0"),
        (
            Kind::Http,
            "expect",
            "latency",
            json!("-1s"),
            "expect.latency must be a whole number and a unit (ms, s, m, h or d), such as 500ms or 30s",
        ),
        (
            Kind::Http,
            "warn",
            "latency",
            json!("11s"),
            "warn.latency must be at most the timeout (10s)",
        ),
        (Kind::Http, "expect", "body", json!(""), "expect.body must be 1 to 1024 bytes"),
        (Kind::Http, "expect", "body", json!(long), "expect.body must be 1 to 1024 bytes"),
        (
            Kind::Http,
            "expect",
            "body_without",
            json!(""),
            "expect.body_without must be 1 to 1024 bytes",
        ),
        (
            Kind::Http,
            "expect",
            "body_regex",
            json!(long),
            "expect.body_regex must be 1 to 1024 bytes",
        ),
        (
            Kind::Http,
            "expect",
            "body_regex",
            json!("("),
            "expect.body_regex must be a regular expression: unclosed group",
        ),
        (
            Kind::Http,
            "expect",
            "body_regex",
            json!("(?=a)"),
            "expect.body_regex must be a regular expression: look-around, including look-ahead and look-behind, is not supported",
        ),
        (
            Kind::Http,
            "expect",
            "body_regex",
            json!(bomb),
            "expect.body_regex must be a smaller regular expression: its repetitions multiply",
        ),
        (
            Kind::Http,
            "expect",
            "headers",
            json!({ "x": bomb }),
            "expect.headers.x must be a smaller regular expression: its repetitions multiply",
        ),
        (
            Kind::Http,
            "expect",
            "headers",
            json!({ "x": "" }),
            "expect.headers.x must be 1 to 1024 bytes",
        ),
        (
            Kind::Http,
            "expect",
            "headers",
            json!({ "a b": "." }),
            "expect.headers.a b must be a header name (RFC 9110 token)",
        ),
        (
            Kind::Http,
            "expect",
            "headers",
            json!({ "X-A": ".", "x-a": "." }),
            "expect.headers.x-a must not repeat a header in other letters",
        ),
        (Kind::Http, "expect", "headers", many, "expect.headers must be at most 64 headers"),
        (
            Kind::Http,
            "expect",
            "certificate_days",
            json!(0),
            "expect.certificate_days must be 1 to 3650",
        ),
        (Kind::Tls, "expect", "chain_days", json!(3_651), "expect.chain_days must be 1 to 3650"),
        (
            Kind::Tls,
            "warn",
            "certificate_days",
            json!(-1),
            "warn.certificate_days must be a whole number of 0 to 4294967295",
        ),
        (Kind::Icmp, "expect", "loss", json!(100), "expect.loss must be 0 to 99"),
        (
            Kind::Icmp,
            "expect",
            "loss",
            json!(256),
            "expect.loss must be a whole number of 0 to 255",
        ),
        (Kind::Icmp, "warn", "jitter", json!("0s"), "warn.jitter must be more than 0"),
        (
            Kind::Icmp,
            "expect",
            "certificate_days",
            json!(7),
            "expect.certificate_days must be absent where no TLS is spoken",
        ),
        (
            Kind::Http,
            "assert",
            "",
            json!(vec!["true"; 17]),
            "assert must be at most 16 expressions",
        ),
        (Kind::Http, "assert", "", json!(["true", ""]), "assert[1] must be 1 to 1024 bytes"),
        (Kind::Http, "assert", "", json!(["x".repeat(1_025)]), "assert[0] must be 1 to 1024 bytes"),
        (
            Kind::Http,
            "assert",
            "",
            json!(["response.statsu == 200"]),
            "assert[0] must only use known names: `response.statsu` is none; did you mean `response.status`?",
        ),
        (
            Kind::Icmp,
            "assert",
            "",
            json!(["response.status == 200"]),
            "assert[0] must not use `response.status`, which kind icmp does not have",
        ),
        (
            Kind::Http,
            "assert",
            "",
            json!(["[1].all(a, [1].all(b, [1].all(c, true)))"]),
            "assert[0] must not have more than 2 of all, exists, filter and map within one another",
        ),
        (
            Kind::Http,
            "assert",
            "",
            json!([format!("{}1 == 1", "1 + ".repeat(200))]),
            "assert[0] must not nest, or chain operators, deeper than 48",
        ),
        (
            Kind::Http,
            "assert",
            "",
            json!([format!("[]{} == []", " + [0, 1, 2, 3, 4, 5, 6, 7]".repeat(32))]),
            "assert[0] must have at most 256 names, values, operators and calls",
        ),
        (Kind::Http, "assert", "", json!("true"), "assert must be a list, not a string"),
    ] {
        let found = problems(kind, section, field, &value);
        assert!(
            found.iter().any(|problem| problem == sentence),
            "{section}.{field}: wanted {sentence:?}, found {found:?}"
        );
    }
}

#[test]
fn a_rule_for_what_the_kind_never_sees_is_refused() {
    let fields = [
        ("expect", "status", json!(["204"]), Kind::Http),
        ("expect", "body", json!("x"), Kind::Http),
        ("expect", "body_without", json!("x"), Kind::Http),
        ("expect", "body_regex", json!("x"), Kind::Http),
        ("expect", "headers", json!({ "x": "." }), Kind::Http),
        ("expect", "loss", json!(10), Kind::Icmp),
        ("expect", "jitter", json!("5ms"), Kind::Icmp),
        ("expect", "rcode", json!(["NXDOMAIN"]), Kind::Dns),
        ("expect", "answers", json!(["192.0.2.1"]), Kind::Dns),
        ("expect", "ttl", json!("5m"), Kind::Dns),
        ("expect", "authoritative", json!(true), Kind::Dns),
        ("expect", "authority", json!(["ns.example.com."]), Kind::Dns),
        ("warn", "loss", json!(10), Kind::Icmp),
        ("warn", "jitter", json!("5ms"), Kind::Icmp),
        ("warn", "ttl", json!("5m"), Kind::Dns),
    ];
    for (section, field, value, owner) in fields {
        for kind in Kind::ALL {
            let found = problems(kind, section, field, &value);
            let rule =
                format!("{section}.{field} must be absent unless kind is {}", owner.as_str());
            assert_eq!(
                found.contains(&rule),
                kind != owner,
                "{kind:?} {section}.{field}: {found:?}"
            );
            if kind == owner {
                assert_eq!(found, Vec::<String>::new(), "{section}.{field}");
            }
        }
    }
}

#[test]
fn a_section_of_another_kind_is_refused() {
    let sections = [
        ("http", json!({ "redirects": 0 }), Kind::Http),
        ("tcp", json!({ "steps": [{ "expect": "x" }] }), Kind::Tcp),
        ("icmp", json!({ "packets": 5 }), Kind::Icmp),
        ("dns", json!({ "record": "MX" }), Kind::Dns),
    ];
    for (section, value, owner) in sections {
        for kind in Kind::ALL {
            let found = problems(kind, section, "", &value);
            let rule = format!("{section} must be absent unless kind is {}", owner.as_str());
            assert_eq!(found.contains(&rule), kind != owner, "{kind:?} {section}: {found:?}");
        }
    }
}

#[test]
fn rules_of_a_body_are_refused_where_there_is_none() {
    for field in ["body", "body_without", "body_regex"] {
        let mut spec = minimal(Kind::Http);
        spec["http"] = json!({ "method": "HEAD" });
        spec["expect"] = json!({ field: "x" });
        let problems = MonitorSpec::from_json(spec.to_string().as_bytes()).expect_err(field);
        let rule = format!("expect.{field} must be absent with HEAD, whose answer has no body");
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [rule]);
    }
}

/// Values that no field wants, or only some.
fn odd() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(String::new()),
        Just("x".repeat(70_000)),
        Just("-1s".to_owned()),
        Just("(a{1000}){1000}".to_owned()),
        Just("\u{0}\r\n".to_owned()),
        Just("http://[::ffff:169.254.169.254]/".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_]{0,6}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

const FIELDS: [(&str, &str); 34] = [
    ("name", ""),
    ("kind", ""),
    ("target", ""),
    ("interval", ""),
    ("timeout", ""),
    ("regions", ""),
    ("assert", ""),
    ("invert", ""),
    ("notify", ""),
    ("labels", ""),
    ("enabled", ""),
    ("http", "method"),
    ("http", "headers"),
    ("http", "body"),
    ("http", "redirects"),
    ("http", "version"),
    ("http", "auth"),
    ("http", "proxy"),
    ("http", "body_limit"),
    ("tcp", "steps"),
    ("icmp", "packets"),
    ("icmp", "spacing"),
    ("dns", "server"),
    ("tls", "pins"),
    ("tls", "ca"),
    ("network", "addresses"),
    ("expect", "status"),
    ("expect", "body_regex"),
    ("expect", "headers"),
    ("expect", "answers"),
    ("expect", "rcode"),
    ("warn", "latency"),
    ("policy", "quorum"),
    ("policy", "stale_after"),
];

proptest! {
    /// Whatever stands in whichever fields, there is a monitor or a list of problems with names.
    #[test]
    fn no_specification_panics(
        kind in proptest::sample::select(Kind::ALL.to_vec()),
        fields in proptest::collection::vec((proptest::sample::select(FIELDS.to_vec()), odd()), 1..4),
    ) {
        let mut spec = minimal(kind);
        for ((section, field), value) in fields {
            if field.is_empty() {
                spec[section] = value;
            } else {
                spec[section] = json!({ field: value });
            }
        }
        if let Err(problems) = MonitorSpec::from_json(spec.to_string().as_bytes()) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| !problem.rule.is_empty()));
        }
    }
}

fn found(spec: Value) -> Vec<String> {
    match MonitorSpec::from_json(spec.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn days_of_a_certificate_are_refused_where_none_is_seen() {
    let rule = "must be absent where no TLS is spoken";
    for (section, field) in
        [("expect", "certificate_days"), ("expect", "chain_days"), ("warn", "chain_days")]
    {
        let mut spec = json!({ "name": "a", "kind": "tcp", "target": "a.example:25" });
        spec[section] = json!({ field: 7 });
        assert_eq!(found(spec.clone()), [format!("{section}.{field} {rule}")]);
        spec["tcp"] = json!({ "tls": true });
        assert_eq!(found(spec.clone()), Vec::<String>::new());
        spec["tcp"] = json!({ "steps": ["starttls"] });
        assert_eq!(found(spec), Vec::<String>::new());
    }
}

#[test]
fn patterns_have_one_budget_together() {
    let rule = "must leave all regular expressions of the monitor within 64, 4096 bytes \
                as written and 1 MiB compiled";
    let http = |expect: Value, assert: Value| {
        let target = "https://example.com";
        found(json!({ "name": "a", "target": target, "expect": expect, "assert": assert }))
    };
    let headers = |count: usize, pattern: &str| {
        let header = |n| (format!("x-{n:02}"), json!(pattern));
        Value::from((0..count).map(header).collect::<serde_json::Map<_, _>>())
    };
    let good = http(json!({ "headers": headers(63, "a+"), "body_regex": "a" }), json!([]));
    assert_eq!(good, Vec::<String>::new());
    let matches = "response.body.matches('a') || response.body.matches('b')";
    for (expect, assert, field) in [
        (
            json!({ "headers": headers(64, "a+"), "body_regex": "a" }),
            json!([]),
            "expect.headers.x-63",
        ),
        (json!({ "headers": headers(63, "a+") }), json!(["true", matches]), "assert[1]"),
        (json!({ "headers": headers(9, &"a".repeat(500)) }), json!([]), "expect.headers.x-08"),
        (json!({ "headers": headers(60, r"\w{9}") }), json!([]), "expect.headers.x"),
    ] {
        let found = http(expect, assert);
        let [only] = &*found else { panic!("{field}: {found:?}") };
        assert!(only.starts_with(field) && only.ends_with(rule), "{field}: {only}");
    }
    let step = json!({ "expect_regex": "a".repeat(1_000) });
    let steps = json!({ "steps": vec![step; 5] });
    let tcp = json!({ "name": "a", "kind": "tcp", "target": "a.example:25", "tcp": steps });
    assert_eq!(found(tcp), [format!("tcp.steps[4] {rule}")]);
}
