//! What an expression computes with. Cheap to clone: what a check saw is lent,
//! what an expression made is shared.

use std::borrow::Cow;
use std::rc::Rc;

/// Bytes that are compared in one step.
const BYTES_COMPARED: usize = 32;

#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Above what an `Int` can hold, or written with a `u`.
    Uint(u64),
    Double(f64),
    Text(Text<'a>),
    List(List<'a>),
    Map(Map<'a>),
}

#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Lent(&'a str),
    Made(Rc<str>),
}

#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Json(&'a [serde_json::Value]),
    Texts(&'a [String]),
    Made(Rc<Vec<Value<'a>>>),
}

#[derive(Debug, Clone)]
pub(super) enum Map<'a> {
    Json(&'a serde_json::Map<String, serde_json::Value>),
    /// Names in lower case, sorted, none twice; looked up whatever their letters.
    Headers(&'a [(&'a str, Cow<'a, str>)]),
    /// No key twice.
    Made(Rc<Vec<(Value<'a>, Value<'a>)>>),
}

impl<'a> Value<'a> {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    pub(super) fn list(values: Vec<Self>) -> Self {
        Self::List(List::Made(Rc::new(values)))
    }

    /// Whole numbers become `Int` wherever they fit, so that `count + 1` is
    /// what it looks like.
    pub(super) fn of_json(json: &'a serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(uint)) => Self::Uint(uint),
                (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::Text(Text::Lent(text)),
            serde_json::Value::Array(values) => Self::List(List::Json(values)),
            serde_json::Value::Object(fields) => Self::Map(Map::Json(fields)),
        }
    }

    /// For messages: what sort of value this is.
    pub(super) fn sort(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Uint(_) | Self::Double(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Lent(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(values) => values.len(),
            Self::Texts(texts) => texts.len(),
            Self::Made(values) => values.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(values) => values.get(index).map(Value::of_json),
            Self::Texts(texts) => texts.get(index).map(|text| Value::Text(Text::Lent(text))),
            Self::Made(values) => values.get(index).cloned(),
        }
    }
}

impl<'a> Map<'a> {
    /// What finding a key of `bytes` takes: as many comparisons as the map makes, each of
    /// as many bytes at most.
    pub(super) fn lookup_steps(&self, bytes: usize) -> usize {
        let comparison = |count: usize| count.saturating_mul(bytes) / BYTES_COMPARED;
        match self {
            Self::Json(fields) => {
                let comparisons = fields.len().checked_ilog2().unwrap_or(0) as usize;
                1 + comparisons / 4 + comparison(1 + comparisons)
            }
            Self::Headers(headers) => headers.len() + comparison(headers.len()),
            Self::Made(entries) => entries.len() + comparison(entries.len()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(fields) => fields.len(),
            Self::Headers(headers) => headers.len(),
            Self::Made(entries) => entries.len(),
        }
    }

    /// In a fixed order.
    pub(super) fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Self::Json(fields) => fields.keys().map(|name| Value::Text(Text::Lent(name))).collect(),
            Self::Headers(headers) => {
                headers.iter().map(|(name, _)| Value::Text(Text::Lent(name))).collect()
            }
            Self::Made(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
        }
    }

    /// The value of a text key.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(fields) => fields.get(key).map(Value::of_json),
            Self::Headers(headers) => headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
                .map(|(_, value)| Value::Text(Text::Lent(value))),
            Self::Made(entries) => entries.iter().find_map(|(other, value)| match other {
                Value::Text(text) if text.as_str() == key => Some(value.clone()),
                _ => None,
            }),
        }
    }
}
