//! Assertions as people write them, what they say when they do not hold, and
//! what is refused before it can cost anything.

use hyperverge_protocol::expression::{Expression, Facts, Rule, Uses};
use hyperverge_protocol::limits;
use hyperverge_protocol::monitor::Kind;
use hyperverge_protocol::outcome::{
    Details, DnsFacts, HttpFacts, IcmpFacts, Observation, Outcome, TlsFacts,
};
use std::time::Duration;

const BODY: &str = r#"{
    "status": "degraded", "count": 7, "price": 9.5, "huge": 18446744073709551615,
    "nothing": null, "on": true, "items": [{"id": 1, "ok": true}, {"id": 2, "ok": false}],
    "tags": ["a", "b"], "a-b": {"c": "x"}
}"#;

fn seen() -> Observation {
    let mut seen = Observation::bare(Outcome::Ok, None, "");
    seen.status = Some(200);
    seen.body_bytes = BODY.len() as u64;
    seen.phases.connect = Some(Duration::from_micros(1_500));
    seen.phases.processing = Some(Duration::from_millis(20));
    seen.certificate_expires_s = Some(10 * 86_400);
    let details = seen.details_mut();
    details.http = Some(HttpFacts { version: "1.1".to_owned() });
    details.tls = Some(TlsFacts {
        version: "1.3".to_owned(),
        subject: "example.com".to_owned(),
        chain_expires_s: 5 * 86_400,
        ..TlsFacts::default()
    });
    seen
}

