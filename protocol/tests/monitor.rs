//! Monitors as people write them, and every mistake with the field and the rule it breaks.

use hyperverge_protocol::duration::Span;
use hyperverge_protocol::monitor::{MonitorSpec, Quorum};
use proptest::prelude::*;
use serde_json::{Value, json};

fn minimal() -> Value {
    json!({ "name": "checkout-api", "target": "https://api.example.com/health" })
}

/// The minimal monitor with `value` laid over it at a JSON pointer's place.
fn with(pointer: &str, value: Value) -> Value {
    let mut spec = minimal();
    let mut place = &mut spec;
    for key in pointer.split('/') {
        place = &mut place[key];
    }
    *place = value;
    spec
}

/// What is wrong with a monitor, as `field rule` sentences.
fn problems(spec: &Value) -> Vec<String> {
    match MonitorSpec::from_json(&serde_json::to_vec(spec).expect("JSON")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn refused(pointer: &str, value: Value, sentence: &str) {
    let found = problems(&with(pointer, value.clone()));
    assert!(
        found.iter().any(|problem| problem == sentence),
        "{pointer} = {value}: wanted {sentence:?}, found {found:?}"
    );
}

fn accepted(pointer: &str, value: Value) {
    let found = problems(&with(pointer, value.clone()));
    assert!(found.is_empty(), "{pointer} = {value}: {found:?}");
}

#[test]
fn a_name_and_a_target_are_enough() {
    let spec = MonitorSpec::from_json(minimal().to_string().as_bytes()).expect("good");
    assert_eq!(spec.interval, Span::from_secs(60));
    assert_eq!(spec.timeout(), Span::from_secs(10));
    assert_eq!(spec.stale_after(), Span::from_secs(180));
    assert_eq!(spec.policy.quorum, Quorum::Majority);
    assert!(spec.every_region() && spec.enabled && spec.http.verify);
    let again = MonitorSpec::from_json(&serde_json::to_vec(&spec).expect("JSON")).expect("good");
    assert_eq!(again, spec);
}

#[test]
fn a_full_monitor_is_taken_as_written() {
    let spec = json!({
        "name": "checkout-api", "kind": "http", "target": "https://api.example.com/health",
        "interval": "30s", "timeout": "10s", "regions": ["eu-west", "us-east"],
        "http": { "method": "POST", "headers": { "Accept": "text/html", "User-Agent": "" },
                  "body": "{}", "redirects": 0, "verify": false },
        "expect": { "status": ["200-299", "404"], "latency": "2s", "body": "ok", "certificate_days": 7 },
        "warn": { "latency": "800ms", "certificate_days": 30 },
        "invert": true,
        "policy": { "quorum": { "count": 2 }, "fail_after": 3, "recover_after": 1, "stale_after": "5m" },
        "notify": ["payments-oncall"], "labels": { "team": "payments" }, "enabled": false
    });
    assert_eq!(problems(&spec), Vec::<String>::new());
}

#[test]
fn a_wrong_shape_names_its_dotted_field() {
    refused("timeuot", json!("10s"), "timeuot is not a known field; did you mean `timeout`?");
    refused("zzz", json!(1), "zzz is not a known field");
    refused("http/metod", json!("GET"), "http.metod is not a known field; did you mean `method`?");
    refused(
        "policy/fail_after",
        json!("two"),
        "policy.fail_after must be a whole number of 0 to 4294967295, not a string",
    );
    refused(
        "policy/fail_after",
        json!(-1),
        "policy.fail_after must be a whole number of 0 to 4294967295",
    );
    refused(
        "policy/quorum",
        json!("most"),
        "policy.quorum must be one of `any`, `majority`, `all`, `count`",
    );
    refused("http/redirects", json!(300), "http.redirects must be a whole number of 0 to 255");
    refused(
        "http/method",
        json!("BREW"),
        "http.method must be one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS`",
    );
    refused("regions", json!("eu-west"), "regions must be a list, not a string");
    refused("regions", json!(["eu-west", 7]), "regions[1] must be a string, not a whole number");
    refused("labels", json!({ "team": null }), "labels.team must be a string, not null");
    refused("labels", json!([]), "labels must be an object, not a list");
    refused("http", json!([]), "http must be an object, not a list");
    refused("enabled", json!("yes"), "enabled must be a boolean, not a string");
    refused("kind", json!("telepathy"), "kind must be one of `http`, `tcp`, `icmp`, `dns`, `tls`");
    refused("target", json!(null), "target must be a string, not null");
    refused(
        "expect/status",
        json!(["2xx"]),
        "expect.status[0] must be a status such as 204 or a range such as 200-299, within 100-599",
    );
    assert_eq!(problems(&json!({ "target": "https://example.com" })), ["name must be given"]);
    assert_eq!(problems(&json!([])), [" must be an object, not a list"]);
}

#[test]
fn a_text_that_is_no_json_says_where_it_breaks() {
    let first = |text: &[u8]| MonitorSpec::from_json(text).expect_err("refused").remove(0);
    let double = first(br#"{"name": "a", "name": "b", "target": "https://example.com"}"#);
    assert_eq!((double.field.as_str(), double.rule.as_str()), ("name", "must be given once"));
    let deep = [b"{\"labels\":".to_vec(), vec![b'['; 100_000]].concat();
    for (text, words) in [
        (&b"{"[..], "must be JSON: EOF while parsing an object at line 1 column 1"),
        (b"", "must be JSON: EOF"),
        (b"{} x", "must be given"),
        (
            b"{\"name\": \"a\", \"target\": \"https://example.com\"} x",
            "must be JSON: trailing characters",
        ),
        (b"\xff", "must be JSON"),
        (b"{\"interval\": 1e400}", "must be JSON: number out of range"),
        (b"{\"interval\": NaN}", "must be JSON"),
        (&deep, "must be"),
    ] {
        assert!(first(text).rule.contains(words), "{}", first(text));
    }
}

#[test]
fn times_have_a_floor_and_a_ceiling() {
    let unit = "must be a whole number and a unit (ms, s, m, h or d), such as 500ms or 30s";
    for value in ["", "30", "-1s", "1.5s", "NaN", "1e400s", "inf", "99999999999999999999s"] {
        refused("interval", json!(value), &format!("interval {unit}"));
        refused("timeout", json!(value), &format!("timeout {unit}"));
    }
    refused("interval", json!(30), "interval must be a string, not a whole number");
    refused("interval", json!("999ms"), "interval must be at least 1s");
    refused("interval", json!("0s"), "interval must be at least 1s");
    refused("interval", json!("1441m"), "interval must be at most 24h");
    refused("timeout", json!("99ms"), "timeout must be at least 100ms");
    refused("timeout", json!("61s"), "timeout must be at most the interval (1m)");
    refused("expect/latency", json!("11s"), "expect.latency must be at most the timeout (10s)");
    refused("warn/latency", json!("0ms"), "warn.latency must be more than 0");
    refused(
        "policy/stale_after",
        json!("119s"),
        "policy.stale_after must be at least two intervals and at most 7d",
    );
    for interval in ["1s", "24h", "1d", "1000ms"] {
        accepted("interval", json!(interval));
    }
    accepted("timeout", json!("60s"));
    accepted("timeout", json!("100ms"));
    let mut seldom = with("timeout", json!("61s"));
    seldom["interval"] = json!("5m");
    assert_eq!(problems(&seldom), ["timeout must be at most 60s"]);
}

#[test]
fn a_target_has_a_port_where_its_kind_has_none() {
    for kind in ["tcp", "tls"] {
        let spec = |target: &str| json!({ "name": "a", "kind": kind, "target": target });
        assert_eq!(problems(&spec("db.example.com:1")), Vec::<String>::new());
        assert_eq!(
            problems(&spec("db.example.com")),
            ["target must name a port, such as db.example.com:5432"]
        );
    }
    let spec = |target: &str| json!({ "name": "a", "kind": "icmp", "target": target });
    assert_eq!(problems(&spec("db.example.com")), Vec::<String>::new());
    assert_eq!(problems(&spec("db.example.com:1")), ["target must be a host without a port"]);
}

#[test]
fn targets_that_nothing_may_reach() {
    for (target, rule) in [
        ("not a url", "must not contain control characters, white space or %00"),
        (
            "example.com",
            "must be an absolute http or https URL, such as https://example.com/health",
        ),
        ("file:///etc/passwd", "must have the scheme http or https"),
        ("gopher://example.com/", "must have the scheme http or https"),
        ("https://user:secret@example.com/", "must not carry a user name or password"),
        ("https:///path", "must name a host right after the two slashes"),
        ("http://169.254.169.254/latest/meta-data/", "must not be a cloud metadata service"),
        ("http://2852039166/", "must not be a cloud metadata service"),
        ("http://[::ffff:a9fe:a9fe]/", "must not be a cloud metadata service"),
        ("http://metadata.google.internal/", "must not be a cloud metadata service"),
    ] {
        refused("target", json!(target), &format!("target {rule}"));
    }
    refused(
        "target",
        json!(format!("https://example.com/{}", "a".repeat(2_048))),
        "target must be at most 2048 bytes",
    );
    // Whether a private address may be reached is the agent's host's own rule.
    accepted("target", json!("http://10.0.0.1:8080/health"));
    accepted("target", json!("http://localhost:8080/"));
}

#[test]
fn names_and_lists() {
    let slug =
        "must be 1 to 63 of a-z, 0-9 and hyphens, neither beginning nor ending with a hyphen";
    for name in ["", "-a", "a-", "Checkout", "a b", "a/b", "é", "a\n", &"a".repeat(64)] {
        refused("name", json!(name), &format!("name {slug}"));
    }
    accepted("name", json!("a".repeat(63)));
    refused("regions", json!([]), "regions must name 1 to 64 regions, or [\"*\"]");
    refused("regions", json!(vec!["a"; 65]), "regions must name 1 to 64 regions, or [\"*\"]");
    refused(
        "regions",
        json!(["*", "eu"]),
        "regions must be [\"*\"] alone when it means every region",
    );
    refused("regions", json!(["eu", "eu"]), "regions[1] must not repeat");
    refused("regions", json!(["EU"]), &format!("regions[0] {slug}"));
    refused("notify", json!(["a", "a"]), "notify[1] must not repeat");
    refused("notify", json!(["A"]), &format!("notify[0] {slug}"));
    refused("notify", json!(vec!["a"; 33]), "notify must be at most 32 channels");
    let labels = |count: usize| -> serde_json::Map<String, Value> {
        (0..count).map(|n| (format!("label-{n}"), json!("x"))).collect()
    };
    accepted("labels", json!(labels(32)));
    refused("labels", json!(labels(33)), "labels must be at most 32 labels");
    refused(
        "labels",
        json!({ "team": "" }),
        "labels.team must have a name and a value of 1 to 63 bytes without control characters",
    );
    refused(
        "policy/quorum",
        json!({ "count": 0 }),
        "policy.quorum must count at least 1 and at most the regions named",
    );
    refused("policy/fail_after", json!(0), "policy.fail_after must be 1 to 100");
    refused("policy/recover_after", json!(101), "policy.recover_after must be 1 to 100");
    accepted("policy", json!({ "confirm": false, "flap": { "changes": 0 } }));
    accepted("policy/flap", json!({ "changes": 32, "within": "24h", "settle": "1s" }));
    for changes in [1, 33] {
        let rule = "policy.flap.changes must be 2 to 32, or 0 for never";
        refused("policy/flap", json!({ "changes": changes }), rule);
    }
    refused("policy/flap", json!({ "within": "59s" }), "policy.flap.within must be 1m to 24h");
    refused("policy/flap", json!({ "settle": "25h" }), "policy.flap.settle must be 1s to 24h");
    accepted("depends_on", json!(["edge-gateway"]));
    refused("depends_on", json!(["a", "a"]), "depends_on[1] must not repeat");
    refused("depends_on", json!(["Edge"]), &format!("depends_on[0] {slug}"));
    refused(
        "depends_on",
        json!([minimal()["name"]]),
        "depends_on[0] must not be the monitor itself",
    );
    refused("depends_on", json!(vec!["a"; 17]), "depends_on must be at most 16 monitors");
    let mut two = with("policy/quorum", json!({ "count": 3 }));
    two["regions"] = json!(["a", "b"]);
    assert_eq!(
        problems(&two),
        ["policy.quorum must count at least 1 and at most the regions named"]
    );
}

#[test]
fn headers_cannot_split_frame_or_route_the_request() {
    for name in [
        "Host",
        "host",
        "Transfer-Encoding",
        "Content-Length",
        "Proxy-Authorization",
        "Connection",
        "TE",
        "Upgrade",
        "Expect",
    ] {
        refused(
            "http/headers",
            json!({ name: "x" }),
            &format!("http.headers.{name} must not be a header that frames or routes the message"),
        );
    }
    for name in ["", "a b", "a:b", "a\r\nb", "ü", "a\0"] {
        refused(
            "http/headers",
            json!({ name: "x" }),
            &format!("http.headers.{name} must be a header name (RFC 9110 token)"),
        );
    }
    for value in ["a\r\nHost: internal", "a\nb", "\0", "\u{7f}"] {
        refused(
            "http/headers",
            json!({ "X-A": value }),
            "http.headers.X-A must have a value without control characters",
        );
    }
    refused(
        "http/headers",
        json!({ "X-A": "1", "x-a": "2" }),
        "http.headers.x-a must not repeat a header in other letters",
    );
    refused(
        "http/headers",
        json!({ "X-A": "a".repeat(1_000_000) }),
        "http.headers must be at most 16384 bytes together",
    );
    let many: serde_json::Map<String, Value> =
        (0..10_000).map(|n| (format!("x-{n}"), json!("1"))).collect();
    assert_eq!(
        problems(&with("http/headers", json!(many))),
        ["http.headers must be at most 64 headers"],
        "one problem, not ten thousand"
    );
    accepted("http/headers", json!({ "User-Agent": "", "Accept": "a,\tb", "X-Emoji": "é" }));
}

#[test]
fn bodies_and_expectations() {
    refused("http/body", json!("x"), "http.body must be absent with GET and HEAD");
    let mut post = with("http/body", json!("x".repeat(64 * 1024 + 1)));
    post["http"]["method"] = json!("POST");
    assert_eq!(problems(&post), ["http.body must be at most 65536 bytes"]);
    refused("http/redirects", json!(11), "http.redirects must be at most 10");
    refused("expect/status", json!([]), "expect.status must hold 1 to 32 ranges");
    refused("expect/body", json!(""), "expect.body must be 1 to 1024 bytes");
    let mut head = with("expect/body", json!("ok"));
    head["http"] = json!({ "method": "HEAD" });
    assert_eq!(problems(&head), ["expect.body must be absent with HEAD, whose answer has no body"]);
    refused("expect/certificate_days", json!(0), "expect.certificate_days must be 1 to 3650");
    refused("warn/certificate_days", json!(3651), "warn.certificate_days must be 1 to 3650");
}

#[test]
fn every_broken_rule_is_named_at_once() {
    let found =
        problems(&json!({ "name": "A", "target": "ftp://x", "interval": "1ms", "regions": [] }));
    for field in ["name ", "target ", "interval ", "regions "] {
        assert!(found.iter().any(|p| p.starts_with(field)), "{field}: {found:?}");
    }
}

proptest! {
    /// Whatever arrives, the answer is a monitor or a list of problems.
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Err(problems) = MonitorSpec::from_json(&bytes) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn an_accepted_monitor_survives_its_own_text(interval in 1u64..86_400, redirects in 0u8..=10, status in 100u16..600, tail in "[a-z0-9/?=&.-]{0,20}") {
        let spec = json!({
            "name": "a", "target": format!("https://example.com/{tail}"), "interval": format!("{interval}s"),
            "http": { "redirects": redirects }, "expect": { "status": [status.to_string()] },
        });
        let read = MonitorSpec::from_json(spec.to_string().as_bytes());
        let read = read.map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
        let again = MonitorSpec::from_json(&serde_json::to_vec(&read).expect("JSON"));
        prop_assert_eq!(again, Ok(read));
    }
}

#[test]
fn addresses_keep_to_the_family() {
    accepted("network", json!({ "family": "ipv4", "addresses": ["192.0.2.1", "10.0.0.1"] }));
    accepted("network", json!({ "addresses": ["192.0.2.1", "2001:db8::1"] }));
    let many: Vec<String> = (0..17).map(|n| format!("192.0.2.{n}")).collect();
    refused("network/addresses", json!(many), "network.addresses must be at most 16 addresses");
    refused(
        "network",
        json!({ "family": "ipv6", "addresses": ["192.0.2.1"] }),
        "network.addresses[0] must be an IPv6 address, as network.family says",
    );
    refused(
        "network/addresses",
        json!(["192.0.2.1", "192.0.2.1"]),
        "network.addresses[1] must not repeat",
    );
    for metadata in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"] {
        refused(
            "network/addresses",
            json!([metadata]),
            "network.addresses[0] must not be a cloud metadata service",
        );
    }
}

#[test]
fn a_version_must_be_possible() {
    for version in ["auto", "1.1", "2", "3"] {
        accepted("http", json!({ "version": version }));
    }
    let plain = |version: &str| {
        let mut spec = with("http", json!({ "version": version }));
        spec["target"] = json!("http://api.example.com/");
        problems(&spec)
    };
    assert_eq!(plain("2"), Vec::<String>::new());
    assert_eq!(plain("3"), ["http.version must not be 3 unless the target is https"]);
    refused(
        "http",
        json!({ "version": "1.0" }),
        "http.version must be one of `auto`, `1.1`, `2`, `3`",
    );
}

#[test]
fn credentials_cannot_split_the_request() {
    accepted("http", json!({ "auth": { "basic": { "username": "", "password": "p:\u{e4}" } } }));
    accepted("http", json!({ "auth": { "bearer": "abc.DEF-_~+/==" } }));
    for username in ["a:b", "a\r\nX: 1", "\u{0}", &"x".repeat(4_097)] {
        refused(
            "http",
            json!({ "auth": { "basic": { "username": username, "password": "" } } }),
            "http.auth.basic.username must be at most 4096 bytes without control characters or a colon",
        );
    }
    refused(
        "http",
        json!({ "auth": { "basic": { "username": "", "password": "\n" } } }),
        "http.auth.basic.password must be at most 4096 bytes without control characters",
    );
    for token in ["", "a b", "a\r\n", "\u{e4}", &"x".repeat(4_097)] {
        refused(
            "http",
            json!({ "auth": { "bearer": token } }),
            "http.auth.bearer must be 1 to 4096 letters, digits and -._~+/=",
        );
    }
    refused(
        "http",
        json!({ "auth": { "bearer": "t" }, "headers": { "AUTHORIZATION": "x" } }),
        "http.auth must be absent when http.headers hold Authorization",
    );
}

#[test]
fn a_proxy_is_a_url_without_a_path() {
    for proxy in ["http://proxy:3128", "https://u:p@proxy.example.com:443", "socks5://[::1]:1080/"]
    {
        accepted("http", json!({ "proxy": proxy }));
    }
    refused(
        "http",
        json!({ "proxy": "proxy:3128" }),
        "http.proxy must be http://, https:// or socks5:// with a host and a port, such as http://proxy.example.com:3128",
    );
    refused(
        "http",
        json!({ "proxy": "http://169.254.169.254:80" }),
        "http.proxy must not be a cloud metadata service",
    );
    refused(
        "http",
        json!({ "proxy": format!("http://{}:1", "x".repeat(2_048)) }),
        "http.proxy must be at most 2048 bytes",
    );
    refused(
        "http",
        json!({ "proxy": "http://proxy:3128", "version": "3" }),
        "http.proxy must be absent with http.version 3, which no proxy carries",
    );
    let mut spec = with("http", json!({ "proxy": "http://proxy:3128" }));
    spec["network"] = json!({ "addresses": ["192.0.2.1"] });
    assert_eq!(
        problems(&spec),
        ["network.addresses must be absent with http.proxy, which looks the target up itself"]
    );
    let mut spec = with("http", json!({ "proxy": "http://proxy:3128", "version": "2" }));
    spec["target"] = json!("http://api.example.com/");
    assert_eq!(problems(&spec), ["http.proxy must be socks5:// for http.version 2 without TLS"]);
}

#[test]
fn a_body_limit_has_a_ceiling() {
    for limit in [1, 65_536, 1_048_576] {
        accepted("http", json!({ "body_limit": limit }));
    }
    for limit in [0, 1_048_577, u32::MAX] {
        refused(
            "http",
            json!({ "body_limit": limit }),
            "http.body_limit must be 1 to 1048576 bytes",
        );
    }
}

#[test]
fn echo_requests_fit_into_the_timeout() {
    let with = |icmp: Value, more: Value| {
        let mut spec =
            json!({ "name": "gate", "kind": "icmp", "target": "gate.example", "icmp": icmp });
        for (key, value) in more.as_object().expect("an object") {
            spec[key] = value.clone();
        }
        problems(&spec)
    };
    let none = json!({});
    for good in [
        json!({}),
        json!({ "packets": 100, "spacing": "100ms" }),
        json!({ "packets": 1, "spacing": "10s", "size": 16, "ttl": 1, "dont_fragment": true }),
        json!({ "packets": 2, "spacing": "10ms", "size": 1472, "ttl": 255 }),
    ] {
        assert_eq!(with(good.clone(), none.clone()), Vec::<String>::new(), "{good}");
    }
    for (icmp, says) in [
        (json!({ "packets": 0 }), "icmp.packets must be 1 to 100"),
        (json!({ "packets": 101, "spacing": "10ms" }), "icmp.packets must be 1 to 100"),
        (json!({ "spacing": "9ms" }), "icmp.spacing must be 10ms to 10s"),
        (json!({ "packets": 1, "spacing": "11s" }), "icmp.spacing must be 10ms to 10s"),
        (
            json!({ "packets": 100, "spacing": "101ms" }),
            "icmp.packets must, times icmp.spacing (101ms), fit into the timeout (10s)",
        ),
        (json!({ "size": 15 }), "icmp.size must be 16 to 1472"),
        (json!({ "size": 1473 }), "icmp.size must be 16 to 1472"),
        (json!({ "ttl": 0 }), "icmp.ttl must be 1 to 255"),
    ] {
        let found = with(icmp.clone(), none.clone());
        assert!(found.iter().any(|problem| problem == says), "{icmp}: {found:?}");
    }
    for (rules, says) in [
        (json!({ "loss": 100 }), "expect.loss must be 0 to 99"),
        (json!({ "jitter": "0s" }), "expect.jitter must be more than 0"),
        (json!({ "jitter": "11s" }), "expect.jitter must be at most the timeout (10s)"),
    ] {
        assert_eq!(with(json!({}), json!({ "expect": rules })), [says]);
        let says = says.replace("expect", "warn");
        assert_eq!(with(json!({}), json!({ "warn": rules })), [says]);
    }
    assert_eq!(
        with(json!({ "packets": 1 }), json!({ "expect": { "jitter": "1ms" } })),
        ["expect.jitter must be absent unless icmp.packets is at least 2"]
    );
}

#[test]
fn a_value_that_cannot_be_read_is_not_quoted() {
    for (pointer, value) in [
        ("http/body", json!(["s3cret, expected s3cret"])),
        ("http/auth", json!("s3cret, expected s3cret")),
        ("http/auth", json!({ "s3cret, expected s3cret": 1 })),
        ("http/headers", json!("s3cret")),
        ("http/redirects", json!("s3cret, expected s3cret")),
        ("http/version", json!("s3cret, expected s3cret")),
        ("interval", json!("s3cret")),
        ("network/addresses", json!(["s3cret"])),
        ("expect/status", json!(["s3cret"])),
        ("tcp/steps", json!([{ "s3cret": "s3cret" }])),
        ("tls/min_version", json!("s3cret")),
        ("dns/record", json!("s3cret")),
    ] {
        for problem in problems(&with(pointer, value.clone())) {
            let (_, rule) = problem.split_once(' ').expect("a field and its rule");
            let told = rule.contains("s3cret");
            assert!(!told && rule.starts_with("must "), "{pointer} = {value}: {problem:?}");
        }
    }
}

#[test]
fn the_family_allows_the_address_that_is_written_out() {
    let found = |kind: &str, target: &str, more: Value| {
        let mut spec = json!({ "name": "a", "kind": kind, "target": target });
        for (key, value) in more.as_object().expect("sections") {
            spec[key] = value.clone();
        }
        problems(&spec)
    };
    let (v4, v6) = (json!({ "family": "ipv4" }), json!({ "family": "ipv6" }));
    let proxied = |proxy: &str| json!({ "http": { "proxy": proxy }, "network": v6 });
    let asked = |server: &str| json!({ "dns": { "server": server }, "network": v6 });
    for (kind, target, more, field) in [
        ("http", "http://192.0.2.1/", json!({ "network": v6 }), "target"),
        ("http", "https://[2001:db8::1]:8443/", json!({ "network": v4 }), "target"),
        ("tcp", "192.0.2.1:25", json!({ "network": v6 }), "target"),
        ("tls", "[2001:db8::1]:443", json!({ "network": v4 }), "target"),
        ("icmp", "192.0.2.1", json!({ "network": v6 }), "target"),
        ("http", "https://example.com", proxied("http://192.0.2.1:3128"), "http.proxy"),
        ("dns", "example.com", asked("192.0.2.1:53"), "dns.server"),
    ] {
        let says = format!("network.family must allow the address that {field} names");
        assert_eq!(found(kind, target, more), [says], "{kind} {target}");
    }
    let moved = json!({ "network": { "family": "ipv6", "addresses": ["2001:db8::1"] } });
    for (kind, target, more) in [
        ("http", "http://192.0.2.1/", json!({ "network": v4 })),
        ("http", "http://example.com/", json!({ "network": v6 })),
        ("http", "http://192.0.2.1/", moved),
        ("http", "http://192.0.2.1/", proxied("http://[2001:db8::1]:3128")),
        ("dns", "example.com", asked("[2001:db8::1]:53")),
    ] {
        assert_eq!(found(kind, target, more), Vec::<String>::new(), "{kind} {target}");
    }
}
