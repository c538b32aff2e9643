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

const RULE: &str = "must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z";

impl std::str::FromStr for Timestamp {
    type Err = &'static str;

    /// Any offset is taken; a fraction beyond milliseconds is cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| RULE)?;
        let ms = time.timestamp_millis();
        if ms < 0 { Err("must not be before 1970") } else { Ok(Self(ms)) }
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
    fn any_offset_is_read_and_what_is_no_time_is_not() {
        let read = |text: &str| text.parse::<Timestamp>().map(|time| time.0);
        for text in
            ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z", "2026-01-31T13:30:00.0009+01:30"]
        {
            assert_eq!(read(text), Ok(1_769_860_800_000), "{text}");
        }
        for text in ["", "now", "2026-01-31", "2026-01-31T12:00:00", "1969-12-31T23:59:59Z", "1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn milliseconds_are_always_written() {
        let json = |ms| serde_json::to_string(&Timestamp(ms)).expect("serialises");
        assert_eq!(json(1_769_860_800_000), "\"2026-01-31T12:00:00.000Z\"");
        assert_eq!(json(1), "\"1970-01-01T00:00:00.001Z\"");
    }
}
