//! Random expressions: what ours makes of them is what CEL's own evaluator
//! makes of them, and nothing that can be written panics or runs on.

use cel::{Context, Env, Value};
use hyperverge_protocol::expression::{Expression, Facts};
use hyperverge_protocol::monitor::Kind;
use hyperverge_protocol::outcome::{Observation, Outcome};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// `Some` of the value, `None` where there is none.
fn by_the_standard(source: &str) -> Option<bool> {
    let program = STANDARD.compile(source).unwrap_or_else(|errors| panic!("{source}: {errors}"));
    match program.execute(&Context::with_env(Arc::clone(&STANDARD))) {
        Ok(Value::Bool(value)) => Some(value),
        Ok(other) => panic!("{source} is {other:?}"),
        Err(_) => None,
    }
}

fn by_ours(source: &str) -> Option<bool> {
    let expression =
        Expression::parse(source, Kind::Http).unwrap_or_else(|rule| panic!("{source} {rule}"));
    let seen = Observation::bare(Outcome::Ok, None, "");
    match expression.judge(&Facts::new(&seen, &[], b"", false, 0)) {
        Ok(()) => Some(true),
        Err(message) if message.contains("` is false") => Some(false),
        Err(_) => None,
    }
}

/// Whole numbers; `i` may be a variable of a loop.
fn number(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![4 => (0..6i64).prop_map(|n| n.to_string()), 1 => (0..3i64).prop_map(|n| format!("(-{n})"))];
    if depth == 0 {
        return leaf.boxed();
    }
    let operator = proptest::sample::select(vec!["+", "-", "*", "/", "%"]);
    prop_oneof![
        3 => leaf,
        3 => (number(depth - 1), operator, number(depth - 1)).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => list(depth - 1).prop_map(|l| format!("size({l})")),
        1 => text().prop_map(|t| format!("{t}.size()")),
        1 => (list(depth - 1), 0..4usize).prop_map(|(l, i)| format!("{l}[{i}]")),
        1 => (test(depth - 1), number(depth - 1), number(depth - 1)).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
        1 => (object(), proptest::sample::select(vec!["a", "b", "zz"])).prop_map(|(o, f)| format!("{o}.{f}")),
    ]
    .boxed()
}

fn text() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "''",
        "'a'",
        "'ab'",
        "\"b\"",
        "('a' + 'b')",
        "'\u{e9}'",
        "string(12)",
    ])
    .prop_map(str::to_owned)
}

fn object() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["{}", "{'a': 1}", "{'a': 1, 'b': 2}", "{'b': 2 + 1}"])
        .prop_map(str::to_owned)
}

fn list(depth: u32) -> BoxedStrategy<String> {
    let items = proptest::collection::vec(number(0), 0..4)
        .prop_map(|items| format!("[{}]", items.join(", ")));
    if depth == 0 {
        return items.boxed();
    }
    prop_oneof![
        3 => items,
        1 => (list(depth - 1), list(depth - 1)).prop_map(|(a, b)| format!("({a} + {b})")),
        1 => (list(depth - 1), number(depth - 1)).prop_map(|(l, n)| format!("{l}.map(i, i * {n})")),
        1 => (list(depth - 1), number(depth - 1)).prop_map(|(l, n)| format!("{l}.map(i, i > {n}, i + 1)")),
        1 => (list(depth - 1), number(depth - 1)).prop_map(|(l, n)| format!("{l}.filter(i, i / {n} > 0)")),
    ]
    .boxed()
}

fn test(depth: u32) -> BoxedStrategy<String> {
    let leaf = proptest::sample::select(vec![
        "true",
        "false",
        "1 == 1.0",
        "2 > 1.5",
        "1u < 2",
        "null == null",
        "'a' == 1",
    ])
    .prop_map(|text| format!("({text})"));
    if depth == 0 {
        return leaf.boxed();
    }
    let order = || proptest::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let same = || proptest::sample::select(vec!["==", "!="]);
    let inner = depth - 1;
    prop_oneof![
        1 => leaf,
        3 => (number(inner), order(), number(inner)).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => (text(), order(), text()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => (list(inner), same(), list(inner)).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => (object(), same(), object()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => (number(inner), list(inner)).prop_map(|(n, l)| format!("({n} in {l})")),
        1 => (text(), object()).prop_map(|(t, o)| format!("({t} in {o})")),
        1 => (object(), proptest::sample::select(vec!["a", "zz"])).prop_map(|(o, f)| format!("has({o}.{f})")),
        2 => (test(inner), test(inner)).prop_map(|(a, b)| format!("({a} && {b})")),
        2 => (test(inner), test(inner)).prop_map(|(a, b)| format!("({a} || {b})")),
        1 => test(inner).prop_map(|a| format!("!{a}")),
        1 => (test(inner), test(inner), test(inner)).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
        1 => (text(), text()).prop_map(|(a, b)| format!("{a}.contains({b})")),
        1 => (text(), text()).prop_map(|(a, b)| format!("({a}.startsWith({b}) || {a}.endsWith({b}))")),
        1 => (list(0), number(inner)).prop_map(|(l, n)| format!("{l}.all(i, {n} / i > 0)")),
        1 => (list(0), number(inner)).prop_map(|(l, n)| format!("{l}.exists(i, {n} / i > 0)")),
        1 => (list(0), number(inner)).prop_map(|(l, n)| format!("{l}.exists_one(i, i == {n})")),
        1 => (list(0), list(0)).prop_map(|(l, m)| format!("{l}.all(i, {m}.exists(j, j == i))")),
        1 => object().prop_map(|o| format!("{o}.all(k, k < 'b')")),
    ]
    .boxed()
}

const WORDS: [&str; 48] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ":",
    "?",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    "&&",
    "||",
    " in ",
    " ",
    "1",
    "2u",
    "0.5",
    "'a'",
    "\"b\"",
    "r'c'",
    "null",
    "true",
    "false",
    "x",
    "response.json()",
    "response.status",
    "response.body",
    "response.headers",
    "phases.total",
    "has(",
    "size(",
    ".all(x,",
    ".map(x,",
    ".filter(x,",
    ".exists(y,",
    ".matches('a+')",
    "\u{e9}",
    "\\",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2 * ProptestConfig::default().cases))]

    #[test]
    fn ours_and_the_standard_agree(source in test(3)) {
        prop_assume!(Expression::parse(&source, Kind::Http).is_ok());
        prop_assert_eq!(by_ours(&source), by_the_standard(&source), "{}", source);
    }

    /// Whatever is written, there is an expression or a rule; whatever it is
    /// given, it ends and says something of bounded length.
    #[test]
    fn anything_written_ends(
        words in proptest::collection::vec(proptest::sample::select(WORDS.to_vec()), 0..60),
        numbers in 0..3_000usize,
    ) {
        let source = words.concat();
        let Ok(expression) = Expression::parse(&source, Kind::Http) else { return Ok(()) };
        let body = format!(r#"{{"a": [{}0], "b": "{}"}}"#, "0,".repeat(numbers), "x".repeat(numbers));
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        seen.status = Some(200);
        if let Err(message) = expression.judge(&Facts::new(&seen, &[], body.as_bytes(), false, 0)) {
            prop_assert!(message.chars().count() < 2_000 && !message.contains(char::is_control));
        }
    }

    #[test]
    fn any_text_is_an_expression_or_not(source in any::<String>()) {
        if let Err(rule) = Expression::parse(&source, Kind::Http) {
            prop_assert!(rule.to_string().starts_with("must "));
        }
    }
}
