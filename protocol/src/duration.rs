//! Durations as people write them: `500ms`, `30s`, `5m`, `1h`, `7d`.
//!
//! One whole number and one unit. A bare number is refused, because nobody can
//! know whether it meant seconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// A duration in its text form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, example = "30s", pattern = "^[0-9]{1,15}(ms|s|m|h|d)$"))]
pub struct Span(pub Duration);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number and a unit (ms, s, m, h or d), such as 500ms or 30s")]
pub struct SpanError;

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Whole milliseconds.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl std::str::FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() || number.len() > 15 {
            return Err(SpanError);
        }
        let number: u64 = number.parse().map_err(|_| SpanError)?;
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SpanError)?;
        number.checked_mul(*millis).map(Self::from_millis).ok_or(SpanError)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.as_millis();
        let (name, unit) = UNITS
            .iter()
            .find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit))
            .unwrap_or(&("s", 1_000));
        write!(f, "{}{name}", millis / unit)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_people_write() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("0s", 0), ("1d", 86_400_000)]
        {
            assert_eq!(text.parse(), Ok(Span::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5s", "1e3s", "30 s", "99999999999999999h", "1w", "٣s"]
        {
            assert_eq!(text.parse::<Span>(), Err(SpanError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_value_agree(millis in 0u64..1_000_000_000_000) {
            let span = Span::from_millis(millis);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
