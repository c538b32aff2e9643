//! Status ranges: `"204"`, `"200-299"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An inclusive range of HTTP status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    pub first: u16,
    pub last: u16,
}

impl StatusRange {
    /// Whether `status` lies in the range.
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl std::str::FromStr for StatusRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str =
            "must be a status such as 204 or a range such as 200-299, within 100-599";
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let code = |digits: &str| match digits.len() {
            3 => digits.parse::<u16>().ok().filter(|code| (100..=599).contains(code)),
            _ => None,
        };
        match (code(first), code(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(RULE),
        }
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_people_write() {
        assert_eq!("204".parse(), Ok(StatusRange { first: 204, last: 204 }));
        let range: StatusRange = "200-299".parse().expect("a range");
        assert!(range.contains(200) && range.contains(299) && !range.contains(300));
        for text in ["", "20", "2xx", "99", "600", "300-200", "200-", "-200", "200-299-300", "+20"]
        {
            assert!(text.parse::<StatusRange>().is_err(), "{text}");
        }
    }
}
