//! What is said about an assertion that does not hold: the expression, and the
//! values it saw.

use super::error::Error;
use super::evaluate::evaluate;
use super::fact::Facts;
use super::node::Node;
use super::value::{Map, Value};

/// Of an expression, a value; the whole is cut where a message is.
const SOURCE_CHARS: usize = 200;
const VALUE_CHARS: usize = 60;
/// Values that are shown.
const VALUES: usize = 4;

/// `response.json().status == "ok"` is false: response.json().status is "degraded".
pub(super) fn is_false(source: &str, root: &Node, facts: &Facts<'_>) -> String {
    let mut message = format!("`{}` is false", shown(source, SOURCE_CHARS));
    let mut named = Vec::new();
    paths(root, &mut named);
    let mut before = ": ";
    for (path, node) in named.into_iter().take(VALUES) {
        let value = match evaluate(node, facts) {
            Ok(value) => describe(&value, node),
            Err(Error::TooCostly(_)) => break,
            Err(_) => "not there".to_owned(),
        };
        message.push_str(&format!("{before}{path} is {value}"));
        before = ", ";
    }
    message
}

/// `response.json().status == "ok"` has no value: response.json().status is not there.
pub(super) fn has_no_value(source: &str, error: &Error) -> String {
    let error = error.to_string();
    format!("`{}` has no value: {}", shown(source, SOURCE_CHARS), shown(&error, SOURCE_CHARS))
}

/// The longest names that are known before evaluation, each once, as written.
fn paths<'n>(node: &'n Node, found: &mut Vec<(String, &'n Node)>) {
    if node.fixed_path().is_some() {
        let path = node.path();
        if !found.iter().any(|(other, _)| *other == path) {
            found.push((path, node));
        }
        return;
    }
    for child in node.children() {
        paths(child, found);
    }
}

fn describe(value: &Value<'_>, node: &Node) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => format!("{}", (value * 1e6).round() / 1e6),
        Value::Text(text) if node.fixed_path().is_some_and(|fact| !fact.is_shown()) => {
            format!("a text of {} bytes", text.as_str().len())
        }
        Value::Text(text) => format!("\"{}\"", shown(text.as_str(), VALUE_CHARS)),
        Value::List(list) => format!("a list of {}", list.len()),
        Value::Map(Map::Headers(headers)) => format!("{} headers", headers.len()),
        Value::Map(map) => format!("an object of {} fields", map.len()),
    }
}

/// The beginning of `text`, on one line.
fn shown(text: &str, limit: usize) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    let mut cut: String = text.chars().take(limit).map(line).collect();
    if text.chars().nth(limit).is_some() {
        cut.push('\u{2026}');
    }
    cut
}
