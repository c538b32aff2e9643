//! Reading JSON into a typed shape, with errors people can act on.
//!
//! Serde says what is wrong in its own words and, through
//! `serde_path_to_error`, where. This turns both into a dotted field and a
//! rule that reads well after it.

use crate::problem::FieldProblem;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Reads JSON. The problem names the field by its dotted path (empty: the
/// document itself) and the rule it broke.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, FieldProblem> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let value = object(tracked).map_err(|error| {
        let path = track.path().to_string();
        problem(if path == "." { "" } else { &path }, &error)
    })?;
    reader.end().map_err(|error| problem("", &error))?;
    Ok(value)
}

/// Reads a struct from an object and nothing else. Derived code would take a
/// list as well, field by field in the order of our source.
pub(super) fn object<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct ObjectOnly<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOnly<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(ObjectOnly(PhantomData))
}

fn problem(path: &str, error: &serde_json::Error) -> FieldProblem {
    let text = error.to_string();
    // serde_json ends every sentence with the place in the text.
    let sentence = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    if !error.is_data() {
        return FieldProblem::new("", format!("must be JSON: {sentence}{}", place(&text)));
    }
    if let Some((name, rest)) = quoted(sentence, "unknown field `") {
        return FieldProblem::new(within(path, name), unknown_field(name, rest));
    }
    if let Some((name, _)) = quoted(sentence, "missing field `") {
        return FieldProblem::new(within(path, name), "must be given");
    }
    if let Some((name, _)) = quoted(sentence, "duplicate field `") {
        return FieldProblem::new(within(path, name), "must be given once");
    }
    FieldProblem::new(path, rule(sentence))
}

fn place(text: &str) -> &str {
    text.rfind(" at line ").map_or("", |start| &text[start..])
}

/// The word after `prefix`, and what follows it.
fn quoted<'a>(sentence: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    sentence.strip_prefix(prefix)?.split_once('`')
}

/// `name` under `path`, unless the path names it already.
fn within(path: &str, name: &str) -> String {
    let ends_there =
        path.strip_suffix(name).is_some_and(|head| head.is_empty() || head.ends_with('.'));
    match (path, ends_there) {
        ("", _) => name.to_owned(),
        (_, true) => path.to_owned(),
        (_, false) => format!("{path}.{name}"),
    }
}

fn unknown_field(name: &str, rest: &str) -> String {
    let known = rest.split('`').skip(1).step_by(2);
    let nearest = known
        .map(|field| (strsim::damerau_levenshtein(field, name), field))
        .min()
        .filter(|(distance, field)| *distance <= 1 + field.len() / 4);
    match nearest {
        Some((_, field)) => format!("is not a known field; did you mean `{field}`?"),
        None => "is not a known field".to_owned(),
    }
}

/// Serde's sentence as a rule. Our own types already say `must …`. A value is
/// never quoted: it may be a secret, and who reads the rule need not know it.
fn rule(sentence: &str) -> String {
    // From the end, since the value before it may say the same.
    if let Some((found, wanted)) = sentence.rsplit_once(", expected ") {
        let found = found.strip_prefix("invalid type: ").and_then(sort);
        return match found {
            Some(found) => format!("must be {}, not {found}", article(wanted)),
            None => format!("must be {}", article(wanted)),
        };
    }
    if sentence.starts_with("must ") {
        sentence.to_owned()
    } else if sentence.contains(['"', '`', '\'']) {
        "must be valid".to_owned()
    } else {
        format!("must be valid: {sentence}")
    }
}

/// What JSON calls what serde found.
fn sort(found: &str) -> Option<&'static str> {
    [
        ("string", "a string"),
        ("integer", "a whole number"),
        ("floating point", "a fraction"),
        ("boolean", "true or false"),
        ("null", "null"),
        ("sequence", "a list"),
        ("map", "an object"),
    ]
    .into_iter()
    .find_map(|(serde, json)| found.starts_with(serde).then_some(json))
}

/// Serde names Rust types; people write JSON.
fn article(wanted: &str) -> &str {
    match wanted {
        "a sequence" => "a list",
        "a map" => "an object",
        "u8" => "a whole number of 0 to 255",
        "u32" => "a whole number of 0 to 4294967295",
        other => other,
    }
}