fn headers() -> Vec<(String, String)> {
    [("content-type", "application/json"), ("vary", "a"), ("vary", "b"), ("server", "x")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

fn judged_with(source: &str, body: &[u8]) -> Result<(), String> {
    let expression =
        Expression::parse(source, Kind::Http).unwrap_or_else(|rule| panic!("{source} {rule}"));
    let (seen, headers) = (seen(), headers());
    expression.judge(&Facts::new(&seen, &headers, body, false, 0))
}

fn judged(source: &str) -> Result<(), String> {
    judged_with(source, BODY.as_bytes())
}

fn refused(source: &str) -> String {
    Expression::parse(source, Kind::Http).expect_err(source).to_string()
}

#[test]
fn what_holds() {
    for source in [
        "response.status == 200",
        "response.status in [200, 204]",
        "response.status >= 200 && response.status < 300",
        r#"response.json().status == "degraded""#,
        r#"response.json()["a-b"].c == 'x'"#,
        "response.json().count + 1 > 5",
        "response.json().count == 7 && response.json().count == 7.0 && response.json().count > 5.0",
        "response.json().count * 2 - 1 == 13 && -response.json().count == -7",
        "response.json().price * 2 == 19 && response.json().price / 2 > 4",
        "response.json().huge > 9223372036854775807 && response.json().huge == 18446744073709551615u",
        "response.json().count / 2 == 3 && response.json().count % 4 == 3",
        "response.json().nothing == null && response.json().on",
        "has(response.json().status) && !has(response.json().state)",
        "size(response.json().items) == 2 && response.json().tags.size() == 2",
        "response.json().items[0].id == 1 && response.json().items[1u].id == 2",
        "response.json().items.exists(i, !i.ok) && !response.json().items.all(i, i.ok)",
        "response.json().items.exists_one(i, i.id == 2)",
        "response.json().items.map(i, i.id) == [1, 2]",
        "response.json().items.filter(i, i.ok).map(i, i.id * 10) == [10]",
        "response.json().items.map(i, i.ok, i.id) == [1]",
        "response.json().items.all(i, response.json().tags.all(t, size(t) == i.id / i.id))",
        r#"response.json().all(name, name != "error")"#,
        r#""a" in response.json().tags && "status" in response.json()"#,
        r#"response.body.contains("degraded") && response.body.startsWith("{")"#,
        r#"response.body.matches("\"count\":\\s*7\\b")"#,
        r#"response.body.matches(r'"count":\s*[0-9]+')"#,
        r#"response.headers["content-type"] == "application/json""#,
        r#"response.headers["Content-Type"].endsWith("json") && response.headers.vary == "a, b""#,
        r#""server" in response.headers && !("x-y" in response.headers)"#,
        r#"response.version == "1.1" && response.size > 100 && response.redirects == 0"#,
        "phases.connect == 1.5 && phases.total == 21.5 && phases.total < 100",
        "!has(phases.tls) && has(phases.connect)",
        "certificate.days_left == 10 && certificate.chain_days_left == 5",
        r#"certificate.subject == "example.com" && tls.version == "1.3""#,
        r#"int("7") == 7 && string(7) == "7" && double("1.5") == 1.5 && uint(7) == 7"#,
        r#"" A b ".trim().lowerAscii() == "a b" && "x".upperAscii() == "X""#,
        r#"(response.status == 200 ? "a" : "b") == "a""#,
        r#"1 != "1" && [1, "a"] == [1.0, "a"] && {"a": 1} == {"a": 1.0}"#,
        "true || response.json().gone == 1",
        "response.json().gone == 1 || true",
        "'é'.size() == 1 && \"\\u00e9\" == 'é'",
    ] {
        assert_eq!(judged(source), Ok(()), "{source}");
    }
}

#[test]
fn what_does_not_hold_names_the_expression_and_the_values_it_saw() {
    let says = |source: &str| judged(source).expect_err(source);
    assert_eq!(
        says(r#"response.json().status == "ok""#),
        r#"`response.json().status == "ok"` is false: response.json().status is "degraded""#
    );
    assert_eq!(
        says("response.json().items.all(i, i.ok)"),
        "`response.json().items.all(i, i.ok)` is false: response.json().items is a list of 2"
    );
    assert_eq!(
        says(r#"response.headers["vary"] == response.json().items[0].id"#),
        r#"`response.headers["vary"] == response.json().items[0].id` is false: response.headers["vary"] is "a, b", response.json().items[0].id is 1"#
    );
    assert_eq!(
        says(r#"response.body.contains("secret")"#),
        format!(
            r#"`response.body.contains("secret")` is false: response.body is a text of {} bytes"#,
            BODY.len()
        )
    );
    assert_eq!(
        says("phases.total < 20 || has(phases.tls)"),
        "`phases.total < 20 || has(phases.tls)` is false: phases.total is 21.5"
    );
    assert_eq!(says("1 == 2"), "`1 == 2` is false");
    let long = judged_with(
        r#"response.json().a == "b""#,
        format!(r#"{{"a": "{}\n\u0007"}}"#, "x".repeat(10_000)).as_bytes(),
    )
    .expect_err("false");
    assert!(long.len() < 200 && long.ends_with("x\u{2026}\""), "{long}");
    let control = judged_with(r#"response.json().a == "b""#, br#"{"a": "\u001b[31m\n"}"#);
    assert!(!control.expect_err("false").contains(char::is_control));
}

#[test]
fn what_cannot_be_evaluated_fails_in_plain_words() {
    let says = |source: &str| {
        let message = judged(source).expect_err(source);
        let prefix = format!("`{source}` has no value: ");
        message.strip_prefix(&prefix).unwrap_or_else(|| panic!("{message}")).to_owned()
    };
    assert_eq!(says("response.json().gone == 1"), "response.json().gone is not there");
    assert_eq!(says("response.headers.etag == ''"), "response.headers.etag is not there");
    assert_eq!(says("phases.tls < 100"), "phases.tls is not there");
    assert_eq!(
        says("response.json().items[2].ok"),
        "response.json().items has no element 2, it holds 2"
    );
    assert_eq!(says("response.json().count > 'a'"), "`>` does not apply to a number and a text");
    assert_eq!(
        says("response.json().status + 1 == 2"),
        "`+` does not apply to a text and a number"
    );
    assert_eq!(
        says("response.json().status.size.x"),
        "response.json().status is a text, which has no fields"
    );
    assert_eq!(
        says("response.json().status && true"),
        "response.json().status is a text, not true or false"
    );
    assert_eq!(
        says("!response.json().count"),
        "response.json().count is a number, not true or false"
    );
    assert_eq!(says("response.json().count"), "it is a number, not true or false");
    assert_eq!(
        says("response.json().count.all(x, x)"),
        "response.json().count is a number, which cannot be gone through"
    );
    assert_eq!(says("1 / (response.status - 200) == 1"), "it divides by zero");
    assert_eq!(
        says("response.json().huge * response.json().huge > 1"),
        "`*` goes beyond the largest number"
    );
    assert_eq!(
        says("int(response.json().status) == 1"),
        "`int` does not apply to a text that is no number"
    );
    assert_eq!(says("size(response.json().count) == 1"), "`size` does not apply to a number");
    let html = judged_with("response.json().a == 1", b"<html>").expect_err("no JSON");
    assert!(html.contains("has no value: the body is not JSON (expected value"), "{html}");
    let deep = vec![b'['; 90_000];
    let deep = judged_with("response.json().a == 1", &deep).expect_err("deep");
    assert!(deep.contains("recursion limit"), "{deep}");
    let (seen, body) = (seen(), b"{\"a\":");
    let expression = Expression::parse("response.json().a == 1", Kind::Http).expect("good");
    let cut = expression.judge(&Facts::new(&seen, &[], body, true, 0)).expect_err("cut");
    assert!(cut.ends_with("the body is longer than what was read of it"), "{cut}");
}

#[test]
fn the_facts_of_the_other_kinds() {
    let holds = |kind, source: &str, details: Details| {
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        *seen.details_mut() = details;
        let expression = Expression::parse(source, kind).expect(source);
        assert_eq!(expression.judge(&Facts::new(&seen, &[], b"220 ready", false, 0)), Ok(()));
    };
    let dns = DnsFacts {
        rcode: "NOERROR".to_owned(),
        answers: vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()],
        ttl_s: Some(300),
        authoritative: true,
        truncated: false,
    };
    let dns = Details { dns: Some(dns), ..Details::default() };
    holds(
        Kind::Dns,
        r#"dns.rcode == "NOERROR" && "192.0.2.1" in dns.answers && size(dns.answers) == 2
           && dns.ttl >= 60 && dns.authoritative && !dns.truncated"#,
        dns,
    );
    let icmp = IcmpFacts { sent: 3, received: 2, mean_us: Some(1_500), ..IcmpFacts::default() };
    let icmp = Details { icmp: Some(icmp), ..Details::default() };
    holds(
        Kind::Icmp,
        "icmp.loss <= 34 && icmp.sent == 3 && icmp.received == 2 && icmp.rtt == 1.5 && !has(icmp.jitter)",
        icmp,
    );
    holds(Kind::Tcp, r#"tcp.received.startsWith("220 ")"#, Details::default());
    let of = |kind| Expression::parse("response.status == 200", kind).expect_err("refused");
    assert_eq!(
        of(Kind::Icmp).to_string(),
        "must not use `response.status`, which kind icmp does not have"
    );
}

#[test]
fn a_mistake_is_refused_with_its_rule() {
    assert_eq!(refused(""), "must be 1 to 1024 bytes");
    assert_eq!(refused(&" ".repeat(1_025)), "must be 1 to 1024 bytes");
    assert!(
        refused("response.status ==").starts_with("must be an expression in CEL (line 1, column")
    );
    assert!(refused("   ").starts_with("must be an expression in CEL"));
    assert_eq!(
        refused("response.statsu == 200"),
        "must only use known names: `response.statsu` is none; did you mean `response.status`?"
    );
    assert_eq!(
        refused("respnse.status == 200"),
        "must only use known names and functions: `respnse` is none"
    );
    assert!(
        refused("response == 1")
            .starts_with("must say which field of `response` is meant: status, body")
    );
    assert_eq!(
        refused("response.status"),
        "must be true or false as a whole, such as response.status == 200"
    );
    assert_eq!(
        refused("1 + 1"),
        "must be true or false as a whole, such as response.status == 200"
    );
    assert_eq!(refused("size('a') == size('a', 'b')"), "must call `size` with 1 argument(s)");
    assert_eq!(
        refused("duration('1s') == 1"),
        "must only use known names and functions: `duration()` is none"
    );
    assert_eq!(
        refused("response.body.matches(response.body)"),
        "must give `matches` its pattern as a literal"
    );
    assert_eq!(
        refused("response.body.matches('(')"),
        "must have a good pattern in `matches`, which must be a regular expression: unclosed group"
    );
    assert!(refused("response.body.matches('(a{1000}){1000}')").contains("repetitions multiply"));
    assert!(refused("has(1)").starts_with("must ask for a field with `has`"));
    assert_eq!(
        refused("response.json(1) == 1"),
        "must only use known names and functions: `json()` is none"
    );
    for source in [
        "b'x' == b'x'",
        "Name{a: 1} == 1",
        "a.?b == 1",
        "[?a] == []",
        "`a` == 1",
        "x",
        "[1].all(1, true)",
    ] {
        assert!(Expression::parse(source, Kind::Http).is_err(), "{source}");
    }
}

#[test]
fn only_what_is_used_need_be_kept() {
    let uses = |source: &str| Expression::parse(source, Kind::Http).expect(source).uses();
    assert_eq!(uses("response.status == 200 && response.size > 1"), Uses::default());
    assert_eq!(uses("has(response.json().a)"), Uses { body: true, headers: false });
    assert_eq!(
        uses("response.status == 1 || 'a' in response.headers"),
        Uses { body: false, headers: true }
    );
}

/// What would be a bomb: refused, or cheap, and never more than a worker's stack.
#[test]
fn bombs_are_refused_before_they_cost_anything() {
    let worker = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let judged = worker.spawn(|| {
        let repeated = |text: &str, around: fn(String) -> String| {
            around(text.repeat((limits::ASSERTION_BYTES - 12) / text.len()))
        };
        let nested = |open: &str, inner: &str, close: &str| {
            let times = (limits::ASSERTION_BYTES - inner.len()) / (open.len() + close.len());
            format!("{}{inner}{}", open.repeat(times), close.repeat(times))
        };
        let bombs = [
            "(".repeat(1_000),
            "(".repeat(128),
            "[".repeat(128),
            "{".repeat(128),
            "!(".repeat(128),
            "-[{1:".repeat(128 / 2),
            "1?1:".repeat(128),
            "1?(1?".repeat(128 / 3),
            format!("{}1{}", "1?".repeat(128), ":1".repeat(128)),
            format!("{}1", "1?1:".repeat(128)),
            format!("{}1", "a.b(".repeat(128)),
            nested("(", "1", ")"),
            nested("[", "", "]"),
            nested("{1:", "1", "}"),
            nested("size(", "'a'", ")"),
            nested("[1].all(x,", "true", ")"),
            nested("true?", "true", ":1"),
            repeated("1+", |chain| chain + "1 == 2"),
            repeated("1-", |chain| chain + "1 == 2"),
            repeated(".b", |chain| format!("a{chain}")),
            repeated("[0]", |chain| format!("[0]{chain}")),
            repeated("true?true:", |chain| chain + "true"),
            repeated("1==", |chain| chain + "1"),
            repeated("1<", |chain| chain + "1"),
            repeated("1,", |chain| format!("[{chain}1]")),
            repeated("9", |digits| digits + " == 1"),
            repeated("9", |digits| format!("1e{digits} == 1.0")),
            repeated("a", |name| name + " == 1"),
            repeated("'", |quotes| quotes),
            repeated("\"", |quotes| quotes),
            repeated("\\u", |escapes| format!("'{escapes}'")),
            repeated("}", |brackets| brackets),
            repeated("@", |signs| signs),
            repeated("\u{1f4a3}", |emoji| emoji),
            "[1].all(a, [1].all(b, [1].all(c, true)))".to_owned(),
            "[1].map(a, [1].filter(b, [1].exists(c, true)))".to_owned(),
        ];
        for bomb in bombs {
            assert!(bomb.len() <= limits::ASSERTION_BYTES, "{bomb}");
            assert!(Expression::parse(&bomb, Kind::Http).is_err(), "{bomb}");
        }
        // Pairs of signs cancel out in the parser, and tests are balanced by it.
        for source in [
            repeated("!", |chain| chain + "true"),
            repeated("-", |chain| chain + "1==1"),
            repeated("true&&", |chain| chain + "true"),
            repeated("true||", |chain| chain + "true"),
        ] {
            let parsed = Expression::parse(&source, Kind::Http);
            assert!(matches!(parsed, Ok(_) | Err(Rule::Nodes)), "{parsed:?}");
        }
        let deepest = format!("{}1{} == 1", "(".repeat(20), ")".repeat(20));
        assert!(Expression::parse(&deepest, Kind::Http).is_ok());
        let chain = format!("{}1 > 40", "1 + ".repeat(40));
        let seen = seen();
        let sum = Expression::parse(&chain, Kind::Http).expect("short enough");
        assert_eq!(sum.judge(&Facts::new(&seen, &[], b"", false, 0)), Ok(()));
    });
    judged.expect("a thread").join().expect("no overflow");
}

#[test]
fn an_answer_cannot_make_an_expression_run_on() {
    let given_up = |source: &str, body: &str| {
        let message = judged_with(source, body.as_bytes()).expect_err(source);
        assert!(message.contains("too large for it: given up after 500000 steps"), "{message}");
    };
    let many = format!(r#"{{"l": [{}0]}}"#, "0,".repeat(20_000));
    given_up("response.json().l.all(a, response.json().l.all(b, a == b))", &many);
    given_up("response.json().l.exists(a, response.json().l.exists(b, b == 1))", &many);
    given_up("response.json().l.all(a, response.json().l == response.json().l)", &many);
    given_up("response.json().l.map(a, response.json().l + response.json().l) == []", &many);
    given_up("response.json().l.all(a, !(1 in response.json().l))", &many);
    // The budget is spent for good: neither `||` nor another assertion goes on.
    given_up("response.json().l.all(a, response.json().l.all(b, a == b)) || true", &many);
    let long = format!(r#"{{"l": [{}0], "t": "{}"}}"#, "0,".repeat(1_000), "ab".repeat(200_000));
    given_up("response.json().l.all(a, !response.body.contains('abc'))", &long);
    given_up("response.json().l.all(a, !response.json().t.matches('[ab]{20}c'))", &long);
    given_up("response.json().l.map(a, response.json().t + response.json().t) == []", &long);
    given_up("response.json().l.all(a, response.json().t == response.json().t)", &long);
    let key = "ab".repeat(100_000);
    let zeros = "0,".repeat(1_000);
    let keys = format!(r#"{{"l": [{zeros}0], "k": "{key}", "m": {{"{key}": 1, "{key}c": 2}}}}"#);
    given_up("response.json().l.all(a, response.json().k in response.json().m)", &keys);
    given_up("response.json().l.all(a, response.json().m[response.json().k] == 1)", &keys);
    given_up("response.json().l.all(a, response.json().m == response.json().m)", &keys);
    // What is long without being costly is judged.
    let once = "response.json().m[response.json().k] == 1";
    assert_eq!(judged_with(once, keys.as_bytes()), Ok(()));
    assert_eq!(judged_with("response.json().l.all(a, a == 0)", many.as_bytes()), Ok(()));
    assert_eq!(judged_with("size(response.json().l) == 20001", many.as_bytes()), Ok(()));
}
