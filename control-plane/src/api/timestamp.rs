//! Times as clients see them: RFC 3339, UTC, milliseconds.

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since the Unix epoch, written as `2026-01-31T12:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00.000Z")]
pub struct Timestamp(pub i64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What lies outside chrono's 262 000 years cannot have been stored by us.
        let time = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// What a time from a client must be.
pub const RULE: &str = "must be a time such as 2026-01-31T12:00:00Z";

/// Reads RFC 3339 with any offset as milliseconds, cutting off what is finer;
/// `None` for everything else, and for what lies before 1970.
pub fn parse(text: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.timestamp_millis()).filter(|ms| *ms >= 0)
}

impl std::str::FromStr for Timestamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self).ok_or(RULE)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_always_written() {
        let json = |ms| serde_json::to_string(&Timestamp(ms)).expect("serialises");
        assert_eq!(json(1_769_860_800_000), "\"2026-01-31T12:00:00.000Z\"");
        assert_eq!(json(1), "\"1970-01-01T00:00:00.001Z\"");
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        assert_eq!(parse("2026-01-31T12:00:00.000Z"), Some(1_769_860_800_000));
        assert_eq!(parse("2026-01-31T13:30:00.0009+01:30"), Some(1_769_860_800_000));
        for text in ["", "now", "2026-01-31", "1769860800", "1900-01-01T00:00:00Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
